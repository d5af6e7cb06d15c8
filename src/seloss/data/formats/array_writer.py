"""Array of segments written row by row: any size in little memory, resumed after a kill."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from asteroid.utils.files import write_text
from seloss.program import mark_resumable

from .array import ArrayInfo, read_info, sidecar_of, write_info
from .mixture import DataError, Problem

__all__ = ["ArrayWriter", "is_complete"]

_DTYPE = np.dtype("<f4")


def is_complete(info: ArrayInfo) -> bool:
    """Return whether the array is there already, made of the same.

    Raises:
        DataError: If another one is there, which is not overwritten.
    """
    if not info.path.exists():
        return False
    try:
        made_of = read_info(info.path).made_of
    except (DataError, FileNotFoundError):
        made_of = "?"
    if made_of != info.made_of:
        what = "is there already, made of other data or with other settings; overwrite or move it"
        raise DataError(str(info.path), [Problem(0, "array", what)])
    return True


class ArrayWriter:
    """Write the items of one array in their order; `done` says how many a killed run has left.

    A hidden file grows beside the target and takes its name when it is whole. A context manager.
    Only one process may write: see `preparation.claim_folder`.

    Args:
        info: What the array will hold. Its `columns` may still lack what only the audio says:
            `finish` takes the rest.
    """

    def __init__(self, info: ArrayInfo) -> None:
        self.info = info
        self.done = 0
        self._part = info.path.with_name(f".{info.path.name}.part")
        self._state = info.path.with_name(f".{info.path.name}.part.json")
        self._measured: list[dict[str, Any]] = []
        header = io.BytesIO()
        facts = {"descr": _DTYPE.str, "fortran_order": False, "shape": info.shape}
        np.lib.format.write_array_header_1_0(header, facts)
        self._header = header.getvalue()
        self._item_bytes = 2 * info.shape[-1] * _DTYPE.itemsize

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that may be written."""
        return self.info.path, sidecar_of(self.info.path), self._part, self._state

    @property
    def size(self) -> int:
        """Bytes of the finished array."""
        return len(self._header) + math.prod(self.info.shape) * _DTYPE.itemsize

    def __enter__(self) -> ArrayWriter:
        """Open the file; one that was begun from the same is continued."""
        self.info.path.parent.mkdir(parents=True, exist_ok=True)
        self._part.touch()
        self._file: BinaryIO = self._part.open("r+b")
        state = self._read_state()
        self.done, self._measured = state["done"], state["measured"]
        if not self.done:
            self._file.write(self._header)
        # A kill may have left part of an item behind the last whole one.
        self._file.truncate(len(self._header) + self.done * self._item_bytes)
        self._file.seek(0, os.SEEK_END)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def _read_state(self) -> dict[str, Any]:
        fresh: dict[str, Any] = {"done": 0, "measured": []}
        try:
            state: dict[str, Any] = json.loads(self._state.read_text(encoding="utf-8"))
            size = self._part.stat().st_size
        except (OSError, ValueError):
            return fresh
        whole = size >= len(self._header) + state.get("done", 0) * self._item_bytes
        return state if whole and state.get("made_of") == self.info.made_of else fresh

    def write(self, items: Sequence[NDArray[Any]], measured: Sequence[Mapping[str, Any]]) -> None:
        """Append items, each (2, up to the array's samples), padded with zeros.

        Args:
            items: Noisy and clean signals.
            measured: What was found out about each, such as ``length``; kept for `finish`.
        """
        for pair in items:
            row = np.zeros((2, self.info.shape[-1]), dtype=_DTYPE)
            row[:, : pair.shape[-1]] = pair
            self._file.write(row.tobytes())
        self._file.flush()
        # The state below must not promise rows that a power cut takes away.
        os.fsync(self._file.fileno())
        self.done += len(items)
        self._measured += [dict(row) for row in measured]
        state = {"made_of": self.info.made_of, "done": self.done, "measured": self._measured}
        write_text(self._state, json.dumps(state))
        mark_resumable()

    def finish(self) -> ArrayInfo:
        """Write the description, then give the whole array its name."""
        if self.done != len(self.info.ids):
            raise ValueError(f"{self.info.path}: {self.done} of {len(self.info.ids)} items written")
        self._file.close()
        names = list(self._measured[0]) if self._measured else []
        columns = {name: [row[name] for row in self._measured] for name in names}
        info = replace(self.info, columns={**self.info.columns, **columns})
        # The description first: an array without one would count as foreign.
        write_info(info)
        self._part.replace(info.path)
        self._state.unlink(missing_ok=True)
        return info
