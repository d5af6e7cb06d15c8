"""Dataset of mixtures made while training: in every epoch each utterance meets another noise.

Every draw follows from seed, epoch and id, so a resumed run sees what it would have seen, in
whichever worker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from seloss.data.draw import generator
from seloss.data.formats.batch import Item, ItemFacts, Key
from seloss.data.mixing.additive import PEAK, mix_at_snr
from seloss.data.mixing.effects import clip, equalise, limit_band
from seloss.data.mixing.excerpt import read_lively
from seloss.data.mixing.recordings import Recordings
from seloss.data.mixing.responses import (
    ArrayResponses,
    convolve,
    read_array_responses,
    read_responses,
    reverberate,
)

from .source_lists import SourceLists

__all__ = ["OnTheFlyDataset"]

Samples = NDArray[np.float32]


class _ArrayScene(NamedTuple):
    """Responses of an array to a talker and to noises."""

    talker: ArrayResponses
    noises: Sequence[ArrayResponses]

    @property
    def longest(self) -> int:
        """Taps of the longest response to a noise."""
        return max(int(noise.taps.shape[1]) for noise in self.noises)

    def image(self, noises: Sequence[Samples], n_samples: int) -> Samples:
        """Return ``(mics, n_samples)`` of noises that began before; few places are shared."""
        places = (self.noises[at % len(self.noises)] for at in range(len(noises)))
        first = self.longest - 1
        images = (
            convolve(x, place.taps, first, n_samples)
            for x, place in zip(noises, places, strict=True)
        )
        return np.asarray(sum(images))


class OnTheFlyDataset(Dataset[Item]):
    """One item per utterance and epoch: the utterance in a noise drawn for this epoch.

    Of an item in a room the first source is the target (dry, early or reverberant speech), the
    second what the mixture has beside it: noise and late reverberation. The SNR is that of the
    reverberant speech. With arrays a mixture has several microphones; target, rest and SNR are
    those at the first.

    Args:
        lists: What `read_source_lists` returned.
        segment_s: Longest excerpt of an utterance in seconds, at a random place; None: whole ones.
        seed: Of everything random.
        memory_mb: Most decoded audio that is kept in memory, in MiB; see `Recordings`.
        max_mics: Most microphones of an item; None: all.
        shuffle_mics: Whether each item reorders its microphones, so that the reference changes
            too.
    """

    def __init__(
        self,
        lists: SourceLists,
        *,
        segment_s: float | None = None,
        seed: int = 0,
        memory_mb: float = 4096.0,
        max_mics: int | None = None,
        shuffle_mics: bool = False,
    ) -> None:
        if segment_s is not None and segment_s * lists.sample_rate < 1:
            raise ValueError(f"segment_s must be None or at least one sample; got {segment_s!r}")
        if max_mics is not None and max_mics < 1:
            raise ValueError(f"max_mics must be None or at least 1; got {max_mics!r}")
        self.lists, self.max_mics, self.shuffle_mics = lists, max_mics, shuffle_mics
        self.sample_rate = lists.sample_rate
        self.segment = None if segment_s is None else round(segment_s * lists.sample_rate)
        self.seed = seed
        self.recordings = Recordings(lists.sample_rate, memory_mb)
        self._groups, self._shares = self._noise_groups()

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self.lists.speech)

    @property
    def items(self) -> list[ItemFacts]:
        """What is known about each item, whatever the epoch."""
        most = max((room.n_mics for room in self.lists.arrays), default=1)
        n_mics = min(most, self.max_mics or most)
        return [ItemFacts(name, who, n_mics=n_mics) for name, _, who in self.lists.speech]

    @property
    def lengths(self) -> list[int]:
        """Samples of each item, but for the speed it is played at."""
        whole = [self.recordings.length(file) for _, file, _ in self.lists.speech]
        return [min(length, self.segment or length) for length in whole]

    def draw(self, epoch: int, index: int) -> tuple[Path, str, float, np.random.Generator]:
        """Return the noise, its type and the ratio of an item, and what draws the rest."""
        draw = generator(self.seed, epoch, self.lists.speech[index][0])
        noise, kind = self._draw_noise(draw)
        if self.lists.snr_range:
            return noise, kind, float(draw.uniform(*self.lists.snr_range)), draw
        ratios = self.lists.snr_db
        return noise, kind, ratios[int(draw.integers(len(ratios)))], draw

    def __getitem__(self, key: int | Key) -> Item:
        """Return item ``(epoch, index)``; an index alone means epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        name, file, _ = self.lists.speech[index]
        noise_file, _, ratio, draw = self.draw(epoch, index)
        dry = self._speech(file, draw)
        room = self._draw_array(draw)
        lead = room.longest - 1 if room else 0  # noise that began before the speech
        noises = self._noises(noise_file, len(dry) + lead, draw)
        if room is None:
            noises = [np.sum(noises, axis=0)]
        if chance := self.lists.options.equalise_db:
            dry, *noises = (self._coloured(x, chance.draw(draw), draw) for x in (dry, *noises))
        if room:
            speech, target = reverberate(
                dry, room.talker, self.lists.options.target, self.sample_rate
            )
            noise = room.image(noises, len(dry))
        else:
            speech, target = self._in_room(dry, draw)
            speech, noise = speech[None], noises[0][None]
        # The gain that `mix_at_snr` may need against overload is the target's too.
        scaled, scaled_noise = mix_at_snr(
            speech.astype(np.float64), noise.astype(np.float64), ratio
        )
        peak = int(np.argmax(np.abs(speech[0])))
        target = target * (scaled[0, peak] / speech[0, peak])
        mixture = scaled + scaled_noise
        signals = np.stack([target, scaled[0] - target + scaled_noise[0], *mixture[1:]])
        signals = self._degraded(signals.astype(np.float32), draw)
        if self.lists.level_db is not None:
            signals *= _gain(signals, float(draw.uniform(*self.lists.level_db)))
        sources, others = torch.from_numpy(signals).split([2, len(signals) - 2])
        return Item(torch.cat([sources.sum(0, keepdim=True), others]), sources, name)

    def _noise_groups(self) -> tuple[list[list[tuple[Path, str]]], NDArray[np.float64] | None]:
        """Return what a noise is drawn from in two steps, and the groups' shares if not equal."""
        noise, by = list(self.lists.noise), self.lists.options.noise_by
        if by == "type":
            kinds = sorted({kind for _, kind in noise})
            return [[entry for entry in noise if entry[1] == kind] for kind in kinds], None
        groups = [[entry] for entry in noise]
        if by == "file":
            return groups, None
        seconds = np.array([self.recordings.length(file) for file, _ in noise], dtype=np.float64)
        return groups, np.cumsum(seconds / seconds.sum())

    def _draw_noise(self, draw: np.random.Generator) -> tuple[Path, str]:
        if self._shares is None:
            group = self._groups[int(draw.integers(len(self._groups)))]
        else:
            place = int(np.searchsorted(self._shares, draw.random(), side="right"))
            group = self._groups[min(place, len(self._groups) - 1)]
        return group[int(draw.integers(len(group)))]

    def _speech(self, file: Path, draw: np.random.Generator) -> Samples:
        """Return an excerpt of an utterance or all of it, played faster if requested."""
        factor = 1.0 if self.lists.speed is None else float(draw.uniform(*self.lists.speed))
        length = self.recordings.length(file)
        needed = length if self.segment is None else min(length, round(self.segment * factor))
        if needed < length:
            speech = self._excerpt(file, needed, draw)
        else:
            speech = self.recordings.part(file, 0, needed)
        if factor == 1:
            return speech
        faster = np.asarray(soxr.resample(speech, factor, 1.0, quality="HQ"), dtype=np.float32)
        return faster[: self.segment]

    def _excerpt(self, file: Path, n_samples: int, draw: np.random.Generator) -> Samples:
        part = read_lively(file, self.sample_rate, n_samples, draw, self.recordings)
        return np.asarray(part, dtype=np.float32)

    def _noises(self, first: Path, n_samples: int, draw: np.random.Generator) -> list[Samples]:
        """Return one to three noises, the others at their levels relative to the first."""
        options = self.lists.options
        noises = [self._one_noise(first, n_samples, draw)]
        if len(options.noise_counts) == 1:
            return noises
        count = 1 + int(draw.choice(len(options.noise_counts), p=options.noise_counts))
        level = _rms(noises[0])
        for _ in range(1, count):
            other = self._one_noise(self._draw_noise(draw)[0], n_samples, draw)
            gain = level / _rms(other) * 10 ** (float(draw.uniform(*options.extra_noise_db)) / 20)
            noises.append(np.float32(gain) * other)
        return noises

    def _draw_array(self, draw: np.random.Generator) -> _ArrayScene | None:
        """Return where talker and noises are in one of the rooms; None: there is no array."""
        if not self.lists.arrays:
            return None
        room = self.lists.arrays[int(draw.integers(len(self.lists.arrays)))]
        talker = room.talkers[int(draw.integers(len(room.talkers)))]
        noises = [file for file in room.noises if file != talker]
        order = draw.permutation(len(noises))
        mics = draw.permutation(room.n_mics) if self.shuffle_mics else np.arange(room.n_mics)
        files = (talker, *(noises[place] for place in order[:3]))
        responses = [read_array_responses(file, self.sample_rate) for file in files]
        reference, *others = (each.select(mics[: self.max_mics].tolist()) for each in responses)
        return _ArrayScene(reference, others)

    def _one_noise(self, file: Path, n_samples: int, draw: np.random.Generator) -> Samples:
        """Return an excerpt of a noise, played faster or slower if that falls to it."""
        chance = self.lists.options.noise_speed
        factor = chance.draw(draw) if chance else None
        if factor is None:
            return self._excerpt(file, n_samples, draw)
        original = self._excerpt(file, math.ceil(n_samples * factor), draw)
        faster = soxr.resample(original, factor, 1.0, quality="HQ")[:n_samples]
        return np.pad(faster, (0, n_samples - len(faster)))

    def _coloured(
        self, signal: Samples, gain_db: float | None, draw: np.random.Generator
    ) -> Samples:
        if gain_db is None:
            return signal
        return equalise(signal, gain_db, self.sample_rate, draw)

    def _in_room(self, dry: Samples, draw: np.random.Generator) -> tuple[Samples, Samples]:
        """Return the speech as it arrives and what of it is the target."""
        options = self.lists.options
        if not self.lists.rooms or draw.random() >= options.room_probability:
            return dry, dry
        file = self.lists.rooms[int(draw.integers(len(self.lists.rooms)))]
        responses = read_responses(file, self.sample_rate)
        response = responses[int(draw.integers(len(responses)))]
        return reverberate(dry, response, options.target, self.sample_rate)

    def _degraded(self, signals: Samples, draw: np.random.Generator) -> Samples:
        """Return target, rest, other microphones with a narrower band, mixtures clipped."""
        options = self.lists.options
        highest = options.band_limit_hz.draw(draw) if options.band_limit_hz else None
        if highest is not None:
            signals = limit_band(signals, highest, self.sample_rate)
        below = options.clip_db.draw(draw) if options.clip_db else None
        if below is not None:
            target, rest, *others = signals
            rest = clip(target + rest, below) - target
            signals = np.stack([target, rest, *(clip(other, below) for other in others)])
        return signals


def _rms(signal: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))


def _gain(signals: Samples, level_db: float) -> float:
    """Return what brings the sum of target and rest to a level, or as near to it as fits."""
    mixture = signals[:2].sum(axis=0)
    peak = max(float(np.abs(each).max()) for each in (*signals, mixture))
    return float(min(10 ** (level_db / 20) / _rms(mixture), PEAK / peak))
