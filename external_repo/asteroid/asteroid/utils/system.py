"""What Linux and macOS have and Windows has not: locks of files, the peak of a process's memory."""

from __future__ import annotations

import sys
from typing import IO, Any

try:
    import fcntl
    import resource
except ModuleNotFoundError:  # Windows
    fcntl = resource = None  # type: ignore[assignment]

__all__ = ["lock_file", "peak_memory_bytes"]


def lock_file(
    file: IO[Any] | int, *, shared: bool = False, wait: bool = False, by_handle: bool = False
) -> bool:
    """Lock a file until it is closed or this process dies; return whether the system has locks.

    Args:
        file: An open file, or its descriptor.
        shared: Let others that ask for a shared lock have it too.
        wait: Wait for who holds it.
        by_handle: Take a lock that belongs to the open file, which threads of one process respect
            and child processes inherit; by default one that belongs to the process.

    Raises:
        BlockingIOError, PermissionError: Another process holds it.
        OSError: The file system has no locks.
    """
    if fcntl is None:
        return False
    lock = fcntl.flock if by_handle else fcntl.lockf
    lock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    return True


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held at once; 0 where that is not known."""
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # KiB on Linux
