"""Setting of the C library by which a process keeps the memory that it frees."""

from __future__ import annotations

import ctypes
import platform

__all__ = ["keep_freed_memory"]

# From glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_NEVER = -1  # any size would be at most 2 GiB, less than a step may free


def keep_freed_memory() -> bool:
    """Let this process reuse all the memory it frees; return whether its C library can.

    A training step allocates and frees the same large tensors again and again. By default glibc
    returns each to the system and gets it again, page by page and filled with zeros: a fifth to a
    quarter of the processor time of a FaSNet-TAC step. The price is that the process never shrinks,
    and that large blocks of different sizes leave gaps: a third more memory.

    Only glibc (Linux) has this setting; it cannot be undone.

    Source: mallopt(3).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
