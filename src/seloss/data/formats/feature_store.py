"""Tensors of many utterances on disk, computed once: embeddings and latents.

A store is a folder of shards (safetensors), each written whole or not at all, with
``identity.json``: what the tensors depend on beside the audio. Each tensor is kept with a hash of
the audio it was computed from. So a killed run resumes, and neither another model nor
changed audio is taken for the stored ones.

Several processes, on several machines too, may fill one store: each writes shards of its own, one
process at a time (``flock``, which file systems shared by machines have as well).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asteroid.utils.files import atomic_path, remove_leftovers, write_text
from asteroid.utils.registry import check_choice
from asteroid.utils.system import lock_file
from seloss.program import mark_resumable

from .batch import Item
from .mixture import DataError, Problem

__all__ = ["FeatureStore", "audio_hash", "heard_signal"]

_LOG = logging.getLogger(__name__)
_HASHES = "audio_hashes"
SOURCES = ("noisy", "clean")


def heard_signal(item: Item, source: str) -> Tensor:
    """Return the signal ``(samples,)`` that features are computed from.

    Args:
        item: One utterance.
        source: ``noisy``: the mixture at the reference microphone; ``clean``: the speech in it.

    Raises:
        ValueError: ``source`` is neither.
    """
    check_choice("source", source, SOURCES)
    return item.mixture[0] if source == "noisy" else item.sources[0]


def audio_hash(item: Item, source: str = "noisy") -> str:
    """Return 16 hexadecimal digits that depend on every sample of :func:`heard_signal`."""
    signal = heard_signal(item, source)
    samples = np.ascontiguousarray(signal.detach().cpu().to(torch.float32).numpy())
    return hashlib.blake2b(
        samples.tobytes() + str(samples.shape).encode(), digest_size=8
    ).hexdigest()


class FeatureStore:
    """A folder of tensors by utterance.

    Args:
        folder: Where; made if it is missing.
        identity: What the tensors depend on beside the audio, as JSON can hold it.
        shard_bytes: Tensors are written when this much has come together,
        shard_seconds: or so long after the last were; at most so much work is lost by a kill.
        read_only: Refuse a folder that does not exist or holds something else, instead of making
            it or starting afresh.

    Raises:
        FileNotFoundError: ``read_only``, and there is no store.
        ValueError: ``read_only``, and the store was made from something else.
    """

    def __init__(
        self,
        folder: str | Path,
        identity: Mapping[str, Any],
        *,
        shard_bytes: int = 64 * 2**20,
        shard_seconds: float = 60.0,
        read_only: bool = False,
    ) -> None:
        self.folder, self.shard_bytes = Path(folder), shard_bytes
        self.shard_seconds, self._written = shard_seconds, time.monotonic()
        self.identity: dict[str, Any] = json.loads(json.dumps(dict(identity)))
        self._waiting: dict[str, tuple[Tensor, str]] = {}
        if read_only:
            self._check()
        else:
            self._start()
        self._index: dict[str, tuple[Path, str]] = {}
        self._known: set[Path] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take note of what other processes have written since."""
        for shard in self._shards():
            if shard not in self._known:
                hashes = _read_hashes(shard)
                self._index |= {name: (shard, mark) for name, mark in hashes.items()}
                self._known.add(shard)

    def _stored_identity(self) -> dict[str, Any] | None:
        """What the folder says it was made from."""
        path = self.folder / "identity.json"
        if not path.is_file():
            return None
        identity: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return identity

    def _check(self) -> None:
        stored = self._stored_identity()
        if stored is None:
            raise FileNotFoundError(
                f"{self.folder} holds no stored features (no identity.json): store them first"
            )
        if stored != self.identity:
            changed = _differences(stored, self.identity)
            raise ValueError(f"{self.folder} is stale, it was made from something else: {changed}")

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with _lock(self.folder):
            remove_leftovers(self.folder)
            stored = self._stored_identity()
            if stored == self.identity:
                return
            if stored is not None:
                changed = _differences(stored, self.identity)
                _LOG.warning("%s is stale and is computed again: %s", self.folder, changed)
                for shard in self._shards():
                    shard.unlink()
            write_text(self.folder / "identity.json", json.dumps(self.identity, indent=1))

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("shard-*.safetensors"))

    def __len__(self) -> int:
        """Return the number of utterances on disk and waiting."""
        return len(self._index.keys() | self._waiting.keys())

    def holds(self, name: str) -> bool:
        """Return whether ``name`` is there, whatever audio it was computed from."""
        return name in self._index or name in self._waiting

    def has(self, name: str, mark: str) -> bool:
        """Return whether ``name`` is there, computed from the audio of hash ``mark``."""
        if name in self._waiting:
            return self._waiting[name][1] == mark
        return name in self._index and self._index[name][1] == mark

    def is_stale(self, name: str, mark: str) -> bool:
        """Return whether ``name`` is there, but computed from other audio."""
        return self.holds(name) and not self.has(name, mark)

    def put(self, name: str, value: Tensor, mark: str) -> None:
        """Add a tensor; it is on disk when a shard is full or due, or after :meth:`flush`."""
        self._waiting[name] = (value.detach().cpu().contiguous(), mark)
        full = sum(value.nbytes for value, _ in self._waiting.values()) >= self.shard_bytes
        if full or time.monotonic() - self._written >= self.shard_seconds:
            self.flush()

    def flush(self) -> None:
        """Write what waits.

        Raises:
            ValueError: Another process has filled the store from something else.
        """
        if not self._waiting:
            return
        from safetensors.torch import save_file

        hashes = {name: mark for name, (_, mark) in self._waiting.items()}
        with _lock(self.folder):
            self._check()
            shards = self._shards()
            number = 1 + int(shards[-1].stem.rpartition("-")[2]) if shards else 0
            shard = self.folder / f"shard-{number:05d}.safetensors"
            with atomic_path(shard, durable=True) as temporary:
                values = {name: value for name, (value, _) in self._waiting.items()}
                save_file(values, temporary, metadata={_HASHES: json.dumps(hashes)})
            self.refresh()
            self._waiting, self._written = {}, time.monotonic()
            self._write_index()

    def _write_index(self) -> None:
        """Write ``index.json``: for people and other programs; the shards are what is read."""
        rows = {
            name: {"shard": path.name, "audio": mark} for name, (path, mark) in self._index.items()
        }
        write_text(self.folder / "index.json", json.dumps(rows, indent=1))
        mark_resumable()

    def get(self, name: str, mark: str | None = None) -> Tensor:
        """Return the tensor of an utterance.

        Args:
            name: Its id.
            mark: Hash of its audio; None: not compared.

        Raises:
            DataError: There is none, or it was computed from other audio.
        """
        if name in self._waiting:
            return self._waiting[name][0]
        if name not in self._index:
            raise DataError(str(self.folder), [Problem(0, name, "is not in the store")])
        shard, stored = self._index[name]
        if mark is not None and stored != mark:
            raise DataError(
                str(self.folder),
                [Problem(0, name, "is stale: its audio changed since; store it again")],
            )
        from safetensors import safe_open

        with safe_open(shard, framework="pt") as opened:
            value: Tensor = opened.get_tensor(name)
        return value


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Wait until no other process writes; none does while this lasts."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        lock_file(handle, wait=True, by_handle=True)
        yield
    finally:
        os.close(handle)


def _read_hashes(shard: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(shard, framework="pt") as opened:
        hashes: dict[str, str] = json.loads(opened.metadata()[_HASHES])
    return hashes


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return "; ".join(f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in keys)
