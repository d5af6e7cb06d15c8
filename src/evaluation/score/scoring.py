"""Score one sample: what a worker process of `utt_eval` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from auditus import get_metric
from auditus.metric import Metric

from .signals import Signals

__all__ = ["Task", "score_sample", "score_signals"]


@dataclass(frozen=True)
class Task:
    """Figures to compute of one sample.

    Attributes:
        sample: its `Sample_ID`.
        paths: file by signal, see `Signals`.
        keys: `<side>/<metric>`, as `out/si_sdr`.
        variant: of the metrics that have a published one.
        cut: cut signals of different lengths to the shortest, instead of refusing them.
    """

    sample: str
    paths: Mapping[str, Path] = field(hash=False)
    keys: tuple[str, ...]
    variant: str = "default"
    cut: bool = False


def score_sample(task: Task) -> dict[str, tuple[float, str]]:
    """Return value and reason by key; an unreadable file costs only the figures that need it."""
    files = Signals(task.paths)
    return {key: _score(key, files, task) for key in task.keys}


def _score(key: str, files: Signals, task: Task) -> tuple[float, str]:
    """Compute one figure, or say why it cannot be."""
    side, name = key.split("/")
    metric = get_metric(name)
    try:
        signals, rate = files.of(metric, side, cut=task.cut)
    except ValueError as error:
        return np.nan, str(error)
    return score_signals(metric, signals, rate, task.variant)


def score_signals(
    metric: Metric, signals: Mapping[str, Tensor], sample_rate: int, variant: str
) -> tuple[float, str]:
    """Return a metric's value of one utterance, and why it is NaN where it is.

    Args:
        metric: which.
        signals: estimate, target, noise as far as it needs them, as `Signals.of` returns them.
        sample_rate: in Hz.
        variant: for a metric that has a published one.
    """
    options: dict[str, object] = {"variant": variant} if metric.published else {}
    try:
        scores = metric.measure(
            signals["estimate"],
            signals.get("target"),
            signals.get("noise"),
            sample_rate=sample_rate,
            lengths=None,
            **options,
        )
    except Exception as error:  # one metric's trouble, a missing library say, is not the others'
        return np.nan, f"{type(error).__name__}: {error}"
    return float(scores.values[0]), scores.reasons[0]
