"""The study of frequency-weighted losses: its systems, and what it would run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seloss.cli.cluster.sweep import read_sweep
from seloss.data.mixing.mix_options import read_mix_options
from seloss.train.options.option import read_yaml
from tests.data import make_manifest
from tests.recordings import ROOT

STUDY = ROOT / "studies/frequency_weighting"


def run(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(STUDY / "run.sh"), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHON": sys.executable, **variables},
    )


def test_the_systems_are_those_of_the_protocol():
    runs = read_sweep(STUDY / "runs.yml").runs
    seeds: dict[str, int] = {}
    for one in runs:
        seeds[one.configuration] = seeds.get(one.configuration, 0) + 1
    critical = {f"critical-{name}": 2 for name in ("wo", "perceptual", "softmax_log")}
    mel = {f"mel-{name}": 2 for name in ("wo", "speech_norm", "softmax_log")}
    main = {"sisdr": 3, "critical-speech_norm": 3, "critical-presence_competition": 2}
    assert seeds == critical | mel | main
    read_mix_options(read_yaml(STUDY / "mixing.yml"))


def test_wrong_words_are_refused_and_help_explains():
    assert "unknown argument fit" in run("fit").stderr
    assert "must be small or full; got tiny" in run(STUDY_SCALE="tiny").stderr
    assert "STUDY_CORPUS" in run("--help").stdout


def test_a_dry_run_prints_the_making_of_the_data(tmp_path: Path):
    done = run("--dry-run", "data", STUDY_DATA=str(tmp_path / "d"), STUDY_CORPUS="corpus")
    assert done.returncode == 0, done.stderr
    for name in ("simulate_rooms.py", "list_sources.py", "make_mixtures.py"):
        assert name in done.stdout
    assert not (tmp_path / "d").exists()


@pytest.mark.slow
def test_the_full_study_is_an_array_of_jobs(tmp_path: Path):
    for split in ("train", "valid", "test"):
        make_manifest(tmp_path, name=f"{split}.json", prefix=split, n_mics=2, seconds=0.3)
    variables = {"STUDY_SCALE": "full", "STUDY_CLUSTER": "slurm", "STUDY_DATA": str(tmp_path)}
    variables |= {"SELOSS_EXPERIMENTS": str(tmp_path / "experiments")}
    done = run("--dry-run", "data", "train", **variables)
    assert done.returncode == 0, done.stderr
    assert "20 runs, 20 to train" in done.stderr
    assert "full.yml" in done.stdout
    assert "--array" in done.stdout
    missing = run("data", **variables | {"STUDY_DATA": str(tmp_path / "none")})
    assert missing.returncode == 1
    assert "no " in missing.stderr
    assert "make_mixtures.py makes it" in missing.stderr
