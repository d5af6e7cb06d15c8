"""Segments of an array as training and test items, read from where they lie on the disk."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from asteroid.utils.files import write_text
from seloss.data.draw import generator
from seloss.data.formats.array import ArrayInfo, read_info
from seloss.data.formats.batch import Item, ItemFacts, Key
from seloss.data.formats.mixture import DataError, Problem

__all__ = ["ArrayDataset", "check_samples", "validate_array"]

_LOG = logging.getLogger(__name__)
#: Bytes that are looked at, and mapped, at a time.
_BLOCK_BYTES = 32 << 20
_MANY_BYTES = 1 << 30


def _rows(info: ArrayInfo) -> NDArray[Any]:
    """Return the array as (items, 2, samples), mapped into memory, not read."""
    array: NDArray[Any] = np.load(info.path, mmap_mode="r", allow_pickle=False)
    return array.reshape(-1, *array.shape[-2:])


def _complaints(block: NDArray[Any], lengths: list[int | None]) -> Iterator[tuple[int, str]]:
    """Yield (row, what is wrong with it)."""
    finite = np.isfinite(block).all(axis=-1)
    audible = np.abs(block).max(axis=-1) > 0
    for row, length in enumerate(lengths):
        for signal, name in enumerate(("noisy", "clean")):
            if not finite[row, signal]:
                yield row, f"the {name} signal has samples that are not finite (NaN or infinity)"
            elif not audible[row, signal]:
                yield row, f"the {name} signal is silent: every sample is zero"
        if length is not None and block[row, :, length:].any():
            yield row, f"is not zero after its 'length' of {length} samples"


def check_samples(info: ArrayInfo, *, progress: bool | None = None) -> list[Problem]:
    """Return what is wrong with the samples of an array, looked at block by block.

    Args:
        info: What the array holds.
        progress: Whether to show a progress bar; by default for a large array on a terminal.
    """
    n_items, per_item = len(info.ids), max(1, info.path.stat().st_size // len(info.ids))
    step = max(1, _BLOCK_BYTES // per_item)
    quiet = not progress if progress is not None else (n_items * per_item < _MANY_BYTES or None)
    problems: list[Problem] = []
    for start in tqdm(range(0, n_items, step), f"checking {info.path.name}", disable=quiet):
        block = _rows(info)[start : start + step]  # mapped anew, so that its pages are given back
        lengths = [info.fact("length", start + row) for row in range(len(block))]
        for row, what in _complaints(block, lengths):
            problems.append(Problem(0, info.ids[start + row], f"item {start + row}: {what}"))
    return problems


def validate_array(
    path: str | Path, *, sample_rate: int, progress: bool | None = None
) -> ArrayInfo:
    """Check an array and every sample of it; a second check of an unchanged file is quick.

    Raises:
        FileNotFoundError: If the array or its description is missing.
        DataError: If anything is wrong; names the file and the first ten items.
    """
    info = read_info(path, sample_rate=sample_rate)
    cache = info.path.with_name(f".{info.path.stem}.checked.json")
    stat = info.path.stat()
    state = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "items": len(info.ids)}
    try:
        if json.loads(cache.read_text(encoding="utf-8")) == state:
            return info
    except (OSError, ValueError):
        pass
    problems = check_samples(info, progress=progress)
    if problems:
        raise DataError(str(path), problems)
    try:
        write_text(cache, json.dumps(state) + "\n")
    except OSError as error:
        _LOG.debug("could not remember the check in %s: %s", cache, error)
    return info


class ArrayDataset(Dataset[Item]):
    """Items of an array ``[N, 2, samples]``, or of a test array in the order of its classes.

    The array stays on the disk: a corpus may be larger than the memory. Zeros that pad a segment up
    are left out.

    Args:
        info: What `validate_array` returned.
        segment_s: Longest excerpt in seconds, at a random place that changes with the epoch; None:
            whole items.
        seed: Of everything random.
    """

    def __init__(self, info: ArrayInfo, *, segment_s: float | None = None, seed: int = 0) -> None:
        if segment_s is not None and segment_s * info.sample_rate < 1:
            raise ValueError(f"segment_s must be None or at least one sample; got {segment_s!r}")
        self.info = info
        self.sample_rate = info.sample_rate
        self.segment = None if segment_s is None else round(segment_s * info.sample_rate)
        self.seed = seed
        self._map: tuple[int, NDArray[Any]] | None = None

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.info.ids)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the map out, so that a worker process gets the file's name and not its content."""
        return {**self.__dict__, "_map": None}

    @property
    def items(self) -> list[ItemFacts]:
        """What is known about each item."""
        names = ("speaker", "noise_type", "snr_db", "seen", "transcript")
        return [
            ItemFacts(name, **{fact: self.info.fact(fact, index) for fact in names})
            for index, name in enumerate(self.info.ids)
        ]

    @property
    def lengths(self) -> list[int]:
        """Samples of each item, as it is given out."""
        most = self.info.shape[-1]
        whole = [self.info.fact("length", index) or most for index in range(len(self))]
        return [min(length, self.segment or length) for length in whole]

    def __getitem__(self, key: int | Key) -> Item:
        """Return item ``(epoch, index)``; an index alone means epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        name = self.info.ids[index]
        if self._map is None or self._map[0] != os.getpid():  # each worker maps the file itself
            self._map = (os.getpid(), _rows(self.info))
        row = self._map[1][index]
        start, stop = 0, self.info.fact("length", index) or row.shape[-1]
        if self.segment is not None and self.segment < stop:
            draw = generator(self.seed, epoch, name)
            start = int(draw.integers(stop - self.segment + 1))
            stop = start + self.segment
        pair = torch.from_numpy(np.array(row[:, start:stop], dtype=np.float32))
        noisy, clean = pair
        return Item(noisy[None], torch.stack([clean, noisy - clean]), name)
