"""Steps whose items are of similar length, so that little padding goes through the network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seloss.data.draw import generator

from .samplers import EpochSampler, StepSampler

__all__ = ["BucketSampler", "describe_padding", "padding_share"]

# Above this share of padding a number of steps is suggested.
_MUCH_PADDING, _SUGGESTED_STEPS = 0.1, 16


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


def padding_share(sampler: EpochSampler, lengths: Sequence[int], batch_size: int) -> float:
    """Return what share of the batches of the present epoch is padding, 0 to 1.

    Args:
        sampler: The order.
        lengths: Of the items.
        batch_size: Items that are padded to the longest of them.
    """
    ordered = np.asarray(lengths)[sampler.order()]
    starts = np.arange(0, len(ordered), batch_size)
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
