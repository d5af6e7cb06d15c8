"""Folders that a preparation fills: claimed by one process, with one set of settings, resumed.

Every program that makes data claims its folder first. ``settings.json`` says what the content
depends on and which names are written, so that another start continues with the same settings, is
refused with others, or, to overwrite, removes all that the earlier one has written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from asteroid.utils.files import write_text
from asteroid.utils.system import lock_file

from .mixture import DataError, Mixture, Problem, mixture_from_json, mixture_to_json

__all__ = ["Claim", "claim_folder", "digest", "progress_bar", "read_item", "write_item"]

_LOG = logging.getLogger(__name__)
_SETTINGS = "settings.json"
_LOCK = ".lock"
#: Key of the settings file that holds what is written; it is no setting.
_WRITES = "writes"
_DIGEST = re.compile(r"[0-9a-f]{16}")


class Claim:
    """A folder that this process alone may fill; `claim_folder` makes it.

    Functions that write into a prepared folder take one, so that none can write without it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder


def digest(value: object) -> str:
    """Return 16 hexadecimal digits that depend on a value of lists, dicts, text and numbers."""
    text = json.dumps(value, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _refuse(folder: Path, item: str, what: str) -> DataError:
    return DataError(str(folder), [Problem(0, item, what)])


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Refuse the folder while another process holds it; a dead process holds nothing."""
    with (folder / _LOCK).open("a+", encoding="utf-8") as file:
        try:
            # a record lock: unlike flock's, worker processes that survive their parent do not
            # inherit it, so that a killed preparation can be resumed at once
            lock_file(file)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                _LOG.warning("%s cannot be locked (%s): start one preparation only", folder, error)
            else:
                file.seek(0)
                holder = file.read().strip() or "another process"
                what = f"is being prepared by {holder}: wait for its end or choose another folder"
                raise _refuse(folder, "folder", what) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def _read(path: Path) -> dict[str, Any] | None:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _refuse(path.parent, path.name, f"is damaged ({error}); overwrite") from None
    return settings


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    changes = []
    for key, value in new.items():
        if old.get(key) == value:
            continue
        if isinstance(value, str) and _DIGEST.fullmatch(value):
            changes.append(f"{key}: other than before")  # a digest tells a reader nothing
        else:
            changes.append(f"{key} was {old.get(key)!r}, is {value!r}")
    return changes


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def claim_folder(
    folder: str | Path,
    settings: Mapping[str, Any],
    writes: Iterable[str],
    *,
    overwrite: bool = False,
) -> Iterator[Claim]:
    """Hold a folder while it is filled.

    Args:
        folder: Is made if it is missing.
        settings: What its content depends on, as JSON can hold it; long lists as a `digest`.
        writes: Names in the folder of all that may be written.
        overwrite: Whether what an earlier preparation has written is removed first.

    Raises:
        DataError: If another process fills the folder, or it was filled with other settings; names
            the settings.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _SETTINGS
    settings = json.loads(json.dumps(dict(settings)))
    with _lock(folder):
        try:
            old = _read(path)
        except DataError:
            if not overwrite:
                raise
            old = {}
        if overwrite:
            # the settings stay till the end: killed in between, the folder is still the old one
            for name in sorted({*writes, *(old or {}).get(_WRITES, ())}):
                _remove(folder / Path(name).name)
        elif old is not None:
            changes = _changes(old, settings)
            if changes:
                what = (
                    f"holds data made with other settings ({'; '.join(changes)}); "
                    "choose another folder or overwrite"
                )
                raise _refuse(folder, _SETTINGS, what)
        if overwrite or old is None:
            write_text(path, json.dumps({**settings, _WRITES: sorted(writes)}, indent=1) + "\n")
        yield Claim(folder)


def progress_bar(what: str, unit: str, total: int, shown: bool | None, done: int = 0) -> tqdm[Any]:
    """Return a bar for ``with``; ``shown`` None: on a terminal."""
    hidden = None if shown is None else not shown
    return tqdm(total=total, initial=done, desc=what, unit=unit, disable=hidden)


def read_item(path: Path, folder: Path) -> Mixture | None:
    """Return a finished mixture, paths being relative to ``folder``; None if it is not there."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        return mixture_from_json(entry, folder.absolute())
    except (OSError, ValueError):
        return None


def write_item(path: Path, item: Mixture, folder: Path) -> Mixture:
    """Note that a mixture is finished, after all of its files; return it."""
    write_text(path, json.dumps(mixture_to_json(item, folder)) + "\n")
    return item
