"""Means over the utterances of an epoch, continued when the epoch is resumed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from seloss.train.run.distributed import total

__all__ = ["EpochMeans"]


class EpochMeans:
    """Sum up named values and how many utterances they stand for.

    Args:
        names: What is averaged.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._sums: list[float] | None = None
        self._device = torch.device("cpu")
        self._restored = [0.0] * 2 * len(self.names)

    def add(self, means: Mapping[str, float], count: int, device: torch.device, rank: int) -> None:
        """Add the means of ``count`` utterances; names that are not given have none."""
        if self._sums is None:
            # The restored sums are those of all ranks, which are added up again at the end.
            self._sums = self._restored if rank == 0 else [0.0] * len(self._restored)
            self._device = device
            self._restored = [0.0] * len(self._restored)
        row: list[float] = []
        for name in self.names:
            # Sums and counts, not means: ranks and batches may differ in size.
            row += [means[name] * count, count] if name in means else [0.0, 0.0]
        self._sums = [a + b for a, b in zip(self._sums, row, strict=True)]

    def pop(self) -> dict[str, float]:
        """Return the means over the utterances of all ranks, NaN where nothing was added; reset."""
        if self._sums is None:
            return {}
        sums = self.state()
        self._sums = None
        pairs = zip(self.names, sums[::2], sums[1::2], strict=True)
        return {name: value / count if count else math.nan for name, value, count in pairs}

    def state(self) -> list[float]:
        """Return what a checkpoint keeps: sum and number of each name, of all ranks."""
        if self._sums is None:
            return [0.0] * 2 * len(self.names)
        sums = torch.tensor(self._sums, dtype=torch.float64, device=self._device)
        state: list[float] = total(sums).tolist()
        return state

    def load(self, state: Sequence[float] | None) -> None:
        """Resume from the state of a checkpoint."""
        if state is not None and len(state) == len(self._restored):
            self._restored = list(state)
