"""Utterances with stored features: excerpts of both that belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from seloss.data.draw import generator
from seloss.data.formats.batch import Item, ItemFacts, collate
from seloss.data.formats.feature_store import FeatureStore, audio_hash
from seloss.data.formats.mixture import DataError, Problem

from .mixture_dataset import Key, SizedDataset

__all__ = ["FeatureBatch", "FeatureDataset", "collate_features"]

Features = Callable[[Tensor, int, int], Tensor]
"""``(stored, first frame, number of frames) -> (..., frames)`` of an excerpt."""


class FeatureItem(NamedTuple):
    """One excerpt: as :class:`Item`, and ``features`` ``(..., frames)``."""

    mixture: Tensor
    sources: Tensor
    id: str
    features: Tensor


class FeatureBatch(NamedTuple):
    """As :class:`Batch`; and ``features`` ``(batch, ..., frames)``, ``n_frames`` ``(batch,)``."""

    mixture: Tensor
    sources: Tensor
    n_mics: Tensor
    lengths: Tensor
    ids: tuple[str, ...]
    features: Tensor
    n_frames: Tensor


def collate_features(items: Sequence[FeatureItem]) -> FeatureBatch:
    """Pad items with zeros on microphones, samples and frames and put them into one batch."""
    batch = collate([Item(item.mixture, item.sources, item.id) for item in items])
    n_frames = torch.tensor([item.features.shape[-1] for item in items])
    shape = items[0].features.shape[:-1]
    features = items[0].features.new_zeros(len(items), *shape, int(n_frames.max()))
    for row, item in enumerate(items):
        features[row, ..., : item.features.shape[-1]] = item.features
    return FeatureBatch(*batch, features, n_frames)


class FeatureDataset(Dataset[FeatureItem]):
    """Whole utterances of another data set, or excerpts of them, with their features.

    Features are checked against the audio they were computed from: all of them exist before
    training starts, and a changed file is noticed when it is read.

    Args:
        dataset: Whole utterances.
        store: Features by id.
        cut: Frames of an excerpt from what is stored.
        count_frames: Number of frames by number of samples.
        hop_length: Samples from one frame to the next; excerpts start with a frame.
        segment_s: Longest excerpt in seconds; None: whole utterances.
        seed: Of the excerpts.
        source: Which signal the features were computed from: ``noisy`` or ``clean``.

    Raises:
        DataError: An utterance has no features in the store.
    """

    collate = staticmethod(collate_features)

    def __init__(
        self,
        dataset: SizedDataset,
        store: FeatureStore,
        cut: Features,
        *,
        count_frames: Callable[[int], int],
        hop_length: int,
        segment_s: float | None = None,
        seed: int = 0,
        source: str = "noisy",
    ) -> None:
        self.dataset, self.store, self.cut = dataset, store, cut
        self.count_frames, self.hop_length, self.seed = count_frames, hop_length, seed
        self.source, self.sample_rate = source, dataset.sample_rate
        self.segment = None if segment_s is None else round(segment_s * self.sample_rate)
        missing = [facts.id for facts in dataset.items if not store.holds(facts.id)]
        if missing:
            why = f"has no features in {store.folder}: store them first"
            raise DataError("features", [Problem(0, name, why) for name in missing])

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self.dataset)

    @property
    def items(self) -> list[ItemFacts]:
        """What is known about each utterance."""
        return self.dataset.items

    @property
    def lengths(self) -> list[int]:
        """Samples of each utterance, as it is given out."""
        return [min(length, self.segment or length) for length in self.dataset.lengths]

    def __getitem__(self, key: int | Key) -> FeatureItem:
        """Return utterance ``(epoch, index)``; an index alone means epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        item = self.dataset[(0, index)]
        stored = self.store.get(item.id, audio_hash(item, self.source))
        start, length = 0, item.mixture.shape[-1]
        if self.segment is not None and self.segment < length:
            steps = (length - self.segment) // self.hop_length + 1
            draw = generator(self.seed, epoch, item.id, "excerpt")
            start, length = int(draw.integers(steps)) * self.hop_length, self.segment
        features = self.cut(stored, start // self.hop_length, self.count_frames(length))
        mixture = item.mixture[:, start : start + length]
        return FeatureItem(mixture, item.sources[:, start : start + length], item.id, features)
