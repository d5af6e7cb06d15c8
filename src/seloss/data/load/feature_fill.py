"""Filling a store of features: what is missing is known, and its size told, before it starts."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torch import Tensor

from seloss.data.formats.batch import Item
from seloss.data.formats.feature_store import FeatureStore, audio_hash

from .mixture_dataset import SizedDataset

__all__ = ["Share", "StorePlan", "fill_store", "plan_store"]

_LOG = logging.getLogger(__name__)
Share = tuple[int, int]


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
    """Compute what a store lacks; a killed run loses a shard or a minute at most and goes on.

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
