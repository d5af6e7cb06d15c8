"""Each recipe of egs/recipes.csv trains on four tiny mixtures, stops, resumes and evaluates."""

from __future__ import annotations

import csv

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.data import make_manifest
from tests.programs import ROOT, run

with (ROOT / "egs" / "recipes.csv").open(encoding="utf-8") as table:
    RECIPES = list(csv.DictReader(table))


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
    train = [ROOT / row["recipe"] / row["train"], *row["smoke"].split()]
    train += ["--train_json", manifests["train"], "--valid_json", manifests["valid"]]
    train += ["--exp_dir", experiment]

    run(*train, "--epochs", 1)
    resumed = run(*train, "--epochs", 2)
    assert "resuming" in resumed.stderr
    # Not "all": what the mixtures say here is no speech that an aligner could place.
    evaluate = [ROOT / row["evaluate"], "--jobs", "0", "1,2", "SMOKE", manifests["test"]]
    run(*evaluate, SELOSS_EXPERIMENTS=experiment.parent)

    missing = [name for name in row["files"].split() if not (experiment / name).exists()]
    assert not missing
    epochs = [line.split(",")[0] for line in (experiment / "history.csv").read_text().split()]
    assert epochs == ["epoch", "0", "1"]
    events = EventAccumulator(str(experiment / "tensorboard_logs"))
    events.Reload()
    assert len(events.Scalars("val/si_sdr")) == 2
    assert any(tag.endswith("/estimate") for tag in events.Tags()["audio"])
