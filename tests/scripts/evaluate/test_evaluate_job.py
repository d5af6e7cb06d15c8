"""Which tasks an evaluation submits (tests/cluster runs them on a scheduler)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data import make_manifest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def evaluate(tmp_path):
    manifest = make_manifest(tmp_path / "my data", n_items=1, seconds=0.3, name="unseen.json")
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "mine.yml").write_text("scheduler: slurm\n", encoding="utf-8")
    (tmp_path / "experiments" / "XP" / "logs").mkdir(parents=True)
    (tmp_path / "experiments" / "XP" / "best_model.pth").touch()
    environment = {
        **os.environ,
        "SELOSS_EXPERIMENTS": str(tmp_path / "experiments"),
        "SELOSS_CLUSTERS": str(tmp_path / "clusters"),
        "SELOSS_TEST_JSON": str(manifest),
        "PYTHON": sys.executable,
    }

    def evaluate(*words: str, net: str = "fasnet", **changes: str):
        launcher = ROOT / "scripts" / "evaluate" / f"evaluate_{net}_job.sh"
        return subprocess.run(
            ["bash", str(launcher), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**environment, **changes},
        )

    return evaluate


@pytest.mark.parametrize("net", ["fasnet", "dccrn", "dcunet", "cnunet"])
def test_one_task_runs_the_networks_script(evaluate, net):
    done = evaluate("--dry-run", "XP", "1,2", "2", "mine", "--", "--device", "cpu", net=net)
    assert done.returncode == 0, done.stderr
    assert "--time=2:00:00" in done.stdout
    assert "--array" not in done.stdout
    assert f"evaluate_{net}.sh 1,2 XP " in done.stdout
    assert " --device cpu ;;" in done.stdout


def test_parts_become_an_array_of_those_that_are_missing(evaluate, tmp_path):
    words = ("--dry-run", "--shards", "3", "XP", "all", "2", "mine")
    assert "--array=1-3" in evaluate(*words).stdout
    for index in (1, 3):
        marker = tmp_path / "experiments" / "XP" / "logs" / f".eval_unseen_{index}_of_3.done"
        marker.touch()
    again = evaluate(*words).stdout
    assert "--array" not in again
    assert "part.sh 2 3 " in again
    os.utime(tmp_path / "experiments" / "XP" / "best_model.pth", (4e9, 4e9))  # trained again
    assert "--array=1-3" in evaluate(*words).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["XP", "1", "2"], "4 or 5 arguments are needed; got 3"),
        (["XP", "x", "2", "mine"], "STAGE must be a stage's number, a list of them, or all"),
        (["XP", "1", "soon", "mine"], "walltime must be hours or H:MM:SS; got 'soon'"),
        (["XP", "1", "2", "yours"], "cluster must be one of auto, local, mine; got 'yours'"),
        (["--shards", "2", "XP", "3", "2", "mine"], "stages 1 and 2 are shared among tasks"),
        (["--shards", "no", "XP", "1", "2", "mine"], "--shards must be a number; got 'no'"),
        (["--what", "XP", "1", "2", "mine"], "unknown option --what"),
    ],
)
def test_wrong_usage(evaluate, words, message):
    done = evaluate(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith(("evaluate_job.sh: error:", "evaluate_fasnet_job.sh: error:"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["NO", "1", "2", "mine"], "train it first (scripts/train/train_fasnet.sh)"),
        (["XP", "1", "2", "mine", "/nowhere.json"], "no test set /nowhere.json"),
    ],
)
def test_what_is_missing_is_named(evaluate, words, message):
    done = evaluate(*words)
    assert done.returncode == 1
    assert message in done.stderr


def test_the_part_that_is_last_joins_and_a_newer_network_asks_for_all_anew(tmp_path):
    run_dir = tmp_path / "my XP"
    (run_dir / "logs").mkdir(parents=True)
    script, told = tmp_path / "evaluate.sh", tmp_path / "told"
    script.write_text(f'echo "${{SELOSS_SHARD:-join}} $*" >>{told}\n', encoding="utf-8")
    network, test = run_dir / "best_model.pth", tmp_path / "test.json"
    for path in (network, test):
        path.touch()
        os.utime(path, (1e9, 1e9))

    def part(index: int) -> list[str]:
        words = [str(index), "2", str(run_dir), "1,2", str(script), "all", "XP", str(test), "--x"]
        command = ["bash", str(ROOT / "scripts" / "evaluate" / "part.sh"), *words]
        subprocess.run(command, check=True, capture_output=True)
        lines = told.read_text(encoding="utf-8").splitlines()
        told.unlink()
        return lines

    assert part(2) == [f"2/2 1,2 XP {test} --x"]
    assert part(1) == [f"1/2 1,2 XP {test} --x", f"join all XP {test} --x"]
    os.utime(network, (4e9, 4e9))  # trained again since
    assert part(1) == [f"1/2 1,2 XP {test} --x"]
