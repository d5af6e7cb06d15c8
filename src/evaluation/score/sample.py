"""Metrics of one sample: each computed, or the reason why not.

All metrics of a sample get the same tensors, since what they share is kept by tensor: see
`auditus.memory`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from auditus import get_metric
from auditus.metric import Metric
from evaluation.testset.signals import SignalFiles

__all__ = ["SIDES", "SampleTask", "Score", "score_sample", "score_signals", "signals_for"]

# What is scored: the system's estimate, and the mixture as if it were one.
SIDES = {"out": "estimate", "in": "mixture"}
# What the other signals are to a metric.
_ROLES = {"speech": "target", "noise": "noise"}

# The value of a metric, or the reason why it has none.
Score = float | str


@dataclass(frozen=True)
class SampleTask:
    """Metrics to compute of one sample.

    Attributes:
        sample: its `Sample_ID`.
        paths: file by signal, see `SignalFiles`.
        keys: `<side>/<metric>`, as `out/si_sdr`.
        variant: of the metrics that have a published one.
        cut: cut signals of different lengths to the shortest, instead of refusing them.
    """

    sample: str
    paths: Mapping[str, Path] = field(hash=False)
    keys: tuple[str, ...]
    variant: str = "default"
    cut: bool = False


def score_sample(task: SampleTask) -> dict[str, Score]:
    """Return the scores by key; an unreadable file costs only the metrics that need it."""
    files = SignalFiles(task.paths)
    scores: dict[str, Score] = {}
    for key in task.keys:
        side, name = key.split("/")
        metric = get_metric(name)
        try:
            signals, rate = signals_for(metric, side, files, cut=task.cut)
        except ValueError as error:
            scores[key] = str(error)
        else:
            scores[key] = score_signals(metric, signals, rate, task.variant)
    return scores


def signals_for(
    metric: Metric, side: str, files: SignalFiles, *, cut: bool = False
) -> tuple[dict[str, Tensor], int]:
    """Return estimate, target and noise as far as a metric needs them, and their rate.

    Args:
        metric: a binaural one gets both ears `(1, 2, time)`, others the first channel `(1, time)`,
            that of the reference microphone.
        side: of `SIDES`.
        files: the sample's.
        cut: cut signals of different lengths to the shortest, instead of refusing them.

    Raises:
        ValueError: a file is missing, unreadable or empty, lengths or rates differ.
    """
    speech = ("speech",) if metric.needs_target else ()
    names = (SIDES[side], *speech, *(("noise",) if metric.needs_noise else ()))
    signals, rate = files.read(*names, two_ears=metric.channels == 2, cut=cut)
    return {_ROLES.get(name, "estimate"): signal for name, signal in signals.items()}, rate


def score_signals(
    metric: Metric, signals: Mapping[str, Tensor], sample_rate: int, variant: str
) -> Score:
    """Return a metric's value of one utterance, or the reason why it has none."""
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
        return f"{type(error).__name__}: {error}"
    value = float(scores.values[0])
    return scores.reasons[0] if value != value else value
