"""Metrics of parts of an utterance, phones for instance, without cutting the audio.

Everything is computed on the whole utterance; then samples, frames or windows are summed over the
part they lie in (``pooling_units`` says how, ``pooling_ratios`` and ``pooling_stoi`` of what).
Cutting instead loses what needs context: phones last 30 to 150 ms, while STOI is not defined below
0.42 s of speech and PESQ below 0.25 s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from .metric import Metric, Rows, Scores
from .pooling_ratios import FRAMES, SAMPLES
from .pooling_stoi import STOI
from .pooling_units import PartSums, Units, pool
from .ratios import without_copies

__all__ = ["POOLED", "PartSums", "Units", "measure_units", "pool", "why_not_pooled"]

#: Metric name -> function of one row of signals.
POOLED: dict[str, Callable[[Rows], Units]] = {**SAMPLES, **FRAMES, **STOI}
# Told apart from speech, which a multiple of the speech cannot be.
_INTERFERENCE = ("si_sir", "fw_sir")


def measure_units(
    metric: Metric,
    estimate: Tensor,
    target: Tensor,
    noise: Tensor | None = None,
    *,
    sample_rate: int,
) -> Units:
    """Return what a metric of one utterance is made of along time.

    Args:
        metric: One of ``POOLED``.
        estimate: ``(samples,)``, any real dtype and device.
        target: ``(samples,)``.
        noise: ``(samples,)``; only some metrics need it.
        sample_rate: In Hz.

    Returns:
        The units; none, with the reason, where the metric of the utterance is not defined.

    Raises:
        ValueError: The metric cannot be pooled, or shapes do not fit.

    Example:
        >>> from auditus import get_metric
        >>> speech, noise = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
        >>> mixture = speech.clone()
        >>> mixture[8000:] += 0.1 * noise[8000:]
        >>> units = measure_units(get_metric("si_sdr"), mixture, speech, sample_rate=16000)
        >>> halves = pool(units, torch.tensor([[0, 8000], [8000, 16000]]))
        >>> bool(halves.values[0] > 50), round(float(halves.values[1]))
        (True, 20)
    """
    if metric.name not in POOLED:
        raise ValueError(why_not_pooled(metric.name))
    found: list[Units] = []

    def capture(rows: Rows) -> Scores:
        units = POOLED[metric.name](rows)
        scores = Scores.of(torch.tensor([units.whole], dtype=torch.float64))
        if units.reason:
            scores = Scores(scores.values, (units.reason,))
        found.append(units)
        return without_copies(scores, rows) if metric.name in _INTERFERENCE else scores

    # the checks of the metric itself, around another core
    whole = dataclasses.replace(metric, core=capture).measure(
        estimate[None],
        target[None],
        None if noise is None else noise[None],
        sample_rate=sample_rate,
    )
    if not whole.reasons[0]:
        return found[0]
    nothing = torch.zeros(0, dtype=torch.float64)
    return Units("mean", nothing, nothing, nothing, whole.reasons[0])


def why_not_pooled(name: str) -> str:
    """Say why a metric has no value for a part of an utterance; "" if it has one."""
    if name in POOLED:
        return ""
    return (
        f"{name} is one score of a whole signal and cannot be pooled: ask for it on joined "
        f"segments (method concatenated); these can be pooled: {', '.join(POOLED)}"
    )
