"""Orders in which a loader asks for items: shuffled, by length, divided among processes.

The order of an epoch is one permutation, the same in every process, and step `k` of a run takes the
items ``[k * n, (k + 1) * n)`` of it, `n` being the batch size times the number of processes. So the
items of a step depend on that product only, not on how many processes share it, and a run that was
stopped in the middle of an epoch resumes with the very next item.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from seloss.data.draw import generator
from seloss.data.formats.batch import Key

__all__ = ["BucketSampler", "EpochSampler", "StepSampler", "describe_padding", "padding_share"]

#: Above this share of padding a number of steps is suggested.
_MUCH_PADDING, _SUGGESTED_STEPS = 0.1, 16


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


class BucketSampler(EpochSampler):
    """An epoch's order in which the items of a step are of similar length.

    The items of ``n_steps`` steps, drawn at random, are sorted by length and cut into steps; these
    come in random order, a last one that is not full at the end. With ``n_steps`` 1 the steps are
    those of `EpochSampler`, in another order; the more steps, the less padding, and the more an
    item's company follows from its length.

    Args:
        lengths: Of the items, in any unit.
        step_size: Items of a step, in all processes.
        n_steps: How many steps' items are sorted together.
        seed: Of the order.

    Raises:
        ValueError: ``step_size`` or ``n_steps`` is not positive.
    """

    def __init__(self, lengths: Sequence[int], step_size: int, n_steps: int, seed: int = 0) -> None:
        super().__init__(len(lengths), seed)
        if step_size < 1 or n_steps < 1:
            raise ValueError(
                f"step_size and n_steps must be at least 1; got {step_size} and {n_steps}"
            )
        self.lengths = np.asarray(lengths)
        self.step_size, self.n_steps = step_size, n_steps
        self._begun_with = step_size

    def set_epoch(self, epoch: int, done: int | None = None, step_size: int | None = None) -> None:
        """Set the epoch; see `EpochSampler`.

        Args:
            epoch: From 0.
            done: How many keys of this epoch were used before a run was stopped.
            step_size: Of the run then: the rest of its epoch keeps the order that it began with.
        """
        if epoch != self.epoch or done is not None:
            self._begun_with = (step_size if done else None) or self.step_size
        super().set_epoch(epoch, done)

    def order(self) -> np.ndarray:
        """Return the indices of the present epoch in their order, for all processes."""
        size, drawn = self._begun_with, super().order()
        draw = generator(self.seed, self.epoch, "buckets")
        steps: list[np.ndarray] = []
        last: list[np.ndarray] = []
        for first in range(0, len(drawn), size * self.n_steps):
            some = drawn[first : first + size * self.n_steps]
            some = some[np.argsort(self.lengths[some], kind="stable")]
            if rest := len(some) % size:  # any lengths may be in the step that is not full
                start = size * int(draw.integers(len(some) // size + 1))
                last = [some[start : start + rest]]
                some = np.delete(some, np.s_[start : start + rest])
            steps += np.split(some, len(some) // size) if len(some) else []
        shuffled = [steps[index] for index in draw.permutation(len(steps))]
        order: np.ndarray = np.concatenate([drawn[:0], *shuffled, *last])
        return order


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


def padding_share(sampler: EpochSampler, lengths: Sequence[int], batch_size: int) -> float:
    """Return what share of the batches of the present epoch is padding, 0 to 1.

    Args:
        sampler: The order.
        lengths: Of the items.
        batch_size: Items that are padded to the longest of them.
    """
    ordered = np.asarray(lengths)[sampler.order()]
    starts = np.arange(0, len(ordered), batch_size)
    # The longest of each batch, to which its items are padded.
    longest = np.maximum.reduceat(ordered, starts)
    counts = np.minimum(batch_size, len(ordered) - starts)
    return 1 - float(ordered.sum()) / float((longest * counts).sum())


def describe_padding(lengths: Sequence[int], sampler: StepSampler, n_steps: int) -> str | None:
    """Return how much of an epoch's batches is padding, with buckets and without.

    Args:
        lengths: Of the items.
        sampler: The steps.
        n_steps: How many steps' items are sorted together; 0: there are no buckets.

    Returns:
        None where there are no buckets and little padding.
    """
    size, order = sampler.batch_size, sampler.sampler
    plain = EpochSampler(order.n_items, order.seed)
    plain.set_epoch(order.epoch)
    without = 100 * padding_share(plain, lengths, size)
    if n_steps:
        share = 100 * padding_share(order, lengths, size)
        return f"padding: {share:.1f} % of the batches ({without:.1f} % without data.bucket_steps)"
    if without <= 100 * _MUCH_PADDING:
        return None
    buckets = BucketSampler(lengths, sampler.step_size, _SUGGESTED_STEPS, order.seed)
    share = 100 * padding_share(buckets, lengths, size)
    return (
        f"padding: {without:.1f} % of the batches; --bucket_steps {_SUGGESTED_STEPS} makes it "
        f"{share:.1f} %"
    )
