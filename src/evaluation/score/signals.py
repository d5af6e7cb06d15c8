"""One sample's signals as a metric needs them: each file read once, refused with the reason.

All metrics of a sample get the same tensors, since what they share is kept by tensor: see
`auditus.memory`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from auditus.metric import Metric

__all__ = ["SIDES", "Signals"]

# What is judged: the system's estimate, and the mixture as if it were one.
SIDES = {"out": "estimate", "in": "mixture"}
# What the other signals are to a metric.
_ROLES = {"speech": "target", "noise": "noise"}

# A file's samples `(channels, time)`, float32, and rate.
Audio = tuple[Tensor, int]


class Signals:
    """Reads a sample's files when they are asked for.

    Args:
        paths: file by signal: mixture, speech, noise, estimate, and `<signal>_left` and
            `<signal>_right` where ears are known.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._read: dict[str, Audio | str] = {}
        self._first: dict[str, Audio] = {}

    def of(self, metric: Metric, side: str, *, cut: bool = False) -> tuple[dict[str, Tensor], int]:
        """Return estimate, target and noise as far as a metric needs them, and their rate.

        Args:
            metric: a binaural one gets both ears `(1, 2, time)`, others the first channel
                `(1, time)`, that of the reference microphone.
            side: of `SIDES`.
            cut: cut signals of different lengths to the shortest, instead of refusing them.

        Raises:
            ValueError: a file is missing, unreadable or empty, lengths or rates differ.
        """
        speech = ("speech",) if metric.needs_target else ()
        names = (SIDES[side], *speech, *(("noise",) if metric.needs_noise else ()))
        read = self._two_ears if metric.channels == 2 else self.one_ear
        found = [read(name) for name in names]
        rates = [rate for _, rate in found]
        if len(set(rates)) > 1:
            raise ValueError(f"sample rates differ: {rates} Hz for {', '.join(names)}")
        lengths = [signal.shape[-1] for signal, _ in found]
        if not min(lengths):
            raise ValueError(f"the {names[lengths.index(0)]} holds no samples")
        if len(set(lengths)) > 1 and not cut:
            raise ValueError(f"lengths differ: {lengths} samples for {', '.join(names)}")
        shortest = min(lengths)
        signals = {
            _ROLES.get(name, "estimate"): signal
            if signal.shape[-1] == shortest
            else signal[..., :shortest]
            for name, (signal, _) in zip(names, found, strict=True)
        }
        return signals, rates[0]

    def one_ear(self, name: str) -> Audio:
        """Return a signal's first channel `(1, time)` and its rate.

        Raises:
            ValueError: the file is missing or unreadable.
        """
        if name not in self._first:
            samples, rate = self._file(name)
            self._first[name] = samples[:1], rate
        return self._first[name]

    def together(self, names: Sequence[str]) -> tuple[dict[str, Tensor], int]:
        """Return first channels `(1, time)` of one length by their names, and their rate.

        Raises:
            ValueError: a file is missing or unreadable, lengths or rates differ.
        """
        read = {name: self.one_ear(name) for name in names}
        rates = [rate for _, rate in read.values()]
        if len(set(rates)) > 1:
            raise ValueError(f"sample rates differ: {rates} Hz for {', '.join(names)}")
        lengths = [signal.shape[-1] for signal, _ in read.values()]
        if len(set(lengths)) > 1:
            raise ValueError(f"lengths differ: {lengths} samples for {', '.join(names)}")
        return {name: signal for name, (signal, _) in read.items()}, rates[0]

    def _two_ears(self, name: str) -> Audio:
        """Return `(1, 2, time)` of two files, or of a file with two channels."""
        if f"{name}_left" in self._paths and f"{name}_right" in self._paths:
            left, right = self._file(f"{name}_left"), self._file(f"{name}_right")
            if left[1] != right[1] or left[0].shape[-1] != right[0].shape[-1]:
                raise ValueError(f"the two ears' files of the {name} differ in rate or length")
            return torch.stack([left[0][0], right[0][0]])[None], left[1]
        samples, rate = self._file(name)
        if len(samples) != 2:
            path = _called(name, self._paths[name])
            raise ValueError(f"{path} has {len(samples)} channel(s); a binaural figure needs two")
        return samples[None], rate

    def _file(self, name: str) -> Audio:
        if name not in self._read:
            self._read[name] = _load(name, self._paths.get(name))
        found = self._read[name]
        if isinstance(found, str):
            raise ValueError(found)
        return found


def _load(name: str, path: Path | None) -> Audio | str:
    """Return a file's audio, or why it has none."""
    if path is None:
        return f"there is no {name}"
    if not path.is_file():
        return f"there is no {_called(name, path)}"
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:
        return f"{_called(name, path)} cannot be read: {error}"
    return torch.from_numpy(samples.T.copy()), int(rate)


def _called(name: str, path: Path) -> str:
    """Name a file for a message: an experiment's are named after their signal."""
    return path.name if path.stem == name else f"{name} {path}"
