"""Score one sample: what a worker process of `utt_eval` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from auditus import get_metric
from auditus.metric import Metric

__all__ = ["SIDES", "Task", "needed_signals", "score_sample"]

# What is judged: the system's estimate, and the mixture as if it were one.
SIDES = {"out": "estimate", "in": "mixture"}
# What the other signals are to a metric.
ROLES = {"speech": "target", "noise": "noise"}

# A file's samples `(channels, time)` and rate, or why it has none.
Audio = tuple[Tensor, int] | str


@dataclass(frozen=True)
class Task:
    """Figures to compute of one sample.

    Attributes:
        sample: its `Sample_ID`.
        paths: file by signal: mixture, speech, noise, estimate, and `<signal>_left` and
            `<signal>_right` where ears are known.
        keys: `<side>/<metric>`, as `out/si_sdr`.
        variant: of the metrics that have a published one.
        cut: cut signals of different lengths to the shortest, instead of refusing them.
    """

    sample: str
    paths: Mapping[str, Path] = field(hash=False)
    keys: tuple[str, ...]
    variant: str = "default"
    cut: bool = False


def needed_signals(key: str) -> tuple[str, ...]:
    """Return the signals that a figure is computed from, the judged one first."""
    side, name = key.split("/")
    metric = get_metric(name)
    speech = ("speech",) if metric.needs_target else ()
    return (SIDES[side], *speech, *(("noise",) if metric.needs_noise else ()))


def score_sample(task: Task) -> dict[str, tuple[float, str]]:
    """Return value and reason by key; an unreadable file costs only the figures that need it."""
    files = _Files(task.paths)
    return {key: _score(key, files, task) for key in task.keys}


class _Files:
    """A sample's audio, each file read once."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = paths
        self._read: dict[str, Audio] = {}

    def one_ear(self, name: str) -> Audio:
        """Return `(1, time)`: the first channel, that of the reference microphone."""
        audio = self._file(name)
        return audio if isinstance(audio, str) else (audio[0][:1], audio[1])

    def two_ears(self, name: str) -> Audio:
        """Return `(1, 2, time)` of two files, or of a file with two channels."""
        if f"{name}_left" in self.paths and f"{name}_right" in self.paths:
            return _stacked(self._file(f"{name}_left"), self._file(f"{name}_right"), name)
        audio = self._file(name)
        if isinstance(audio, str):
            return audio
        if len(audio[0]) != 2:
            path = _called(name, self.paths[name])
            return f"{path} has {len(audio[0])} channel(s); a binaural figure needs two"
        return audio[0][None], audio[1]

    def _file(self, name: str) -> Audio:
        if name not in self._read:
            self._read[name] = (
                _read(name, self.paths[name]) if name in self.paths else f"there is no {name}"
            )
        return self._read[name]


def _score(key: str, files: _Files, task: Task) -> tuple[float, str]:
    """Compute one figure, or say why it cannot be."""
    metric, names = get_metric(key.split("/")[1]), needed_signals(key)
    signals: dict[str, Tensor] = {}
    rates: list[int] = []
    for name in names:
        found = files.two_ears(name) if metric.channels == 2 else files.one_ear(name)
        if isinstance(found, str):
            return np.nan, found
        signals[ROLES.get(name, "estimate")] = found[0]
        rates.append(found[1])
    if len(set(rates)) > 1:
        return np.nan, f"sample rates differ: {rates} Hz for {', '.join(names)}"
    lengths = [signal.shape[-1] for signal in signals.values()]
    if len(set(lengths)) > 1:
        if not task.cut:
            return np.nan, f"lengths differ: {lengths} samples for {', '.join(names)}"
        signals = {name: signal[..., : min(lengths)] for name, signal in signals.items()}
    return _measure(metric, signals, rates[0], task.variant)


def _measure(
    metric: Metric, signals: Mapping[str, Tensor], sample_rate: int, variant: str
) -> tuple[float, str]:
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


def _read(name: str, path: Path) -> Audio:
    if not path.is_file():
        return f"there is no {_called(name, path)}"
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:
        return f"{_called(name, path)} cannot be read: {error}"
    return torch.from_numpy(samples.T.copy()), rate


def _called(name: str, path: Path) -> str:
    """Name a file for a message: an experiment's are named after their signal."""
    return path.name if path.stem == name else f"{name} {path}"


def _stacked(left: Audio, right: Audio, name: str) -> Audio:
    """Join the files of two ears."""
    if isinstance(left, str) or isinstance(right, str):
        return left if isinstance(left, str) else right
    if left[1] != right[1] or left[0].shape[-1] != right[0].shape[-1]:
        return f"the two ears' files of the {name} differ in rate or length"
    return torch.stack([left[0][0], right[0][0]])[None], left[1]
