"""Training steps on a GPU: numbers are read some steps later, and nothing is lost by it."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from seloss.train import NonFiniteError
from seloss.train.options.recipe import OptimConfig
from seloss.train.system.deferred import DeferredReads
from tests.seloss.train import tiny
from tests.seloss.train.tiny import fit


@pytest.fixture
def late(monkeypatch):
    """Read as on a GPU: ten values together, which are five steps of the system's."""
    monkeypatch.setattr(DeferredReads, "on_cpu", 10)


class _Counter(TorchDispatchMode):
    """Counts the numbers read; ``tolist`` of a CPU tensor is not dispatched, and patched below."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


class _Steps(pl.Callback):
    """Numbers read in each training step, from the batch's start to the end of all callbacks."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reads: list[int] = []
        self.patch, self.counter = patch, _Counter()

    def on_train_batch_start(self, *args: object) -> None:
        self.counter = _Counter()
        real = torch.Tensor.tolist

        def tolist(tensor: torch.Tensor) -> object:
            self.counter.count += 1
            return real(tensor)

        self.patch.setattr(torch.Tensor, "tolist", tolist)
        self.counter.__enter__()

    def on_train_batch_end(self, *args: object) -> None:
        self.counter.__exit__(None, None, None)
        self.patch.undo()
        self.reads.append(self.counter.count)


class _Net(tiny.TinyNet):
    def forward(self, x, valid_mics=None):
        return self.filters(x[:, :1])


def steps_of(folder, monkeypatch, **options) -> list[int]:
    steps = _Steps(pytest.MonkeyPatch())
    real = tiny.trainer

    def trainer(*args, **more):
        made, best, experiment = real(*args, **more)
        made.callbacks.append(steps)  # behind the run log and all others
        return made, best, experiment

    monkeypatch.setattr(tiny, "trainer", trainer)
    fit(folder, network=_Net(), train=tiny.items(16), epochs=1, loggers=(), **options)
    return steps.reads


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_step_waits_for_the_device_once_in_five_and_else_never(
    tmp_path, monkeypatch, late, ema_decay
):
    optim = OptimConfig("adam", lr=0.01, kernel="fused", warmup_steps=2)
    reads = steps_of(tmp_path, monkeypatch, optim=optim, ema_decay=ema_decay, gradient_clipping=1.0)
    # Eight steps: the fifth reads ten values; the last closes the epoch.
    assert reads[:4] == [0] * 4
    assert reads[5:7] == [0] * 2
    assert reads[4] == 1


def test_on_a_cpu_every_step_is_checked_at_once(tmp_path, monkeypatch):
    assert min(steps_of(tmp_path, monkeypatch)) >= 2


def test_nothing_of_the_record_is_lost(tmp_path, monkeypatch):
    runs = []
    for folder, together in (("at once", 1), ("late", 7)):
        monkeypatch.setattr(DeferredReads, "on_cpu", together)
        fit(tmp_path / folder, epochs=2, train=tiny.items(10))  # stopped, and resumed:
        runs.append(fit(tmp_path / folder, epochs=3, train=tiny.items(10)))
    tiny.assert_same(runs[0].system, runs[1].system)
    curves = [(tmp_path / name / "curves.csv").read_text() for name in ("at once", "late")]
    assert curves[0] == curves[1]
    assert len(curves[0].splitlines()) == 16
    rows = [[{**row, "seconds": 0} for row in run.history()] for run in runs]
    assert rows[0] == rows[1]
    assert all(row["train/loss"] > 0 for row in rows[1])


class _Breaks(tiny.SquaredError):
    """In the fourth training batch the loss or its gradient is not finite."""

    def __init__(self, gradient: bool) -> None:
        super().__init__()
        self.calls, self.gradient = 0, gradient

    def forward(self, est_targets, targets, lengths):
        losses = super().forward(est_targets, targets, lengths)
        self.calls += est_targets.requires_grad
        if self.calls != 4 or not est_targets.requires_grad:
            return losses
        if self.gradient:  # finite value, infinite gradient
            return losses + torch.sqrt(est_targets[:, 0].sum(-1) * 0)
        # Infinite value, finite gradient: the norm of the gradient would not tell.
        return losses + torch.tensor([0.0, torch.inf])


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_what_is_not_finite_is_named_and_reaches_no_weight_though_it_is_read_late(
    tmp_path, monkeypatch, late, gradient, optimizer
):
    optim = OptimConfig(optimizer, lr=0.01, weight_decay=0.1)
    network, before = _Net(), []

    def remember(*args: object) -> None:
        before.append(torch.nn.utils.parameters_to_vector(network.parameters()).detach().clone())

    monkeypatch.setattr(tiny.EnhancementSystem, "on_train_batch_end", remember)
    with pytest.raises(NonFiniteError, match="item-7") as caught:
        fit(tmp_path, network=network, loss=_Breaks(gradient), train=tiny.items(16), optim=optim)
    assert "item-9" not in str(caught.value)
    assert "step 3" in str(caught.value)
    weights = torch.nn.utils.parameters_to_vector(network.parameters())
    assert torch.equal(weights, before[2])  # as three good steps have left them
    assert not torch.equal(before[1], before[2])
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()
