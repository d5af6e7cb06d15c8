"""The point of a loss: a network with random weights learns by it."""

import pytest
import torch

from asteroid.losses import NegSISDRLoss
from asteroid.models import FasNetTAC
from tests.asteroid.losses.signals import EVERY_LOSS, NEW_LOSSES, label, make_loss
from tests.data import make_mixture

STEPS = 25


def _network(seed):
    torch.manual_seed(seed)
    return FasNetTAC(
        n_src=2,
        enc_dim=8,
        feature_dim=8,
        hidden_dim=8,
        n_layers=1,
        tac_hidden_dim=8,
        window_ms=16,
        chunk_size=8,
        hop_size=4,
    )


def _recording():
    """Mixture (1, 2, samples) and targets (1, 2, samples) at 0 dB."""
    mixture, speech, noise = make_mixture(0.4, n_mics=2, snr_db=0.0, seed=1)
    targets = torch.stack([torch.from_numpy(speech[0]), torch.from_numpy(noise[0])])
    return torch.from_numpy(mixture)[None], targets[None]


def train_some_steps(loss, seed=0):
    """Return the loss before and after some steps from random weights."""
    mixture, targets = _recording()
    network = _network(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    values = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = loss(network(mixture), targets)
        value.backward()
        optimizer.step()
        values.append(value.item())
    return values[0], min(values[-5:])


@pytest.mark.parametrize("loss", EVERY_LOSS[: -len(NEW_LOSSES) : 9], ids=label)
def test_a_network_learns_that_starts_where_the_published_clamp_has_no_gradient(loss):
    before, after = train_some_steps(make_loss(loss))
    assert before > 10
    assert after < 0


@pytest.mark.parametrize("loss", NEW_LOSSES, ids=label)
def test_a_network_learns_by_each_of_the_other_losses(loss):
    before, after = train_some_steps(make_loss(loss))
    assert after < before - 0.2 * abs(before)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("loss", EVERY_LOSS[: -len(NEW_LOSSES)], ids=label)
def test_every_loss_trains_a_fresh_network_from_every_seed(loss, seed):
    before, after = train_some_steps(make_loss(loss), seed)
    assert after < before - 3


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_published_clamp_does_not_train_and_warns():
    with pytest.warns(UserWarning, match="will not train"):
        loss = NegSISDRLoss("mel", 256, 64, 18, "speech_norm", variant="published")
    before, after = train_some_steps(loss)
    assert before == after == 10
