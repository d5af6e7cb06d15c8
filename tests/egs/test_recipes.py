"""Each recipe of egs/recipes.csv trains on four tiny mixtures, stops, resumes and evaluates."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.data import make_manifest

ROOT = Path(__file__).resolve().parents[2]
with (ROOT / "egs" / "recipes.csv").open(encoding="utf-8") as table:
    RECIPES = list(csv.DictReader(table))


def run(command: list[object], **environment: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"} | {k: str(v) for k, v in environment.items()},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_every_recipe_is_listed():
    folders = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("egs/*/train*.py")}
    assert folders == {row["recipe"] for row in RECIPES}


@pytest.mark.parametrize("row", RECIPES, ids=[f"{row['recipe']}/{row['train']}" for row in RECIPES])
def test_the_recipe_trains_stops_resumes_and_evaluates(row, tmp_path):
    manifests = {
        name: make_manifest(
            tmp_path / name,
            n_items=4,
            n_mics=[2, 1],
            seconds=[0.5, 0.45],
            name=f"{name}.json",
            seed=seed,
        )
        for seed, name in enumerate(("train", "valid", "test"))
    }
    experiment = tmp_path / "experiments with space" / "SMOKE"
    train = [sys.executable, ROOT / row["recipe"] / row["train"], *row["smoke"].split()]
    train += ["--train_json", manifests["train"], "--valid_json", manifests["valid"]]
    train += ["--exp_dir", experiment]

    run([*train, "--epochs", 1])
    resumed = run([*train, "--epochs", 2])
    assert "resuming" in resumed.stderr
    root, python = experiment.parent, sys.executable
    run(
        # Not "all": what the mixtures say here is no speech that an aligner could place.
        ["bash", ROOT / row["evaluate"], "1,2", "SMOKE", manifests["test"]],
        SELOSS_EXPERIMENTS=root,
        PYTHON=python,
    )

    missing = [name for name in row["files"].split() if not (experiment / name).exists()]
    assert not missing
    epochs = [line.split(",")[0] for line in (experiment / "history.csv").read_text().split()]
    assert epochs == ["epoch", "0", "1"]
    events = EventAccumulator(str(experiment / "tensorboard_logs"))
    events.Reload()
    assert len(events.Scalars("val/si_sdr")) == 2
    assert any(tag.endswith("/estimate") for tag in events.Tags()["audio"])
