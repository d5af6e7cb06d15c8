"""The trainer of an experiment, and what is refused before a training begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn

from seloss.train import ConfigError, DataConfig
from seloss.train.fit.training import fit
from seloss.train.options.recipe import Recipe
from seloss.train.run.experiment import Experiment
from tests.data import make_manifest
from tests.seloss.train import tiny

TRAIN = Path(__file__).resolve().parents[3] / "egs" / "TAC" / "train.py"
TINY = "--enc_dim 8 --feature_dim 8 --hidden_dim 8 --n_layers 1 --window_ms 16 --segment 0.3"


def test_mixtures_made_anew_are_refused_where_features_of_the_old_ones_are_stored(tmp_path):
    config = Recipe(data=DataConfig(remix=True))
    with pytest.raises(ConfigError, match=r"data\.remix"):
        fit(Experiment(tmp_path), config, nn.Identity(), [], adapt=lambda data, *_: data)


def test_more_gpus_than_there_are_is_refused(tmp_path):
    there = torch.cuda.device_count()
    with pytest.raises(ValueError, match=rf"training.gpus is {there + 1}, but .* shows {there}"):
        tiny.trainer(tmp_path, gpus=there + 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_all_gpus_of_a_machine_without_one_is_the_cpu_in_float32(tmp_path):
    trainer, _, _ = tiny.trainer(tmp_path, gpus=-1)
    assert trainer.accelerator.__class__.__name__ == "CPUAccelerator"
    assert trainer.precision == "32-true"


@pytest.fixture
def training(tmp_path):
    """Return a function that starts a recipe with two data workers."""
    train = make_manifest(tmp_path, n_items=8, n_mics=2, seconds=0.4, name="train.json")
    valid = make_manifest(tmp_path, n_items=2, seconds=0.4, seed=9, name="valid.json", prefix="v")

    def training(epochs: int, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(TRAIN), *TINY.split(), "--gpus", "0", "--num_workers", "2"]
        command += ["--train_json", str(train), "--valid_json", str(valid)]
        command += ["--exp_dir", str(tmp_path / "e"), "--epochs", str(epochs)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    return training


@pytest.mark.slow
def test_training_with_workers_ends_well_under_a_long_tmpdir(training, tmp_path):
    """PyTorch itself waits for ever there."""
    folder = tmp_path / ("x" * 80)
    folder.mkdir()
    process = training(2, TMPDIR=str(folder))
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == 0, errors
    assert errors.count("batches are sent through pipes") == 2  # for training and validation
    assert (tmp_path / "e" / "best_model.pth").is_file()


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_training_with_one_line(training, tmp_path):
    process = training(5000)
    deadline = time.monotonic() + 300
    while not (tmp_path / "e" / "history.csv").is_file():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    workers = psutil.Process(process.pid).children()
    workers[0].send_signal(signal.SIGKILL)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 1, errors
    last = errors.splitlines()[-1]
    assert last.startswith("train.py: error: a process that reads data ended: DataLoader worker")
    assert "Traceback" not in errors
