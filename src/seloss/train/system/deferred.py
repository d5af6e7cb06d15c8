"""Numbers of training steps that are read from their device some steps later, all at once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch

__all__ = ["DeferredReads"]


class DeferredReads:
    """Values on a device, each with what is to be done with its numbers.

    To read a number, the host waits until a GPU has done all that it was asked to do, and then
    leaves it idle. So the values of some steps are read together; on a CPU, which is not waited
    for, each at once.
    """

    on_cpu, elsewhere = 1, 40  # values that are read together

    def __init__(self) -> None:
        self._waiting: list[tuple[torch.Tensor, Callable[[list[float]], object]]] = []

    def __len__(self) -> int:
        """Return how many values wait."""
        return len(self._waiting)

    def add(self, values: torch.Tensor, use: Callable[[list[float]], object]) -> None:
        """Note values ``(n,)``; ``use`` gets them as numbers when they are read, in this order."""
        self._waiting.append((values, use))
        if len(self) >= (self.on_cpu if values.device.type == "cpu" else self.elsewhere):
            self.read()

    def read(self) -> None:
        """Read all that waits."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        numbers = iter(torch.cat([values.double() for values, _ in waiting]).tolist())
        for values, use in waiting:
            use(list(islice(numbers, len(values))))
