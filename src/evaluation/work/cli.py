"""Types of options that programs share, and the number of processes."""

from __future__ import annotations

import os

__all__ = ["available_cpus", "natural_int", "positive_int"]


def positive_int(text: str) -> int:
    """Read a whole number from 1 on, for `type=`."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def natural_int(text: str) -> int:
    """Read a whole number from 0 on, for `type=`."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def available_cpus() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
