"""Learning rates, averaged weights, a limit of hours and weights to start from."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch

from asteroid.models import DCCRN
from seloss.train import EnhancementSystem, network_package
from seloss.train.callbacks.schedule import TimeBudget, learning_rate
from seloss.train.fit.initial_weights import load_initial_weights
from seloss.train.options.recipe import OptimConfig, TrainingConfig
from tests.seloss.train import tiny


class Recorder(pl.Callback):
    """Learning rates and, after every step and in validation, the first weight."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.weights: list[torch.Tensor] = []
        self.validated: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        self.weights.append(pl_module.network.filters.weight.detach().clone())

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.validated.append(pl_module.network.filters.weight.detach().clone())


def fit(folder: Path, *, optim=None, network=None, resume=False, **options):
    """Two steps an epoch."""
    torch.manual_seed(0)
    optim = optim or OptimConfig("sgd", lr=0.1)
    system = EnhancementSystem(network or tiny.TinyNet(), tiny.SquaredError(), optim=optim)
    trainer, _, experiment = tiny.trainer(folder, optim=optim, **options)
    recorder = Recorder()
    trainer.callbacks.append(recorder)
    loaders = tiny.loader(tiny.items(4)), tiny.loader(tiny.items(2))
    trainer.fit(system, *loaders, ckpt_path=experiment.last if resume else None)
    return recorder, trainer, experiment


def test_the_rate_rises_then_falls_by_a_cosine(tmp_path):
    optim = OptimConfig("sgd", lr=0.1, schedule="cosine", warmup_steps=3, final_lr=0.1)
    recorder, _, _ = fit(tmp_path, optim=optim, epochs=5)
    falling = [0.1 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * k / 10))) for k in range(10)]
    expected = [falling[0] / 3, falling[1] * 2 / 3, *falling[2:]]
    assert recorder.rates == pytest.approx(expected)


def test_a_warm_up_leaves_the_rest_to_the_plateau(tmp_path):
    recorder, _, _ = fit(tmp_path, optim=OptimConfig("sgd", lr=0.1, warmup_steps=4), epochs=3)
    assert recorder.rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


def test_the_cosine_ends_with_the_hours_if_they_come_first():
    optim = OptimConfig(lr=1.0, schedule="cosine", final_lr=0.2)
    assert learning_rate(optim, 5, 1.0) == pytest.approx(0.2)
    assert learning_rate(optim, 5, 1.5) == pytest.approx(0.2)


def test_the_average_is_the_mean_it_is_said_to_be_and_is_what_is_validated(tmp_path):
    recorder, _, experiment = fit(tmp_path, epochs=3, ema_decay=0.25)
    average = torch.nn.Conv1d(1, 2, 5)
    torch.manual_seed(0)
    average = tiny.TinyNet().filters.weight.detach().clone()
    for step, weight in enumerate(recorder.weights, start=1):
        keep = min(0.25, (1 + step) / (10 + step))
        average = keep * average + (1 - keep) * weight
        if step % 2 == 0:
            torch.testing.assert_close(recorder.validated[step // 2 - 1], average)
    last = torch.load(experiment.last, weights_only=True)
    torch.testing.assert_close(last["averaged"]["filters.weight"], average)
    assert torch.equal(last["state_dict"]["network.filters.weight"], recorder.weights[-1])
    saved = network_package(experiment.last)["state_dict"]["filters.weight"]
    torch.testing.assert_close(saved, average)


def test_without_an_average_the_weights_are_validated(tmp_path):
    recorder, _, experiment = fit(tmp_path, epochs=1)
    assert torch.equal(recorder.validated[0], recorder.weights[-1])
    assert "averaged" not in torch.load(experiment.last, weights_only=True)


def test_statistics_of_batch_norms_are_averaged_and_counts_are_not(tmp_path):
    _, _, experiment = fit(tmp_path, epochs=4, ema_decay=0.9, network=tiny.NormedNet())
    last = torch.load(experiment.last, weights_only=True)
    mine, theirs = last["averaged"], last["state_dict"]
    assert not torch.equal(mine["norm.running_var"], theirs["network.norm.running_var"])
    assert int(mine["norm.num_batches_tracked"]) == 8


def test_hours_that_are_used_up_end_an_epoch_and_the_training(tmp_path, monkeypatch):
    """Each look at the clock is a minute later; 0.1 hours are six minutes."""
    minutes = iter(range(10_000))
    clock = SimpleNamespace(monotonic=lambda: 60.0 * next(minutes))
    monkeypatch.setattr("seloss.train.callbacks.schedule.time", clock)
    recorder, trainer, experiment = fit(tmp_path, epochs=100, max_hours=0.1)
    assert 1 <= len(recorder.weights) < 20
    assert trainer.global_step == experiment.progress()[1]
    assert len(recorder.validated) >= 1
    history = (tmp_path / "history.csv").read_text().splitlines()
    assert "train/loss" in history[0]
    again, _, _ = fit(tmp_path, epochs=100, max_hours=0.1, resume=True)
    assert again.weights == []
    more, _, longer = fit(tmp_path, epochs=100, max_hours=1.0, resume=True)
    assert more.weights
    assert longer.progress()[1] == trainer.global_step + len(more.weights)


def test_the_clock_counts_over_all_starts():
    budget = TimeBudget(2.0)
    budget.load_state_dict({"seconds": 3600.0})
    assert budget.share_used() == pytest.approx(0.5)
    assert TimeBudget(None).share_used() == 0


def test_training_starts_from_the_weights_of_a_checkpoint(tmp_path):
    network = DCCRN(channels=(4, 8), hidden=8, n_layers=1)
    torch.save(network.serialize(), tmp_path / "best_model.pth")
    other = DCCRN(channels=(4, 8), hidden=8, n_layers=1)
    load_initial_weights(other, tmp_path / "best_model.pth")
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    wider = DCCRN(channels=(4, 16), hidden=8, n_layers=1)
    with pytest.raises(ValueError, match=r"best_model.pth does not fit this network .* which is"):
        load_initial_weights(wider, tmp_path / "best_model.pth")
    with pytest.raises(FileNotFoundError):
        load_initial_weights(other, tmp_path / "none.pth")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OptimConfig(warmup_steps=-1), "warmup_steps must be 0 or more; got -1"),
        (lambda: OptimConfig(final_lr=2.0), "final_lr must be from 0 to 1; got 2"),
        (lambda: TrainingConfig(ema_decay=1.0), "ema_decay must be from 0 to below 1; got 1"),
        (lambda: TrainingConfig(max_hours=0.0), "max_hours must be positive; got 0"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
