"""Which items a loader asks for, in which order, on which of several processes.

The order of an epoch is one permutation, the same in every process, and step `k` of a run takes the
items ``[k * n, (k + 1) * n)`` of it, `n` being the batch size times the number of processes. So the
items of a step depend on that product only, not on how many processes share it, and a run that was
stopped in the middle of an epoch goes on with the very next item.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from seloss.data.draw import generator
from seloss.data.formats.batch import Item, collate

from .workers import start_worker

if TYPE_CHECKING:
    from .mixture_dataset import SizedDataset

__all__ = ["EpochSampler", "StepSampler", "build_loader"]

Key = tuple[int, int]


class EpochSampler(Sampler[Key]):
    """Yield every index once per epoch as ``(epoch, index)``; Lightning calls `set_epoch`.

    Args:
        n_items: Length of the dataset.
        seed: Of the order.
        shuffle: Whether each epoch has an order of its own.
        rank: Which of several processes this is; it gets every ``world``-th key.
        world: How many processes share the keys. No key is repeated to make their shares equal.
    """

    def __init__(
        self, n_items: int, seed: int = 0, shuffle: bool = True, *, rank: int = 0, world: int = 1
    ) -> None:
        """Start at epoch 0."""
        if not 0 <= rank < world:
            raise ValueError(f"rank must be from 0 to {world - 1}; got {rank}")
        self.n_items = n_items
        self.seed = seed
        self.shuffle = shuffle
        self.rank, self.world = rank, world
        self.epoch = 0
        self.done = 0

    def set_epoch(self, epoch: int, done: int | None = None, step_size: int | None = None) -> None:
        """Set the epoch of the keys yielded from now on.

        Args:
            epoch: From 0.
            done: How many keys of this epoch were used before a run was stopped. Without it they
                are what they were, and none in another epoch.
            step_size: Items of a step of the run then; this order does not depend on it.
        """
        if done is not None or epoch != self.epoch:
            self.done = done or 0
        self.epoch = epoch

    def order(self) -> np.ndarray:
        """Return the indices of the present epoch in their order, for all processes."""
        if not self.shuffle:
            return np.arange(self.n_items)
        return generator(self.seed, self.epoch, "order").permutation(self.n_items)

    def __len__(self) -> int:
        """Return the number of this process's keys per epoch."""
        return len(range(self.rank, self.n_items, self.world))

    def __iter__(self) -> Iterator[Key]:
        """Yield the keys of the present epoch."""
        epoch = self.epoch
        return ((epoch, int(index)) for index in self.order()[self.rank :: self.world])


class StepSampler(Sampler[list[Key]]):
    """Yield this process's keys of each training step.

    The last step of an epoch may have fewer items than there are processes. Every process must take
    part in a step, so one without an item of its own borrows one; `real` says that it counts as
    none, and the system that trains gives it no weight.

    Args:
        sampler: The order; not divided among processes.
        batch_size: Items per step and process.
        rank: Which of the processes this is.
        world: How many there are.
    """

    def __init__(
        self, sampler: EpochSampler, batch_size: int, *, rank: int = 0, world: int = 1
    ) -> None:
        """Check the arguments."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}")
        if not 0 <= rank < world:
            raise ValueError(f"rank must be from 0 to {world - 1}; got {rank}")
        if sampler.world != 1:
            raise ValueError("the order must not be divided among processes already")
        self.sampler = sampler
        self.batch_size = batch_size
        self.rank, self.world = rank, world

    @property
    def step_size(self) -> int:
        """Items of a step, on all processes together."""
        return self.batch_size * self.world

    def __len__(self) -> int:
        """Return the number of steps in an epoch, those done before a stop included."""
        return math.ceil(self.sampler.n_items / self.step_size)

    def bounds(self, step: int) -> tuple[int, int]:
        """Return first and last + 1 place, in the epoch's order, of the items of a step."""
        first = max(step * self.step_size, self.sampler.done)
        return first, min((step + 1) * self.step_size, self.sampler.n_items)

    def real(self, step: int) -> tuple[int, int]:
        """Return how many items of a step are this process's own, and how many are everyone's."""
        first, last = self.bounds(step)
        start, stop = self._share(last - first)
        return stop - start, last - first

    def position(self, step: int) -> int:
        """Return how many keys of the epoch are used after ``step``."""
        return self.bounds(step)[1]

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield lists of keys, from the first step that is not done."""
        epoch, order = self.sampler.epoch, self.sampler.order()
        done = self.sampler.done // self.step_size
        batches = []
        for first, last in (self.bounds(step) for step in range(done, len(self))):
            start, stop = self._share(last - first)
            own, borrowed = order[first + start : first + stop], order[first : first + 1]
            batches.append([(epoch, int(index)) for index in (own if len(own) else borrowed)])
        return iter(batches)

    def _share(self, n_items: int) -> tuple[int, int]:
        """Return this process's part of the items of a step; parts differ by one item at most."""
        return (n_items * self.rank) // self.world, (n_items * (self.rank + 1)) // self.world


def build_loader(
    dataset: SizedDataset,
    batch_size: int,
    *,
    shuffle: bool,
    num_workers: int = 0,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
    bucket_steps: int = 0,
    pin_memory: bool | None = None,
) -> DataLoader[Item]:
    """Return a loader of `Batch`; the last, smaller batch is kept.

    Args:
        dataset: What to load; its own ``collate``, if it has one, makes the batches.
        batch_size: Mixtures per batch (of one process).
        shuffle: Whether each epoch has an order of its own; then the batches are those of
            `StepSampler`. Else each process gets its share of the items, none of them twice.
        num_workers: Processes that read ahead; 0 reads in this one.
        seed: Of the order, and of the global generators in each worker, which a user's own
            transform may draw from.
        rank: Which of several training processes this is.
        world: How many there are.
        bucket_steps: Sort the items of so many shuffled steps by length (the dataset's
            ``lengths``); 0: leave them as they are drawn. See `bucketing.BucketSampler`.
        pin_memory: Whether batches are copied to memory that a GPU reads by itself, meanwhile;
            None: if there is a GPU.
    """
    options: dict[str, object] = {"batch_size": batch_size}
    if shuffle:
        order = _order(dataset, batch_size * world, bucket_steps, seed)
        options = {"batch_sampler": StepSampler(order, batch_size, rank=rank, world=world)}
    else:
        options["sampler"] = EpochSampler(len(dataset), seed, False, rank=rank, world=world)
    return DataLoader(
        dataset,  # type: ignore[arg-type]
        num_workers=num_workers,
        collate_fn=getattr(dataset, "collate", collate),
        generator=torch.Generator().manual_seed(seed),
        persistent_workers=num_workers > 0,
        worker_init_fn=start_worker,
        pin_memory=torch.cuda.is_available() if pin_memory is None else pin_memory,
        **options,  # type: ignore[arg-type]
    )


def _order(dataset: SizedDataset, step_size: int, n_steps: int, seed: int) -> EpochSampler:
    if not n_steps:
        return EpochSampler(len(dataset), seed)
    from .buckets import BucketSampler

    lengths = getattr(dataset, "lengths", None)
    if lengths is None:
        raise ValueError(
            f"bucket_steps must be 0 for a {type(dataset).__name__}, whose lengths are not known"
        )
    return BucketSampler(lengths, step_size, n_steps, seed)
