"""Mixtures of a manifest as tensors, random by nothing but seed, epoch and item.

A loader asks the dataset for ``(epoch, index)``: what comes back is the same in whichever worker,
order or resumed run it is requested.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from seloss.data.draw import generator
from seloss.data.formats.audio import read_header, read_samples
from seloss.data.formats.batch import Item, ItemFacts, Key
from seloss.data.formats.mixture import DataError, Mixture, Problem

__all__ = ["MixtureDataset"]


class MixtureDataset(Dataset[Item]):
    """Read mixtures: the requested microphones, the sources at the reference microphone only.

    Args:
        mixtures: What `read_manifest` or `validate_manifest` returned.
        sample_rate: In Hz; a file with another one is refused.
        segment_s: Longest excerpt in seconds, at a random place that changes with the epoch; None:
            whole utterances.
        max_mics: Most microphones of an item; None: all.
        seed: Of everything random.
        shuffle_mics: Whether each epoch reorders an item's microphones, so that the reference
            changes too.
    """

    def __init__(
        self,
        mixtures: Sequence[Mixture],
        *,
        sample_rate: int,
        segment_s: float | None = None,
        max_mics: int | None = None,
        seed: int = 0,
        shuffle_mics: bool = False,
    ) -> None:
        """Check the arguments; nothing is read yet."""
        if segment_s is not None and segment_s * sample_rate < 1:
            raise ValueError(f"segment_s must be None or at least one sample; got {segment_s!r}")
        if max_mics is not None and max_mics < 1:
            raise ValueError(f"max_mics must be None or at least 1; got {max_mics!r}")
        bare = [item for item in mixtures if not item.has_sources]
        if bare:
            lacks = "has no 'speech' at its microphones"
            raise DataError("mixtures", [Problem(item.line, item.id, lacks) for item in bare])
        self.mixtures = tuple(mixtures)
        self.sample_rate = sample_rate
        self.segment = None if segment_s is None else round(segment_s * sample_rate)
        self.max_mics = max_mics
        self.seed = seed
        self.shuffle_mics = shuffle_mics

    def __len__(self) -> int:
        """Return the number of mixtures."""
        return len(self.mixtures)

    @property
    def items(self) -> list[ItemFacts]:
        """What is known about each mixture."""
        names = ("speaker", "noise_type", "snr_db", "seen", "transcript")
        return [
            ItemFacts(
                mixture.id,
                **{name: getattr(mixture, name) for name in names},
                n_mics=mixture.n_mics,
                textgrid=None if mixture.textgrid is None else str(mixture.textgrid),
                phones=json.dumps(mixture.extra["phones"]) if mixture.extra.get("phones") else None,
                speech_file=mixture.speech_file,
            )
            for mixture in self.mixtures
        ]

    @property
    def lengths(self) -> list[int]:
        """Samples of each mixture, as it is given out."""
        return [min(mixture.length, self.segment or mixture.length) for mixture in self.mixtures]

    def __getitem__(self, key: int | Key) -> Item:
        """Return mixture ``(epoch, index)``; an index alone means epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        item = self.mixtures[index]
        draw = generator(self.seed, epoch, item.id)
        start, frames = 0, item.length
        if self.segment is not None and self.segment < item.length:
            start, frames = int(draw.integers(item.length - self.segment + 1)), self.segment
        mics = draw.permutation(item.n_mics) if self.shuffle_mics else np.arange(item.n_mics)
        mics = mics[: self.max_mics]
        paths = [item.mixture[mic] for mic in mics] + [item.speech[mics[0]]]
        paths += [item.noise[mics[0]]] if item.noise else []
        signals = [self._read(path, start, frames) for path in paths]
        if not item.noise:
            signals.append(signals[0] - signals[-1])
        stacked = torch.from_numpy(np.stack(signals))
        return Item(stacked[: len(mics)], stacked[len(mics) :], item.id)

    def _read(self, path: Path, start: int, frames: int) -> np.ndarray:
        header = read_header(path)
        if header.sample_rate != self.sample_rate or header.channels != 1:
            actual = f"{header.channels} channel(s) at {header.sample_rate} Hz"
            raise ValueError(f"{path} must be mono at {self.sample_rate} Hz; got {actual}")
        samples: np.ndarray = read_samples(path, start, frames, dtype="float32")[0][:, 0]
        if len(samples) < frames:
            raise ValueError(
                f"{path} ends {frames - len(samples)} samples before its manifest says"
            )
        return samples
