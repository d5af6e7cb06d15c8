"""Losses and networks on another device: nothing made on the wrong one, nothing waited for."""

import pytest
import torch

from asteroid.losses import SumLoss
from asteroid.losses.compressed_spectrum import LatentLoss
from tests.asteroid.losses.signals import EVERY_LOSS, label, make_loss, make_signals
from tests.asteroid.networks import NETWORKS, build, inputs
from tests.elsewhere import DEVICE, OtherDevice, carry_over, fetch, send

ROUNDING = 1e-5  # of the largest value: sums are taken in another order than by the fast paths


def test_the_other_device_refuses_to_be_mixed_and_counts_waits():
    values = torch.tensor([1.0, -2.0, 3.0])
    with OtherDevice() as device:
        (away,) = send(values)
        assert (away.device, (away * 2).device) == (DEVICE, DEVICE)
        assert fetch(away * 2 + 1).tolist() == [3.0, -3.0, 7.0]
        for mix in (lambda: away + values, lambda: torch.where(away > 0, away, values)):
            with pytest.raises(RuntimeError, match="tensors of two devices"):
                mix()
        assert fetch(torch.arange(3, device=away.device) + away).tolist() == [1.0, -1.0, 5.0]
        assert device.waits == []
        for count, read in enumerate(
            [
                lambda: float(away[0]),
                lambda: bool((away > 0).any()),
                away.tolist,
                away.cpu,
                lambda: away[away > 0],
                away.nonzero,
                lambda: torch.equal(away, away),
            ],
            1,
        ):
            read()
            assert len(device.waits) == count
        assert away.tolist() == values.tolist()


@pytest.mark.parametrize("loss", EVERY_LOSS, ids=label)
@pytest.mark.parametrize("padded", [False, True])
def test_every_loss_is_the_same_there_and_waits_for_nothing(loss, padded):
    est_targets, targets = make_signals(dtype=torch.float32)
    lengths = torch.tensor([2000, 1500]) if padded else None
    here = est_targets[:, :1].clone().requires_grad_()
    value = make_loss(loss)(here, targets, lengths)
    value.backward()
    with OtherDevice() as device:
        estimate, other = send(est_targets[:, :1], targets)
        away = carry_over(make_loss(loss))(
            estimate.requires_grad_(), other, send(lengths)[0] if padded else None
        )
        away.backward()
        assert torch.equal(fetch(away.detach()), value.detach())
        torch.testing.assert_close(fetch(estimate.grad), here.grad)
        assert device.waits == []


def test_a_sum_and_the_latent_loss_wait_for_nothing():
    est_targets, targets = make_signals(dtype=torch.float32)
    parts = [{"name": "si_snr"}, {"name": "lms", "weight": 0.5}, {"name": "mse", "weight": 0}]
    latent, stored = torch.randn(2, 3, 4, 20), torch.randn(2, 3, 4, 20)
    with OtherDevice() as device:
        estimate, other, lengths = send(est_targets, targets, torch.tensor([2000, 1500]))
        carry_over(SumLoss(parts))(estimate.requires_grad_(), other, lengths).backward()
        first, second, n_frames = send(latent, stored, torch.tensor([20, 11]))
        carry_over(LatentLoss())(first.requires_grad_(), second, n_frames).sum().backward()
        assert device.waits == []


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_every_network_is_the_same_there_and_waits_for_nothing(name, training):
    mixture, *mics = inputs(name)
    network = build(name).train(training)
    expected = network(mixture, *mics)
    expected.square().mean().backward()
    with OtherDevice() as device:
        other = carry_over(build(name).train(training))
        estimate = other(send(mixture)[0], *mics)  # numbers of microphones stay on the CPU
        estimate.square().mean().backward()
        difference = (fetch(estimate.detach()) - expected.detach()).abs().max()
        gradients = [fetch(p.grad.detach()) for p in other.parameters() if p.grad is not None]
        assert device.waits == []
    assert float(difference) < ROUNDING * float(expected.detach().abs().max())
    expected_gradients = [p.grad for p in network.parameters() if p.grad is not None]
    largest = max(float(gradient.abs().max()) for gradient in expected_gradients)
    for ours, theirs in zip(expected_gradients, gradients, strict=True):
        assert float((theirs - ours).abs().max()) < 10 * ROUNDING * largest
