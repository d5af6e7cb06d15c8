"""Score one sample's folder: what a worker process of `utt_eval` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from auditus import get_metric

__all__ = ["SIDES", "Task", "needed_files", "score_sample"]

# What is judged: the network's estimate, and the mixture as if it were one.
SIDES = {"out": "estimate", "in": "mixture"}
# What the other files are to a metric.
ROLES = {"speech": "target", "noise": "noise"}


@dataclass(frozen=True)
class Task:
    """Figures to compute of one sample.

    Attributes:
        folder: holds mixture.wav, speech.wav, noise.wav, estimate.wav.
        keys: `<side>/<metric>`, as `out/si_sdr`.
        variant: of the metrics that have a published one.
    """

    folder: Path
    keys: tuple[str, ...]
    variant: str = "default"


def needed_files(key: str) -> tuple[str, ...]:
    """Return the signals that a figure is computed from, the judged one first."""
    side, name = key.split("/")
    metric = get_metric(name)
    speech = ("speech",) if metric.needs_target else ()
    return (SIDES[side], *speech, *(("noise",) if metric.needs_noise else ()))


def score_sample(task: Task) -> dict[str, tuple[float, str]]:
    """Return value and reason by key; an unreadable file costs only the figures that need it."""
    audio: dict[str, tuple[Tensor, int] | str] = {}
    scores = {}
    for key in task.keys:
        for name in needed_files(key):
            if name not in audio:
                audio[name] = _read(task.folder / f"{name}.wav")
        scores[key] = _score(key, [(name, audio[name]) for name in needed_files(key)], task.variant)
    return scores


def _score(
    key: str, files: list[tuple[str, tuple[Tensor, int] | str]], variant: str
) -> tuple[float, str]:
    """Compute one figure, or say why it cannot be."""
    signals: dict[str, Tensor] = {}
    rates: list[int] = []
    for name, found in files:
        if isinstance(found, str):
            return np.nan, found
        signals[ROLES.get(name, "estimate")] = found[0]
        rates.append(found[1])
    names = ", ".join(name for name, _ in files)
    if len(set(rates)) > 1:
        return np.nan, f"sample rates differ: {rates} Hz for {names}"
    shapes = [signal.shape[-1] for signal in signals.values()]
    if len(set(shapes)) > 1:
        return np.nan, f"lengths differ: {shapes} samples for {names}"
    metric = get_metric(key.split("/")[1])
    options: dict[str, object] = {"variant": variant} if metric.published else {}
    try:
        scores = metric.measure(
            signals["estimate"],
            signals.get("target"),
            signals.get("noise"),
            sample_rate=rates[0],
            lengths=None,
            **options,
        )
    except Exception as error:  # one metric's trouble, a missing library say, is not the others'
        return np.nan, f"{type(error).__name__}: {error}"
    return float(scores.values[0]), scores.reasons[0]


def _read(path: Path) -> tuple[Tensor, int] | str:
    """Return a mono file as `(1, time)` with its rate, or why it cannot be read."""
    if not path.is_file():
        return f"there is no {path.name}"
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:
        return f"{path.name} cannot be read: {error}"
    if samples.shape[1] != 1:
        return f"{path.name} has {samples.shape[1]} channels; expected 1"
    return torch.from_numpy(samples.T.copy()), rate
