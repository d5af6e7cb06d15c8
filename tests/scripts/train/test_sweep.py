"""Runs of a sweep (tests/cluster submits one)."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SWEEP = """
recipe: egs/TAC/train.py
evaluate: fasnet
options: {epochs: 3, segment: null, shuffle_mics: false}
runs:
  - {tag: "xp1-s{seed}", loss: xp1, seed: [0, 1]}
  - {tag: "it's {scale}_{weights_type}_seed{seed}", loss: neg_sisdr, scale: [mel, linear],
     weights_type: [wo, softmax], seed: [0, 1]}
"""


@pytest.fixture
def sweep(launch, folder):
    def sweep(text: str, *words: str) -> subprocess.CompletedProcess[str]:
        (folder / "my sweep.yml").write_text(text, encoding="utf-8")
        return launch("sweep", *words, "my sweep.yml", "local", "-", "-")

    return sweep


def test_every_combination_is_one_run_with_its_own_folder(sweep):
    done = sweep(SWEEP, "--dry-run")
    commands = [shlex.split(line) for line in done.stdout.splitlines() if "train.py" in line]
    assert len(commands) == 10
    flags = [dict(zip(words[2::2], words[3::2], strict=True)) for words in commands]
    tags = [Path(options["--exp_dir"]).name for options in flags]
    assert tags[:4] == ["xp1-s0", "xp1-s1", "it's mel_wo_seed0", "it's mel_wo_seed1"]
    assert "it's linear_softmax_seed1" in tags
    assert {options["--epochs"] for options in flags} == {"3"}
    assert flags[0]["--segment"] == "null"
    assert flags[0]["--shuffle_mics"] == "false"
    assert flags[-1]["--weights_type"] == "softmax"


def test_what_is_trained_is_left_out(sweep, folder):
    for tag in ("xp1-s0", "it's mel_wo_seed1"):
        (folder / "experiments" / tag).mkdir(parents=True)
        (folder / "experiments" / tag / "best_model.pth").touch()
    assert "10 runs, 8 to train" in sweep(SWEEP, "--dry-run").stderr
    assert "10 runs, 2 to evaluate" in sweep(SWEEP, "--dry-run", "--stage", "evaluate").stderr


def test_the_seeds_of_a_configuration_are_one_system(sweep, folder):
    for tag in ("xp1-s0", "xp1-s1", "it's mel_wo_seed1"):
        table = folder / "experiments" / tag / "unseen" / "metrics" / "metrics_by_sample.csv"
        table.parent.mkdir(parents=True)
        model = folder / "experiments" / tag / "best_model.pth"
        model.touch()
        os.utime(model, (1e9, 1e9))
        table.touch()
    done = sweep(SWEEP, "--dry-run", "--stage", "compare")
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout)
    assert words[1:3] == ["-m", "evaluation.compare"]
    assert words[3:5] == ["xp1=xp1-s0,xp1-s1", "it's mel_wo=it's mel_wo_seed1"]


def test_an_evaluation_needs_a_network(sweep):
    done = sweep(SWEEP.replace("evaluate: fasnet", "evaluate: tasnet"), "--stage", "evaluate")
    assert done.returncode == 2
    assert "evaluate must be one of fasnet, dccrn, dcunet, cnunet; got 'tasnet'" in done.stderr


def test_too_little_to_compare_is_said(sweep):
    done = sweep(SWEEP.replace("evaluate: fasnet", ""), "--stage", "compare")
    assert done.returncode == 1
    assert "0 configuration(s) are evaluated on unseen: too few" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("xp1-s{seed}", "xp1"), "several runs have the tag xp1"),
        (("{scale}_", "{sclae}_"), "names sclae, which is no option"),
        (("xp1-s{seed}", "../x{seed}"), "the tag must be the plain name of a folder; got '../x0'"),
        (("egs/TAC/train.py", "egs/NO/train.py"), "recipe must be a program such as egs/TAC"),
        (("egs/TAC/train.py", "README.md"), "recipe must be a program such as egs/TAC/train.py"),
        (("{epochs: 3, segment: null, shuffle_mics: false}", "[3]"), "options must hold 'key: va"),
        (("loss: xp1, seed: [0, 1]", "loss: xp1, seed: []"), "seed must be a value or a list of"),
        (("loss: xp1", "net: {n_layers: 1}"), "net must be a value or a list of values; got [{"),
        (("loss: xp1", "exp_dir: x"), "xp1-s{seed}: exp_dir is set by sweep.sh, for all runs"),
        (("loss: xp1", "3: x"), "xp1-s{seed}: 3 is no option's name"),
        (("runs:", "run:"), "must hold recipe, evaluate, stages, options, runs and nothing else"),
        (("recipe: egs", "recipe: [egs"), "is not YAML"),
    ],
)
def test_a_wrong_file_is_refused(sweep, change, message):
    done = sweep(SWEEP.replace(*change), "--dry-run")
    assert done.returncode == 2
    assert message in done.stderr
    assert "my sweep.yml" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("loss: xp1", "lsos: xp1"), "xp1-s0: train.py: error: --lsos is unknown (did you mean"),
        (("[wo, softmax]", "[wo, sftmax]"), "linear_sftmax_seed1: train.py: error: weights_type"),
        (("epochs: 3", "epochs: 0"), "train.py: error: training.epochs must be positive"),
        (("linear]", "critical], n_bins: 20"), "the critical scale takes n_bins of 18, 21, 25"),
    ],
)
def test_a_run_that_its_recipe_refuses_is_told_before_any_is_submitted(sweep, change, message):
    done = sweep(SWEEP.replace(*change), "--dry-run")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_the_sweep_that_comes_with_it_is_valid(sweep):
    text = (ROOT / "configs" / "sweeps" / "losses.yml").read_text(encoding="utf-8")
    assert "39 runs, 39 to train" in sweep(text, "--dry-run").stderr
