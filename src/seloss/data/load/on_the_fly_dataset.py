"""Speech and noise mixed while training: in every epoch each utterance meets another noise.

Every draw follows from seed, epoch and id, so a resumed run hears what it would have heard, in
whichever worker.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr
import torch
from torch.utils.data import Dataset

from seloss.data.draw import generator
from seloss.data.formats.audio import Signal
from seloss.data.formats.batch import Item, ItemFacts
from seloss.data.mixing.additive import PEAK, mix_at_snr
from seloss.data.mixing.excerpt import length_at, read_lively, read_part

from .source_lists import SourceLists

__all__ = ["OnTheFlyDataset"]

Key = tuple[int, int]


class OnTheFlyDataset(Dataset[Item]):
    """One item per utterance and epoch: the utterance in a noise drawn for this epoch.

    Args:
        lists: What `read_source_lists` returned.
        segment_s: Longest excerpt of an utterance in seconds, at a random place; None: whole ones.
        seed: Of everything random.
    """

    def __init__(
        self, lists: SourceLists, *, segment_s: float | None = None, seed: int = 0
    ) -> None:
        if segment_s is not None and segment_s * lists.sample_rate < 1:
            raise ValueError(f"segment_s must be None or at least one sample; got {segment_s!r}")
        self.lists = lists
        self.sample_rate = lists.sample_rate
        self.segment = None if segment_s is None else round(segment_s * lists.sample_rate)
        self.seed = seed

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self.lists.speech)

    @property
    def items(self) -> list[ItemFacts]:
        """What is known about each item, whatever the epoch."""
        return [ItemFacts(name, speaker) for name, _, speaker in self.lists.speech]

    @property
    def lengths(self) -> list[int]:
        """Samples of each item, but for the speed it is played at."""
        whole = [length_at(file, self.sample_rate) for _, file, _ in self.lists.speech]
        return [min(length, self.segment or length) for length in whole]

    def draw(self, epoch: int, index: int) -> tuple[Path, str, float, np.random.Generator]:
        """Return the noise, its type and the ratio of an item, and what draws the rest."""
        draw = generator(self.seed, epoch, self.lists.speech[index][0])
        kinds = sorted({kind for _, kind in self.lists.noise})
        kind = kinds[int(draw.integers(len(kinds)))]
        files = [file for file, found in self.lists.noise if found == kind]
        noise = files[int(draw.integers(len(files)))]
        if self.lists.snr_range:
            return noise, kind, float(draw.uniform(*self.lists.snr_range)), draw
        ratios = self.lists.snr_db
        return noise, kind, ratios[int(draw.integers(len(ratios)))], draw

    def __getitem__(self, key: int | Key) -> Item:
        """Return item ``(epoch, index)``; an index alone means epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        name, file, _ = self.lists.speech[index]
        noise_file, _, ratio, draw = self.draw(epoch, index)
        speech = self._speech(file, draw)
        noise = read_lively(noise_file, self.sample_rate, len(speech), draw)
        sources = np.stack(mix_at_snr(speech, noise, ratio))
        if self.lists.level_db is not None:
            sources *= _gain(sources, float(draw.uniform(*self.lists.level_db)))
        sources = sources.astype(np.float32)
        return Item(
            torch.from_numpy(sources.sum(axis=0, keepdims=True)), torch.from_numpy(sources), name
        )

    def _speech(self, file: Path, draw: np.random.Generator) -> Signal:
        """Return an excerpt of an utterance or all of it, played faster if that is asked for."""
        factor = 1.0 if self.lists.speed is None else float(draw.uniform(*self.lists.speed))
        length = length_at(file, self.sample_rate)
        needed = length if self.segment is None else min(length, round(self.segment * factor))
        if needed < length:
            speech = read_lively(file, self.sample_rate, needed, draw)
        else:
            speech = read_part(file, self.sample_rate, 0, needed)
        if factor == 1:
            return speech
        faster = np.asarray(soxr.resample(speech, factor, 1.0, quality="HQ"), dtype=np.float64)
        return faster[: self.segment]


def _gain(sources: Signal, level_db: float) -> float:
    """Return what brings the sum of the sources to a level, or as near to it as fits."""
    mixture = sources.sum(axis=0)
    peak = max(float(np.abs(one).max()) for one in (*sources, mixture))
    return min(10 ** (level_db / 20) / float(np.sqrt(np.mean(mixture**2))), PEAK / peak)
