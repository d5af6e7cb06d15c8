"""The trainer of an experiment, and what is refused before a training begins."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seloss.train import ConfigError, DataConfig
from seloss.train.fit.training import fit
from seloss.train.options.recipe import Recipe
from seloss.train.run.experiment import Experiment
from tests.seloss.train import tiny


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
