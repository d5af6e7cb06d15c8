"""Times of a loader: waiting for a batch, and for all of them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

__all__ = ["Waits", "epoch_time", "waiting"]


class Waits(NamedTuple):
    """What steps waited for.

    Attributes:
        waited: Seconds until batches were there, without the first of each epoch.
        whole: Seconds of the epochs, without their first batches.
        steps: How many.
        first: Seconds until the first batch of an epoch was there.
    """

    waited: float
    whole: float
    steps: int
    first: float


def epoch_time(loader: Any, budget_s: float) -> float:
    """Return the seconds of an epoch when nothing is done with the batches."""
    began, epochs = time.perf_counter(), 0
    while not epochs or time.perf_counter() - began < budget_s:
        for _ in loader:
            pass
        epochs += 1
    return (time.perf_counter() - began) / epochs


def waiting(loader: Any, step: Callable[[], object], budget_s: float) -> Waits:
    """Run steps on a loader's batches, an epoch at a time, until the time is spent.

    The workers must run already: see :func:`epoch_time`.
    """
    began = time.perf_counter()
    epochs = [_epoch(loader, step)]
    while time.perf_counter() - began < budget_s:
        epochs.append(_epoch(loader, step))
    waited, whole, steps, first = (sum(part) for part in zip(*epochs, strict=True))
    return Waits(waited, whole, int(steps), first / len(epochs))


def _epoch(loader: Any, step: Callable[[], object]) -> Waits:
    batches = iter(loader) if loader.pin_memory else _taken_ahead(loader)
    began = time.perf_counter()
    next(batches)
    first = time.perf_counter() - began
    waited, steps = 0.0, 1
    step()
    while True:
        since = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - since
        if batch is None:
            return Waits(waited, time.perf_counter() - began - first, steps, first)
        step()
        steps += 1


def _taken_ahead(loader: Any) -> Iterator[Any]:
    """Yield a loader's batches, taken by a thread as they come, as one that pins them does."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=1)

    def take() -> None:
        try:
            for batch in loader:
                ready.put(batch)
        finally:  # an error, too, ends the epoch instead of leaving it to wait
            ready.put(None)

    threading.Thread(target=take, daemon=True).start()
    return iter(ready.get, None)
