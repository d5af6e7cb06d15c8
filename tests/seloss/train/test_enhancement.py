from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr
from seloss.train import EnhancementSystem, NonFiniteError
from seloss.train.options.recipe import OptimConfig
from seloss.train.system.randomness import seed_step
from tests.seloss.train import tiny
from tests.seloss.train.tiny import fit

TRAIN = tiny.items(4)
VALID = tiny.items(3)  # as in tiny.fit


def scripted(values: list[float]):
    """A metric whose value in each validation (3 utterances in batches of 2 and 1) is given."""
    calls = itertools.count()

    def metric(estimate, target, noise, lengths):
        return torch.full((len(estimate),), values[min(next(calls) // 2, len(values) - 1)])

    return metric


def test_a_metric_that_improves_never_lowers_the_learning_rate(tmp_path):
    better = scripted([-5.0, -4.9999999, -4.0, 0.0, 1e-9, 2.0])
    run = fit(tmp_path, metric=better, epochs=6, lr_patience=1, patience=9)
    assert [row["lr"] for row in run.history()] == [0.01] * 6


def test_a_metric_that_falls_halves_the_learning_rate(tmp_path):
    worse = scripted([-1.0, -1.00001, -1.00002, -1.00003, -1.00004])  # by less than 1e-4, relative
    run = fit(tmp_path, metric=worse, epochs=5, lr_patience=1, patience=9)
    assert [row["lr"] for row in run.history()] == [0.01, 0.01, 0.01, 0.005, 0.005]


def test_the_best_checkpoint_has_the_highest_metric(tmp_path):
    values = scripted([1.0, 3.0, 2.0, -1.0])
    run = fit(tmp_path, metric=values, epochs=4, save_top_k=2, patience=9)
    assert Path(run.best.best_model_path).name.startswith("epoch=1-")
    assert sorted(run.best.scores().values()) == [2.0, 3.0]
    kept = {path.name for path in run.experiment.checkpoints.iterdir()}
    assert kept == {"epoch=1-step=4.ckpt", "epoch=2-step=6.ckpt", "last.ckpt"}
    assert run.last()["epoch"] == 3


def test_early_stop_waits_for_an_improvement_and_stays_stopped(tmp_path):
    values = scripted([1.0, 2.0, 1.5, 1.5, 9.0])
    run = fit(tmp_path, metric=values, epochs=20, patience=2)
    assert len(run.history()) == 4
    step = run.last()["global_step"]
    again = fit(tmp_path, metric=scripted([9.0]), epochs=20, patience=2)
    assert again.last()["global_step"] == step
    assert len(again.history()) == 4


def test_averages_are_over_utterances_not_batches(tmp_path):
    """Batches of 2 and 1: a mean of batch means would weigh the last utterance double."""
    lengths_as_score = lambda estimate, target, noise, lengths: lengths.double()  # noqa: E731
    run = fit(tmp_path, metric=lengths_as_score, epochs=1)
    true_lengths = [item.mixture.shape[-1] for item in VALID]
    assert run.history()[0]["val/score"] == pytest.approx(sum(true_lengths) / 3, rel=1e-6)
    with torch.no_grad():
        per_item = [
            run.system.loss_values(run.system(b.mixture, b.n_mics), b)["loss"]
            for b in map(tiny.batch, zip(VALID))
        ]
    expected = float(torch.cat(per_item).mean())
    assert run.history()[0]["val/loss"] == pytest.approx(expected, rel=1e-5)


def test_a_metric_undefined_on_one_utterance_averages_the_others(tmp_path):
    def metric(estimate, target, noise, lengths):
        return torch.where(lengths == tiny.N_SAMPLES, torch.nan, lengths.double())

    run = fit(tmp_path, metric=metric, epochs=1)
    shorter = [item.mixture.shape[-1] for item in VALID[1:]]
    assert run.history()[0]["val/score"] == pytest.approx(sum(shorter) / 2, rel=1e-6)


def test_microphones_reach_the_network_and_float32_the_loss(tmp_path):
    loss = tiny.SquaredError()
    run = fit(tmp_path, epochs=1, loss=loss, precision="bf16")
    assert [1, 2] in run.system.network.seen_mics
    assert loss.dtypes == {torch.float32}


def test_a_loss_without_lengths_that_returns_a_mean_will_do(tmp_path):
    loss = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
    equal = [item._replace(mixture=item.mixture[:1]) for item in tiny.items(1)] * 2
    first, second = fit(tmp_path, loss=loss, epochs=2, train=equal).history()
    assert second["train/loss"] < first["train/loss"]


class _BreaksAt(tiny.SquaredError):
    """Returns or causes NaN for the utterances named, from the given call on."""

    def __init__(self, length: int, calls: int, gradient: bool) -> None:
        super().__init__()
        self.length, self.calls, self.gradient = length, calls, gradient

    def forward(self, est_targets, targets, lengths):
        losses = super().forward(est_targets, targets, lengths)
        self.calls -= est_targets.requires_grad
        if self.calls >= 0 or not est_targets.requires_grad:
            return losses
        if self.gradient:  # finite value, infinite gradient
            return losses + torch.sqrt(est_targets[:, 0].sum(-1) * 0)
        return torch.where(lengths == self.length, torch.nan, losses)


@pytest.mark.parametrize("gradient", [False, True])
def test_a_loss_or_gradient_that_is_not_finite_stops_the_run(tmp_path, gradient):
    loss = _BreaksAt(TRAIN[3].mixture.shape[-1], calls=3, gradient=gradient)
    with pytest.raises(NonFiniteError, match="item-3") as caught:
        fit(tmp_path, loss=loss, epochs=3)
    assert ("item-2" in str(caught.value)) == gradient  # a loss blames one, a gradient its batch
    assert "item-0" not in str(caught.value)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 0
    assert all(bool(torch.isfinite(value).all()) for value in last["state_dict"].values())


def test_the_gradient_is_clipped(tmp_path):
    torch.manual_seed(0)
    start = nn.utils.parameters_to_vector(tiny.TinyNet().parameters())
    run = fit(
        tmp_path,
        epochs=1,
        optim=OptimConfig("sgd", lr=1.0, weight_decay=0.0),
        gradient_clipping=1e-3,
        train=TRAIN[:2],
    )
    step = nn.utils.parameters_to_vector(run.system.parameters()) - start
    assert float(step.detach().norm()) == pytest.approx(1e-3, rel=1e-3)


def test_resuming_repeats_an_uninterrupted_run(tmp_path):
    whole = fit(tmp_path / "whole", epochs=5, lr_patience=1)
    fit(tmp_path / "parts", epochs=2, lr_patience=1)
    parts = fit(tmp_path / "parts", epochs=5, lr_patience=1)
    tiny.assert_same(whole.system, parts.system)
    assert [row["epoch"] for row in parts.history()] == [0, 1, 2, 3, 4]


def test_a_finished_run_started_again_trains_no_more(tmp_path):
    fit(tmp_path, epochs=2)
    before = (tmp_path / "checkpoints" / "last.ckpt").read_bytes()
    run = fit(tmp_path, epochs=2)
    assert run.experiment.last.read_bytes() == before
    assert run.experiment.progress() == (2, 4)
    assert len(run.best.scores()) == 2


def test_the_scheduler_remembers_across_a_resume(tmp_path):
    values, patience = [1.0, 0.9, 0.8, 0.7], {"lr_patience": 1, "patience": 9}
    whole = fit(tmp_path / "whole", metric=scripted(values), epochs=4, **patience)
    fit(tmp_path / "parts", metric=scripted(values[:2]), epochs=2, **patience)
    parts = fit(tmp_path / "parts", metric=scripted(values[2:]), epochs=4, **patience)
    for run in (whole, parts):
        assert [row["lr"] for row in run.history()] == [0.01, 0.01, 0.01, 0.005]


def test_an_unknown_monitor_is_refused():
    with pytest.raises(ValueError, match=r"one of val/loss, val/score; got 'val/scores'"):
        EnhancementSystem(
            tiny.TinyNet(),
            tiny.SquaredError(),
            metrics={"score": scripted([math.inf])},
            monitor="val/scores",
        )


def draw(*place: int) -> float:
    seed_step(*place)
    return float(torch.rand(()))


def test_a_step_draws_the_same_whatever_came_before_and_another_step_something_else():
    first = draw(1, 2, 3)
    torch.rand(100)
    assert draw(1, 2, 3) == first
    places = list(itertools.product((0, 1), repeat=4))
    assert len({draw(*place) for place in places}) == len(places)
