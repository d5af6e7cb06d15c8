"""Signals of a sample, read once, with one rule for lengths, rates and channels in all programs.

Signals that are used together must have one rate and one length; nothing is resampled, nor cut
unless requested. Of several channels the first counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from seloss.data.formats.audio import EmptyAudioError, read_samples

__all__ = ["SignalFiles"]

# A file's samples `(channels, time)`, float32, and rate.
Audio = tuple[Tensor, int]


class SignalFiles:
    """Files of a sample, read when needed.

    Args:
        paths: file by signal: mixture, speech, noise, estimate, and `<signal>_left` and
            `<signal>_right` where there are two ears.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._read: dict[str, Audio | str] = {}
        self._first: dict[str, Audio] = {}

    def read(
        self, *names: str, two_ears: bool = False, cut: bool = False
    ) -> tuple[dict[str, Tensor], int]:
        """Return signals by name, of one length, and their rate.

        Args:
            names: of the signals.
            two_ears: both ears, `(1, 2, time)`, of two files or of a file with two channels; else
                the first channel, `(1, time)`.
            cut: cut signals of different lengths to the shortest, instead of refusing them.

        Raises:
            ValueError: a file is missing, unreadable or empty, lengths or rates differ.
        """
        signals = {name: self._two_ears(name) if two_ears else self._one(name) for name in names}
        rates = [rate for _, rate in signals.values()]
        if len(set(rates)) > 1:
            raise ValueError(f"sample rates differ: {rates} Hz for {', '.join(names)}")
        lengths = [signal.shape[-1] for signal, _ in signals.values()]
        shortest = min(lengths)
        if not shortest:
            raise ValueError(f"the {names[lengths.index(0)]} holds no samples")
        if max(lengths) > shortest and not cut:
            raise ValueError(f"lengths differ: {lengths} samples for {', '.join(names)}")
        # The same tensors wherever nothing is to be cut: metrics share what they compute by tensor.
        return {
            name: signal if signal.shape[-1] == shortest else signal[..., :shortest]
            for name, (signal, _) in signals.items()
        }, rates[0]

    def _one(self, name: str) -> Audio:
        if name not in self._first:
            samples, rate = self._file(name)
            self._first[name] = samples[:1], rate
        return self._first[name]

    def _two_ears(self, name: str) -> Audio:
        if f"{name}_left" in self._paths and f"{name}_right" in self._paths:
            left, right = self._file(f"{name}_left"), self._file(f"{name}_right")
            if left[1] != right[1] or left[0].shape[-1] != right[0].shape[-1]:
                raise ValueError(f"the two ears' files of the {name} differ in rate or length")
            return torch.stack([left[0][0], right[0][0]])[None], left[1]
        samples, rate = self._file(name)
        if len(samples) != 2:
            path = _titled(name, self._paths[name])
            raise ValueError(f"{path} has {len(samples)} channel(s); a binaural metric needs two")
        return samples[None], rate

    def _file(self, name: str) -> Audio:
        if name not in self._read:
            try:
                self._read[name] = _read_file(name, self._paths.get(name))
            except ValueError as error:  # kept: the reason for every metric that needs the file
                self._read[name] = str(error)
        audio = self._read[name]
        if isinstance(audio, str):
            raise ValueError(audio)
        return audio


def _read_file(name: str, path: Path | None) -> Audio:
    """Return a file's audio, or raise a ValueError with the reason why it has none."""
    if path is None:
        raise ValueError(f"there is no {name}")
    if not path.is_file():
        raise ValueError(f"there is no {_titled(name, path)}")
    try:
        samples, rate = read_samples(path, dtype="float32", finite=False)
    except EmptyAudioError:
        raise ValueError(f"the {name} holds no samples") from None
    except (ValueError, OSError) as error:
        reason = str(error).removeprefix(f"{path} ")  # the file is named already
        raise ValueError(f"{_titled(name, path)} cannot be read: {reason}") from error
    return torch.from_numpy(samples.T.copy()), int(rate)


def _titled(name: str, path: Path) -> str:
    """Name a file for a message: an experiment's are named after their signal."""
    return path.name if path.stem == name else f"{name} {path}"
