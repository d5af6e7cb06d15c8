"""Maps of a loss over time and frequency: weights, each cell's share, and the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asteroid.dsp.projection import project
from asteroid.dsp.stft import Stft
from asteroid.losses import NegSISDRLoss, SumLoss

from .examples import Example

__all__ = ["CellMap", "gradient_of", "maps_of"]

WINDOW_S = 0.032


class CellMap(NamedTuple):
    """Quantity over time and frequency: ``values`` are ``(freq or bands, frames)``."""

    name: str
    unit: str
    values: Tensor
    centres_hz: Tensor
    hop_s: float


def gradient_of(loss: nn.Module, example: Example) -> Tensor:
    """Return the gradient of the loss ``(samples,)`` at the estimate, or else at the mixture."""
    estimate = example.start.float()[None, None].requires_grad_()  # (batch, sources, samples)
    value = loss(estimate, example.targets.float()).sum()
    (gradient,) = torch.autograd.grad(value, estimate, allow_unused=True)
    if gradient is None:  # the loss does not depend on the estimate
        return torch.zeros_like(example.mixture)
    return torch.as_tensor(gradient[0, 0].double())


def maps_of(loss: nn.Module, example: Example) -> Iterator[CellMap]:
    """Yield the maps of a loss: the signal, weights and shares where it has them, the gradient.

    Weights and shares are those of frequency-weighted SI-SDR, also as a part of a sum: a cell's
    share of the distortion is its weighted distortion over that of all cells.
    """
    yield _level("the signal", example.start, example.sample_rate)
    parts = loss.losses.items() if isinstance(loss, SumLoss) else [("", loss)]
    for label, part in parts:
        if isinstance(part, NegSISDRLoss):
            yield from _weighted(part, example, f"{label}: " if label else "")
    yield _level("gradient", gradient_of(loss, example), example.sample_rate)


def _weighted(loss: NegSISDRLoss, example: Example, label: str) -> Iterator[CellMap]:
    signals = (example.start, example.speech, example.noise)
    estimate, speech, noise = (signal.float()[None] for signal in signals)
    with torch.no_grad():
        projection = project(estimate, speech)
        weights = loss.weights_of(speech, noise)
        distortion = loss.scale(loss.stft.magnitude(projection.distortion)).square()
    share = (weights * distortion)[0].double()
    hop_s = loss.stft.hop_length / example.sample_rate
    centres = loss.scale.centres_hz
    # 1e-8 and 1e-6: nothing is shown below -80 and -60 dB, and an empty cell has a level.
    weight_db = 10 * weights[0].double().clamp_min(1e-8).log10()
    yield CellMap(f"{label}weight", "dB re. highest", weight_db, centres, hop_s)
    share_db = 10 * (share / share.max().clamp_min(1e-30)).clamp_min(1e-6).log10()
    yield CellMap(f"{label}share of the distortion", "dB re. highest", share_db, centres, hop_s)


def _level(name: str, signal: Tensor, sample_rate: int) -> CellMap:
    """Return the level of each cell of ``(samples,)`` in dB re. the highest."""
    window = round(WINDOW_S * sample_rate)
    power = Stft(window, window // 4)(signal[None])[0].abs().square()
    level = 10 * (power / power.max().clamp_min(1e-30)).clamp_min(1e-7).log10()
    centres = torch.linspace(0, sample_rate / 2, len(level))
    return CellMap(name, "dB re. highest", level, centres, window // 4 / sample_rate)
