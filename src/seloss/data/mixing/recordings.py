"""Recordings decoded once and kept in memory, so that an excerpt costs a copy, not a decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from .excerpt import length_at, power, read_part

__all__ = ["Recordings"]

Samples = NDArray[np.float32]


class Recordings:
    """First channels of audio files, float32, decoded at their first use.

    A recording that no longer fits in the memory allowed is read from its file each time, the part
    that is asked for only.

    Args:
        sample_rate: Hz; files of another rate are resampled.
        memory_mb: Most that is kept, in MiB; data workers of one loader share it.
    """

    def __init__(self, sample_rate: int, memory_mb: float = 4096.0) -> None:
        self.sample_rate, self.memory_mb = sample_rate, memory_mb
        self._kept: dict[Path, Samples] = {}
        self._lengths: dict[Path, int] = {}
        self._powers: dict[Path, float] = {}
        self._used = 0

    def length(self, path: Path) -> int:
        """Return the samples of a file, from its header.

        Raises:
            ValueError: It is not readable audio or has no samples.
        """
        if path not in self._lengths:
            self._lengths[path] = length_at(path, self.sample_rate)
        return self._lengths[path]

    def part(self, path: Path, start: int, n_samples: int) -> Samples:
        """Return up to ``(n_samples,)`` from ``start`` on; fewer where the file ends before.

        It may be a view of what is kept: it must not be changed.
        """
        whole = self._whole(path)
        if whole is None:
            return read_part(path, self.sample_rate, start, n_samples).astype(np.float32)
        return whole[start : start + n_samples]

    def power(self, path: Path) -> float | None:
        """Return the mean power of a file; None if it is not kept in memory."""
        whole = self._whole(path)
        if whole is None:
            return None
        if path not in self._powers:
            self._powers[path] = power(whole)
        return self._powers[path]

    def _whole(self, path: Path) -> Samples | None:
        if path in self._kept:
            return self._kept[path]
        worker = get_worker_info()
        allowed = self.memory_mb * 2**20 / (worker.num_workers if worker else 1)
        n_bytes = 4 * self.length(path)
        if self._used + n_bytes > allowed:
            return None
        samples = read_part(path, self.sample_rate, 0, self.length(path)).astype(np.float32)
        self._kept[path] = samples
        self._used += n_bytes
        return samples
