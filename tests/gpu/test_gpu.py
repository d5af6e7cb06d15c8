"""On a GPU: values of the CPU, and no wait in a step. ``pytest -m gpu``.

Beside it, ``python -m benchmarks --device cuda`` measures. Without a GPU these tests are skipped;
``SELOSS_GPU_DRY_RUN=1`` runs them on the CPU, to see that they run.
"""

import os
from contextlib import contextmanager
from functools import partial

import pytest
import torch

from asteroid.losses import build_loss
from tests.asteroid.losses.signals import EVERY_LOSS, label, make_loss, make_signals
from tests.asteroid.networks import NETWORKS, build, inputs
from tests.seloss.train import tiny

DRY = os.environ.get("SELOSS_GPU_DRY_RUN") == "1"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == "cpu" and not DRY, reason="no GPU"),
]
TOLERANCE = 1e-3  # relative: TF32 is off, sums are taken in another order


@contextmanager
def no_waits():
    """Any read of a number from the GPU is an error."""
    mode = torch.cuda.set_sync_debug_mode if DEVICE == "cuda" else lambda _: None
    mode("error")
    try:
        yield
    finally:
        mode("default")


def close(there, here):
    there = there.detach().cpu()
    assert float((there - here).abs().max()) <= TOLERANCE * float(here.abs().max() + 1e-6)


@pytest.mark.parametrize("loss", EVERY_LOSS, ids=label)
def test_a_loss_has_the_values_of_the_cpu_and_waits_for_nothing(loss):
    est_targets, targets = make_signals(dtype=torch.float32)
    lengths = torch.tensor([2000, 1500])
    here = est_targets[:, :1].clone().requires_grad_()
    value = make_loss(loss)(here, targets, lengths)
    value.backward()
    module, estimate = make_loss(loss).to(DEVICE), est_targets[:, :1].clone().to(DEVICE)
    arguments = [x.to(DEVICE) for x in (targets, lengths)]
    with no_waits():
        there = module(estimate.requires_grad_(), *arguments)
        there.backward()
    close(there, value.detach())
    close(estimate.grad, here.grad)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_the_values_of_the_cpu_and_waits_for_nothing(name):
    mixture, *mics = inputs(name)
    with torch.no_grad():
        expected = build(name).train()(mixture, *mics)
    network, there = build(name).train().to(DEVICE), mixture.to(DEVICE)
    with no_waits():
        estimate = network(there, *mics)
        estimate.square().mean().backward()
    close(estimate, expected)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_training_runs_and_resumes(tmp_path, precision):
    options = {"precision": precision, "gpus": int(DEVICE == "cuda"), "loss": build_loss("xp1")}
    fit = partial(tiny.fit, tmp_path, network=Net(), train=tiny.items(16), **options)
    fit(epochs=1)
    run = fit(epochs=3)
    losses = [row["train/loss"] for row in run.history()]
    assert len(losses) == 3
    assert losses[2] < losses[0]


class Net(tiny.TinyNet):
    def forward(self, x, valid_mics=None):
        assert valid_mics.device.type == "cpu"
        return self.filters(x[:, :1])
