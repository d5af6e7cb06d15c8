"""What is refused before a training begins."""

from __future__ import annotations

import pytest
from torch import nn

from seloss.train import ConfigError, DataConfig
from seloss.train.fit.training import fit
from seloss.train.options.recipe import Recipe
from seloss.train.run.experiment import Experiment


def test_mixtures_made_anew_are_refused_where_features_of_the_old_ones_are_stored(tmp_path):
    config = Recipe(data=DataConfig(remix=True))
    with pytest.raises(ConfigError, match=r"data\.remix"):
        fit(Experiment(tmp_path), config, nn.Identity(), [], adapt=lambda data, *_: data)
