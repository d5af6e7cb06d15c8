"""Utterances with stored features, and the filling of the store they come from."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from seloss.data.draw import generator
from seloss.data.formats.batch import Item, ItemFacts, Key, SizedDataset, collate
from seloss.data.formats.feature_store import FeatureStore, audio_hash
from seloss.data.formats.mixture import DataError, Problem

__all__ = [
    "FeatureBatch",
    "FeatureDataset",
    "Share",
    "StorePlan",
    "collate_features",
    "fill_store",
    "plan_store",
]

_LOG = logging.getLogger(__name__)
#: Which of several processes fills a store, and how many there are.
Share = tuple[int, int]
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


@dataclass(frozen=True)
class StorePlan:
    """What has to be computed.

    Attributes:
        missing: Indices of the utterances that the store does not have.
        stale: How many of them it has, from other audio.
        total: Utterances of the data set, or of the share of it.
        n_bytes: What the missing ones will take.
        seconds: Their duration.
    """

    missing: list[int] = field(default_factory=list)
    stale: int = 0
    total: int = 0
    n_bytes: int = 0
    seconds: float = 0.0

    def describe(self, store: FeatureStore, what: str) -> str:
        """Return one line for people."""
        there = self.total - len(self.missing)
        free = shutil.disk_usage(store.folder).free
        return (
            f"{what} of {self.total} utterances: {there} there, {len(self.missing)} to compute "
            f"({self.stale} because their audio changed; {self.seconds / 60:.1f} min): "
            f"{self.n_bytes / 2**20:.1f} MiB to {store.folder} ({free / 2**30:.1f} GiB free)"
        )


def plan_store(
    store: FeatureStore,
    dataset: SizedDataset,
    bytes_of: Callable[[int], int],
    source: str = "noisy",
    share: Share = (0, 1),
) -> StorePlan:
    """Compare a store with a data set of whole utterances.

    Args:
        store: What is there.
        dataset: The audio.
        bytes_of: Size of what is stored, by the number of samples.
        source: Which of its signals features are computed from: ``noisy`` or ``clean``.
        share: Look at every n-th utterance from the i-th on only, ``(i, n)``.
    """
    missing, stale, n_bytes, n_samples = [], 0, 0, 0
    indices = range(share[0], len(dataset), share[1])
    for index in indices:
        item = dataset[index]
        mark = audio_hash(item, source)
        if store.has(item.id, mark):
            continue
        stale += store.is_stale(item.id, mark)
        missing.append(index)
        n_bytes += bytes_of(item.mixture.shape[-1])
        n_samples += item.mixture.shape[-1]
    seconds = n_samples / dataset.sample_rate
    return StorePlan(missing, stale, len(indices), n_bytes, seconds)


def fill_store(
    store: FeatureStore,
    dataset: SizedDataset,
    compute: Callable[[Item], Tensor],
    *,
    bytes_of: Callable[[int], int],
    source: str = "noisy",
    what: str = "features",
    share: Share = (0, 1),
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> StorePlan:
    """Compute what a store lacks; a killed run loses a shard or a minute at most and resumes.

    Args:
        store: Is brought up to date.
        dataset: Whole utterances.
        compute: Utterance to what is stored.
        bytes_of: Its size by the number of samples, for the announcement.
        source: Which signal it is computed from: ``noisy`` or ``clean``.
        what: Its name, for the announcement.
        share: This process's, ``(i, n)``: several may fill one store at a time.
        progress: Wraps the indices, such as ``tqdm.tqdm``.

    Returns:
        What had to be done.

    Raises:
        OSError: The disk has less room than it needs; nothing was computed.
    """
    plan = plan_store(store, dataset, bytes_of, source, share)
    line = plan.describe(store, what)
    if plan.n_bytes > shutil.disk_usage(store.folder).free:
        raise OSError(f"not enough room. {line}")
    _LOG.info("%s", line)
    for index in progress(plan.missing):
        item = dataset[index]
        store.put(item.id, compute(item), audio_hash(item, source))
    store.flush()
    return plan
