"""That a nested U-Net learns from a random start to enhance the few mixtures it is shown."""

from __future__ import annotations

import pytest
import torch

from asteroid.losses import build_loss
from asteroid.models import CNUNet
from tests.data import make_mixture


@pytest.mark.slow
def test_a_cnunet_takes_noise_from_speech_after_twenty_steps():
    torch.manual_seed(0)
    made = [make_mixture(0.5, n_mics=1, seed=seed, snr_db=0) for seed in range(4)]
    mixture, speech, noise = (
        torch.stack([torch.as_tensor(part[0]).float() for part in parts])
        for parts in zip(*made, strict=True)
    )
    sources = torch.stack([speech, noise], dim=1)
    network = CNUNet(4, 2, (2, 2), win_length=256, hop_length=128, n_fft=256)
    loss, distance = build_loss("compressed_spectrum"), build_loss("si_snr")  # lower is better
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(21):
        optimiser.zero_grad()
        loss(network(mixture), sources).backward()
        optimiser.step()
    network.eval()
    with torch.no_grad():
        after, before = distance(network(mixture), sources), distance(mixture[:, None], sources)
    assert after < before - 2.0  # dB
