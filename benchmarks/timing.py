"""Time and peak memory of steps that take turns, so that other load on the machine hits all alike.

Times are medians and minima; the ratio of two steps is the median over pairs that ran one after the
other, which load that comes and goes disturbs least.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import platform
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch

__all__ = ["CLOCKS", "Times", "alternate", "peak_memory", "ratio", "time_step", "timed"]

Step = Callable[[], object]
Clock = Callable[[], float]
#: ``cpu`` is processor time of all threads: for a machine that others use too.
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
_CLEAR = Path("/proc/self/clear_refs")
# From glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


@dataclass
class Times:
    """Seconds of every timed run of a step, in the order in which they ran."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median, seconds."""
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        """Least, seconds."""
        return min(self.seconds)


def ratio(ours: Times, anchor: Times) -> float:
    """Return how many times as long the anchor took: the median over the rounds."""
    pairs = zip(ours.seconds, anchor.seconds, strict=True)
    return statistics.median(theirs / mine for mine, theirs in pairs)


def time_step(step: Step, device: torch.device, clock: Clock = time.perf_counter) -> float:
    """Return the seconds of one step; on a GPU those between two events on its stream."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)
        start.record()
        step()
        end.record()
        torch.cuda.synchronize(device)
        return float(start.elapsed_time(end)) / 1000
    began = clock()
    step()
    return clock() - began


def alternate(
    steps: Mapping[str, Step],
    device: torch.device,
    *,
    clock: Clock = time.perf_counter,
    budget_s: float = 8.0,
    least: int = 3,
    most: int = 101,
    warm_up: int = 1,
) -> dict[str, Times]:
    """Time steps in turns: forwards, backwards, forwards, so that none is always the first.

    Args:
        steps: Name -> what to time.
        device: Where they run.
        clock: One of `CLOCKS`; a GPU has its own.
        budget_s: Seconds of wall time after which no further round is started.
        least: Rounds that are run anyway.
        most: Rounds that are enough.
        warm_up: Runs of each beforehand that do not count.
    """
    for _ in range(warm_up):
        for step in steps.values():
            step()
    times = {name: Times() for name in steps}
    order = list(steps)
    began = time.perf_counter()
    for done in range(most):
        if done >= least and time.perf_counter() - began > budget_s:
            break
        for name in order:
            times[name].seconds.append(time_step(steps[name], device, clock))
        order.reverse()
    return times


def timed(
    steps: Mapping[str, Step], options: argparse.Namespace, share: float = 1.0, **limits: int
) -> dict[str, Times]:
    """Time steps in turns as the command line says, for a share of its budget; see `alternate`."""
    budget_s, clock = share * options.budget, CLOCKS[options.clock]
    return alternate(steps, options.device, clock=clock, budget_s=budget_s, **limits)


def peak_memory(step: Step, device: torch.device) -> float:
    """Return the bytes that a step needs at its peak above what is in use before it.

    On a GPU these are tensors; otherwise the process's resident memory, with what libraries need to
    work, but without what glibc keeps of freed tensors, which depends on what ran before (a third
    of a step of DCCRN's, after Asteroid's). Run the step once before: what it keeps from then on is
    not counted.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        used = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device) - used)
    with _freed_memory_returned():
        before = psutil.Process().memory_info().rss
        if _forget_peak():
            step()
            return float(max(0, _peak_rss() - before))
        return float(_watched_peak(step) - before)


@contextmanager
def _freed_memory_returned() -> Iterator[None]:
    """Let glibc give every large block back when it is freed, and what it has now."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, 128 * 1024)  # its first value, kept
    libc.malloc_trim(0)
    try:
        yield
    finally:  # where it ends by itself once blocks as large have been freed
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 1024**2)
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * 1024**2)


def _forget_peak() -> bool:
    """Reset Linux's peak of resident memory; return False where that is not possible."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _peak_rss() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no line VmHWM")


def _watched_peak(step: Step) -> int:
    """Return the most resident memory seen every 2 ms while a step ran."""
    process, done = psutil.Process(), threading.Event()
    seen = [process.memory_info().rss]

    def watch() -> None:
        while not done.wait(0.002):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        step()
    finally:
        done.set()
        watcher.join()
    return int(max(seen))
