"""A place on a cluster with data, profiles and experiments, from which the launchers are called."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster.schedulers import ROOT, Scheduler
from tests.data import make_manifest
from tests.warm_python import python

TINY = "--enc_dim 8 --feature_dim 8 --hidden_dim 8 --n_layers 1 --window_ms 16 --segment 0.3"
TINY_OPTIONS = [*TINY.split(), "--num_workers", "0", "--batch_size", "1", "--listen", "0"]

# A training that would ask to be started again even when it is ended for good.
RISING = """
import pathlib, signal, sys, time
def leave(*_):
    (folder / "REQUEUE").write_text("10 0")
    sys.exit(75)
folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, leave)
(folder / "up").touch()
time.sleep(300)
"""


class Site:
    """Folders for one test on one scheduler (or none: this machine).

    Args:
        scheduler: Where to submit.
        folder: Where everything goes.
        profile: Lines of the profile ``here`` beyond the scheduler's name.
    """

    def __init__(self, scheduler: Scheduler | None, folder: Path, profile: str = "") -> None:
        self.scheduler, self.folder = scheduler, folder
        self.experiments = folder / "experiments"
        (folder / "clusters").mkdir(parents=True)
        kind = scheduler.kind if scheduler else "local"
        text = f"scheduler: {kind}\ncpus: 1\ngpus: 0\ngrace: 60\n{profile}"
        (folder / "clusters" / "here.yml").write_text(text, encoding="utf-8")
        self.experiments.mkdir()
        self._own(folder)

    root = ROOT

    def make_data(self, name: str, **options: object) -> Path:
        """Write mixtures and their manifest."""
        path = make_manifest(self.folder / "data", name=f"{name}.json", prefix=name, **options)  # type: ignore[arg-type]
        self._own(self.folder)
        return path

    def make_training_data(self) -> None:
        """Write what a training of some steps needs."""
        self.make_data("train", n_items=61, n_mics=2, seconds=0.4)
        self.make_data("valid", n_items=5, seconds=0.4, seed=9)

    def run(self, *command: object, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the project on the front end."""
        words = [str(word) for word in command]
        variables = {
            "SELOSS_EXPERIMENTS": str(self.experiments),
            "SELOSS_CLUSTERS": str(self.folder / "clusters"),
            "SELOSS_TRAIN_JSON": str(self.folder / "data" / "train.json"),
            "SELOSS_VALID_JSON": str(self.folder / "data" / "valid.json"),
            "SELOSS_TEST_JSON": str(self.folder / "data" / "test.json"),
            "PYTHON": python() if self.scheduler is None else sys.executable,
            "OMP_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            **env,
        }
        if self.scheduler is not None:
            return self.scheduler.run(*words, env=variables, cwd=self.folder)
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=self.folder,
            env={**os.environ, **variables},
        )

    def script(self, name: str, *arguments: object, **env: str) -> str:
        """Run one of the project's scripts, which must succeed; return what it printed."""
        done = self.run("bash", ROOT / "scripts" / name, *arguments, **env)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def train(self, tag: str, *options: str, epochs: int, **launcher: str) -> str:
        """Train a tiny network by its launcher."""
        before = [word for key, value in launcher.items() for word in (f"--{key}", value)]
        words = [tag, "xp1", "here", "0", "0:30:00", "--", *TINY_OPTIONS, "--epochs", epochs]
        return self.script("train/train_fasnet.sh", *before, *words, *options)

    def submit(
        self,
        tag: str,
        name: str,
        *command: object,
        cluster: str = "here",
        walltime: str = "0:10:00",
    ) -> subprocess.CompletedProcess[str]:
        """Submit a command by the program that all launchers are made of."""
        words = ["--cluster", cluster, "--walltime", walltime, "--gpus", "0", "--name", name]
        program = [sys.executable, "-m", "seloss.cli.cluster.submit"]
        return self.run(*program, *words, "--run-dir", self.experiments / tag, "--", *command)

    def submit_rising(self, tag: str) -> str:
        """Submit a training that asks to be started again at SIGTERM, wait until it runs.

        Returns:
            The job.
        """
        folder = self.experiments / tag
        done = self.submit(tag, "train", "python3", "-c", RISING, folder)
        assert done.returncode == 0, done.stderr
        self.wait("its start", (folder / "up").is_file)
        return self.job(tag)

    def status(self, tag: str) -> str:
        """Return what status.sh says of an experiment."""
        return self.script("status.sh", tag)

    def wait(self, what: str, condition: Callable[[], object], seconds: float = 240) -> None:
        """Wait until something is the case; show the logs if it does not become so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come about\n{self.logs()}"
            time.sleep(0.3)

    def wait_for_state(
        self, tag: str, *kinds: str, name: str = "train", seconds: float = 240
    ) -> str:
        """Wait for a job's state; return it with its detail."""
        path = self.experiments / tag / "logs" / f"{name}.state"

        def state() -> str:
            return path.read_text(encoding="utf-8") if path.is_file() else ""

        self.wait(f"{tag}: {kinds}", lambda: state().split(" ")[0] in kinds, seconds)
        return state()

    def job(self, tag: str, name: str = "train") -> str:
        """Return the number of the last job submitted."""
        lines = (self.experiments / tag / "logs" / f"{name}.jobs").read_text().splitlines()
        return str(json.loads(lines[-1])["id"])

    def progress(self, tag: str) -> int:
        """Return the last step that the running training has told of."""
        path = self.experiments / tag / "progress.json"
        return int(json.loads(path.read_text())["step"]) if path.is_file() else 0

    def history(self, tag: str) -> list[dict[str, float]]:
        """Return the learning curves without the time they took."""
        with (self.experiments / tag / "history.csv").open() as table:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(table)]
        return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]

    def logs(self) -> str:
        """Return the ends of all logs."""
        paths = sorted(self.experiments.glob("*/logs/*"))
        texts = [p.read_text(errors="replace")[-3000:] for p in paths if p.is_file()]
        return "\n".join(f"--- {p}\n{t}" for p, t in zip(paths, texts, strict=True))

    def _own(self, folder: Path) -> None:
        """Let the user who submits write here."""
        if self.scheduler is not None and self.scheduler.kind == "oar":
            shutil.chown(folder, 5001, 5001)
            for path in folder.rglob("*"):
                shutil.chown(path, 5001, 5001)
