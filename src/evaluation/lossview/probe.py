"""Value and gradient of a loss under conditions with a known effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from asteroid.losses import SumLoss

from .examples import Example

__all__ = ["GAINS_DB", "SNRS_DB", "Condition", "conditions", "probe_loss"]

SNRS_DB = tuple(range(-40, 51, 5))
GAINS_DB = (-60, -40, -20, 0, 20, 40)
RANDOM_STARTS = 3
FILTER_TAPS = 64
CLIP = 0.1  # of the peak
DC = 0.1  # of full scale


class Condition(NamedTuple):
    """Input of a loss: estimate ``(samples,)``, speech and noise as targets ``(1, 2, samples)``.

    Its type is snr, gain, level, start or special, its value the SNR or gain in dB, else NaN.
    """

    kind: str
    name: str
    value: float
    estimate: Tensor
    targets: Tensor


def conditions(example: Example) -> Iterator[Condition]:
    """Yield all conditions of one utterance.

    snr: the speech with the noise at an SNR. gain: the estimate of 0 dB SNR made louder or softer.
    level: estimate and targets made louder or softer alike. start: a possible output of an
    untrained network: the mixture through a random filter, or unrelated noise. special: silence,
    clipping, DC.
    """
    speech, noise = example.speech, example.noise
    even = noise * (speech.norm() / noise.norm().clamp_min(1e-12))
    # Of the speech's energy, so that all SNRs are relative to 0 dB.
    targets, mixture = torch.stack([speech, even])[None], speech + even
    nan, silence = float("nan"), torch.zeros_like(speech)
    for snr in SNRS_DB:
        estimate = speech + even * 10 ** (-snr / 20)
        yield Condition("snr", f"{snr} dB SNR", snr, estimate, targets)
    for gain in GAINS_DB:
        factor = 10 ** (gain / 20)
        yield Condition("gain", f"estimate {gain:+d} dB", gain, factor * mixture, targets)
        yield Condition("level", f"all {gain:+d} dB", gain, factor * mixture, factor * targets)
    for seed in range(RANDOM_STARTS):
        draw = torch.Generator().manual_seed(seed)
        taps = torch.randn(FILTER_TAPS, generator=draw, dtype=speech.dtype) / FILTER_TAPS**0.5
        # Causal: zeros before the first sample; conv1d correlates, hence the flip.
        padded = nn.functional.pad(mixture[None, None], (FILTER_TAPS - 1, 0))
        filtered = nn.functional.conv1d(padded, taps.flip(0)[None, None])[0, 0]
        yield Condition("start", f"random filter {seed}", nan, filtered, targets)
        own = 0.1 * torch.randn(len(speech), generator=draw, dtype=speech.dtype)
        yield Condition("start", f"unrelated noise {seed}", nan, own, targets)
    only_noise = torch.stack([silence, even])[None]
    only_speech = torch.stack([speech, silence])[None]
    limit = CLIP * float(mixture.abs().max())
    for name, estimate, given in (
        ("silent estimate", silence, targets),
        ("silent speech", mixture, only_noise),
        ("silent noise", mixture, only_speech),
        ("all silent", silence, torch.zeros_like(targets)),
        ("perfect estimate", speech, targets),
        ("clipped estimate", mixture.clamp(-limit, limit), targets),
        ("estimate with DC", mixture + DC, targets),
        ("DC alone", torch.full_like(speech, DC), targets),
    ):
        yield Condition("special", name, nan, estimate, given)


def probe_loss(loss: nn.Module, examples: list[Example]) -> pd.DataFrame:
    """Return a row per utterance and condition.

    Columns: ``id``, ``kind``, ``condition``, ``at_db``, ``value``, ``gradient`` (its 2-norm),
    ``step`` (the gradient's norm times the estimate's: how much the loss falls for a small change
    of the estimate, relative to its size, so that levels compare); for sums ``value_<part>``,
    weighted, and ``share_<part>``, of the gradient.
    """
    rows = []
    for example in examples:
        for condition in conditions(example):
            row: dict[str, object] = {"id": example.id, "kind": condition.kind}
            row |= {"condition": condition.name, "at_db": condition.value}
            rows.append(row | _values(loss, condition))
    return pd.DataFrame(rows)


def _values(loss: nn.Module, condition: Condition) -> dict[str, float]:
    estimate = condition.estimate.float()[None, None].requires_grad_()
    targets = condition.targets.float()
    value = loss(estimate, targets).sum()
    (gradient,) = torch.autograd.grad(value, estimate, allow_unused=True)
    norm = 0.0 if gradient is None else float(gradient.double().norm())
    values = {"value": float(value.detach()), "gradient": norm}
    # Free of the estimate's level: a gradient scales with its inverse for level-invariant losses.
    values["step"] = norm * float(condition.estimate.norm())
    if isinstance(loss, SumLoss):
        with torch.no_grad():
            parts = loss.parts(estimate, targets)
        values |= {f"value_{name}": loss.weights[name] * float(x) for name, x in parts.items()}
        shares = loss.gradient_shares(estimate.detach(), targets)
        values |= {f"share_{name}": share for name, share in shares.items()}
    return values
