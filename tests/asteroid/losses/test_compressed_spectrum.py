"""The losses of the two-stage training against their formulas; faults they do not repeat."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asteroid.dsp.compression import compress
from asteroid.losses.compressed_spectrum import CompressedSpectrumLoss, LatentLoss


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_value_is_that_of_the_formula_in_numpy():
    estimate, target = 0.1 * noise(1, 2000), 0.1 * noise(1, 2000, seed=1)
    window = np.hamming(513)[:-1]

    def compressed(signal):
        padded = np.pad(signal.numpy()[0], (256, 512))
        frames = [padded[i : i + 512] * window for i in range(0, 9 * 256, 256)]
        spectrum = np.fft.rfft(np.array(frames))
        return spectrum * np.abs(spectrum) ** (0.2 - 1)

    a, b = compressed(estimate), compressed(target)
    expected = 0.1 * ((a.real - b.real) ** 2 + (a.imag - b.imag) ** 2).mean()
    expected += 0.9 * ((np.abs(a) - np.abs(b)) ** 2).mean()
    value = CompressedSpectrumLoss()(estimate, target)
    assert value.item() == pytest.approx(expected, rel=1e-4)  # 1e-7 is added to the energies


@pytest.mark.parametrize("length", [16000, 15872, 1, 300])
def test_a_perfect_estimate_scores_zero_at_any_length(length):
    speech = noise(2, 1, length)
    assert CompressedSpectrumLoss()(speech, speech) == 0


def test_phase_counts_in_one_part_only():
    speech = noise(1, 1, 4000)
    assert CompressedSpectrumLoss(complex_weight=0)(-speech, speech).item() < 1e-12
    assert CompressedSpectrumLoss(magnitude_weight=0)(-speech, speech).item() > 0.1


@pytest.mark.parametrize(("power", "win_length", "hop_length"), [(0.2, 512, 256), (0.3, 96, 40)])
def test_values_and_gradients_are_those_of_the_plain_formula(power, win_length, hop_length):
    loss = CompressedSpectrumLoss(0.3, 0.7, power, win_length, hop_length, reduction="none")
    estimate, target = noise(2, 1500), noise(2, 1500, seed=1)
    estimate[:, 700:1300] = 0  # digital silence

    def plain(signal):
        pair = [compress(loss.stft(one), power) for one in (signal, target)]
        apart = (pair[0] - pair[1]).square().sum(1)
        sizes = [(one.square().sum(1) + 1e-12).sqrt() for one in pair]
        return (0.3 * apart + 0.7 * (sizes[0] - sizes[1]).square()).mean((1, 2))

    found = []
    for compute in (lambda x: loss(x, target), plain):
        x = estimate.clone().requires_grad_()
        values = compute(x)
        (values * torch.tensor([1.0, -2.0])).sum().backward()
        found.append((values, x.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-12)


def test_wrong_weights_are_refused():
    with pytest.raises(ValueError, match="must not be negative, nor both 0"):
        CompressedSpectrumLoss(complex_weight=0, magnitude_weight=0)


def test_latent_loss_is_the_error_against_the_normalised_target():
    latent, stored = noise(2, 6, 3, 5).float(), 4 + 3 * noise(2, 6, 3, 5, seed=1).float()
    expected = torch.nn.functional.group_norm(stored, 2)
    value = LatentLoss()(latent, stored)
    assert torch.allclose(value, (latent - expected).square().mean((1, 2, 3)), rtol=1e-5)
    assert LatentLoss()(expected, stored).max() < 1e-6


def test_latent_loss_does_not_see_the_padding():
    latent, stored = noise(1, 6, 3, 5).float(), noise(1, 6, 3, 5, seed=1).float()
    padded = [torch.nn.functional.pad(x, (0, 4), value=9.0) for x in (latent, stored)]
    alone = LatentLoss()(latent, stored)
    assert torch.allclose(LatentLoss()(*padded, torch.tensor([5])), alone, rtol=1e-5)


def test_latents_of_another_network_are_refused():
    with pytest.raises(ValueError, match="come from networks of other sizes"):
        LatentLoss()(noise(1, 6, 3, 5), noise(1, 8, 3, 5))
