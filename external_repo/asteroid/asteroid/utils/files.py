"""Files that are either the old ones or the new ones, never half of each."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_path", "remove_leftovers", "write_text"]

_MARK = ".part"
#: Of a name, on the usual file systems.
_MOST_BYTES = 255


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; rename it to ``path`` when the block succeeds.

    The folder is made if it is missing. The suffix is kept, since audio libraries choose the format
    by it. When the block fails the temporary file is removed and ``path`` stays as it was.

    Args:
        path: The file to write.
        durable: Put the bytes on the disk before the rename, so that a power cut too leaves the old
            file or the new one. Worth its time for checkpoints, not for a thousand small files.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tail = f".{os.getpid()}-{uuid.uuid4().hex[:8]}{_MARK}{path.suffix}"
    # a name of nearly all the bytes that a file system allows must not become too long by the tail
    stem = os.fsdecode(os.fsencode(path.stem)[: max(0, _MOST_BYTES - len(os.fsencode(tail)) - 1)])
    temporary = path.with_name(f".{stem}{tail}")
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` (UTF-8) to ``path``: whole and durable, or not at all."""
    with atomic_path(path, durable=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files that a killed process left in ``folder``."""
    for leftover in Path(folder).glob(f".*{_MARK}*"):
        leftover.unlink(missing_ok=True)
