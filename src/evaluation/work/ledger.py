"""Ledger of finished work, by which a program that was stopped resumes.

A ledger is a file of JSON lines that is only appended to, so that a kill costs at most the last
line. Each line holds results of one item under a *key*: the digest of all that they depend on.
Results under another key are void: they are not returned any more, but stay until `Ledger.compact`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from asteroid.utils.files import atomic_path
from seloss.program import mark_resumable

from .shards import Shard

__all__ = ["Ledger", "content_digest", "digest", "package_version"]

Results = dict[str, Any]


def digest(settings: object, files: Mapping[str, Path] | None = None) -> str:
    """Return the key of results: a digest of settings and of the files as they are now.

    Args:
        settings: anything that `json` writes.
        files: by role. A file's path, size and time stand for its content, so that thousands cost
            no reading; a file that is not there counts as such.
    """
    states = {}
    for role, path in (files or {}).items():
        if path.is_file():
            status = path.stat()
            states[role] = [str(path), status.st_size, status.st_mtime_ns]
    text = json.dumps([settings, states], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]  # 128 bits: no two collide


def content_digest(path: Path) -> str:
    """Return the digest of a file's content, "" if there is no such file."""
    if not path.is_file():
        return ""
    content = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            content.update(block)
    return content.hexdigest()


@cache
def package_version(package: str) -> str:
    """Return the installed version of a package, for keys of results; "none" if it is absent."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


class Ledger:
    """Results by item and key; what `add` was given is there after a kill.

    Tasks of a job array write to files of their own beside `path`, and read all of them.

    Args:
        path: the file; it need not exist.
        shard: the part of the work that this process does; None: all of it.
    """

    def __init__(self, path: Path, shard: Shard | None = None) -> None:
        self.path = path
        self._own = path if shard is None else self._part(shard.suffix)
        self._results: dict[str, dict[str, Results]] = {}
        self._read()

    def results(self, item: str, key: str) -> Results:
        """Return a copy of an item's results under a key; empty where there are none."""
        return dict(self._results.get(item, {}).get(key, {}))

    def add(self, item: str, key: str, results: Mapping[str, Any]) -> None:
        """Add results to those that the item has under this key; equal names are replaced.

        Results are anything that `json` writes, except NaN and infinities.
        """
        line = _line(item, key, results)
        self._merge(item, key, results)
        self._own.parent.mkdir(parents=True, exist_ok=True)
        with self._own.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # torn by a kill: keep it apart from this one
                    line = b"\n" + line
            file.write(line)
        mark_resumable()

    def compact(self, keys: Mapping[str, str] | None = None) -> None:
        """Join all parts in one file, in one step.

        ``keys`` names items and the only key of theirs that still holds; others keep everything.
        """
        self._read()  # tasks of an array may have added results meanwhile
        keys = keys or {}
        lines = [
            _line(item, key, results)
            for item, by_key in self._results.items()
            for key, results in by_key.items()
            if keys.get(item, key) == key
        ]
        parts = self._parts()
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(b"".join(lines))
        for part in parts:
            part.unlink(missing_ok=True)

    def _read(self) -> None:
        for file in (self.path, *self._parts()):
            text = file.read_bytes() if file.is_file() else b""
            for line in text.split(b"\n"):
                # Torn by a kill: neither JSON nor, by chance, JSON with all three.
                with suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    self._merge(entry["item"], entry["key"], entry["results"])

        if self._results:
            mark_resumable()

    def _merge(self, item: str, key: str, results: Mapping[str, Any]) -> None:
        self._results.setdefault(item, {}).setdefault(key, {}).update(results)

    def _part(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.{suffix}{self.path.suffix}")

    def _parts(self) -> list[Path]:
        return sorted(self.path.parent.glob(self._part("*_of_*").name))


def _line(item: str, key: str, results: Mapping[str, Any]) -> bytes:
    line = {"item": item, "key": key, "results": dict(results)}
    return json.dumps(line, allow_nan=False).encode() + b"\n"
