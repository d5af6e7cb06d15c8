"""Transcripts of audio files: heard once, kept, heard again only if something changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from tqdm import tqdm

from evaluation.work.parallel import run_each

from .recognisers import SAMPLE_RATE, Recogniser, build_recogniser, identity, levelled

__all__ = ["Heard", "hear_all"]


@dataclass(frozen=True)
class Heard:
    """What a recogniser made of a file.

    Attributes:
        text: as the recogniser gave it; None where it could not be had.
        reason: why there is no text.
    """

    text: str | None
    reason: str = ""


@dataclass(frozen=True)
class _Job:
    path: Path
    recogniser: str


def hear_all(
    paths: Sequence[Path],
    recogniser: str,
    store: Path,
    *,
    jobs: int = 1,
    progress: bool | None = None,
) -> dict[Path, Heard]:
    """Transcribe files that the store does not know.

    Args:
        paths: audio files of any rate; of several channels the first is heard.
        recogniser: see `recognisers.build_recogniser`.
        store: a file of JSON lines: what was heard, by the audio's hash and the recogniser.
        jobs: number of processes.
        progress: show a bar; None: on a terminal.

    Raises:
        ValueError, OSError, ModuleNotFoundError: the recogniser cannot be had at all.
    """
    by = identity(recogniser)
    known = _read(store, by)
    digests = {path: _digest(path) for path in paths}
    # Equal audio (the clean speech of several systems' folders, say) is heard once.
    wanted = {digest: path for path, digest in digests.items() if digest and digest not in known}
    if wanted:
        _load(recogniser)  # what is wrong with it shows here, before the processes start
    digest_of = {path: digest for digest, path in wanted.items()}
    tasks = [_Job(path, recogniser) for path in digest_of]
    failures: dict[str, str] = {}
    outcomes = run_each(_hear, tasks, jobs=min(jobs, max(1, len(tasks))))
    hidden = None if progress is None else not progress
    for outcome in tqdm(outcomes, total=len(tasks), unit="file", disable=hidden):
        digest = digest_of[outcome.item.path]
        if outcome.result is None:
            failures[digest] = outcome.error
            continue
        known[digest] = outcome.result
        _append(store, {"audio": digest, "recogniser": by, "text": outcome.result})
    return {path: _heard(path, digest, known, failures) for path, digest in digests.items()}


def _heard(path: Path, digest: str, known: dict[str, str], failures: dict[str, str]) -> Heard:
    if not digest:
        return Heard(None, f"there is no {path.name}")
    if digest in known:
        return Heard(known[digest])
    return Heard(None, failures.get(digest, "not heard"))


@cache
def _load(name: str) -> Recogniser:
    """Load a recogniser, once per process."""
    return build_recogniser(name)


def _hear(job: _Job) -> str:
    signal = _audio(job.path)
    if not len(signal):
        raise ValueError(f"{job.path.name} holds no samples")
    if not np.isfinite(signal).all():
        raise ValueError(f"{job.path.name} holds values that are not finite")
    if not signal.any():
        return ""  # nothing can be heard in silence, and some recognisers invent words there
    return _load(job.recogniser)(levelled(signal))


def _audio(path: Path) -> NDArray[np.float32]:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    signal = np.ascontiguousarray(samples[:, 0])
    if rate != SAMPLE_RATE:
        signal = soxr.resample(signal, rate, SAMPLE_RATE)
    return np.asarray(signal, dtype=np.float32)


def _digest(path: Path) -> str:
    """Return the hash of a file, "" if it is not there."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _read(store: Path, by: str) -> dict[str, str]:
    """Return what this recogniser heard, by hash; a line torn by a kill is passed over."""
    known: dict[str, str] = {}
    if store.is_file():
        for entry in _entries(store.read_text(encoding="utf-8", errors="replace").splitlines()):
            if entry.get("recogniser") == by and isinstance(entry.get("text"), str):
                known[str(entry.get("audio"))] = str(entry["text"])
    return known


def _entries(lines: Iterable[str]) -> list[dict[str, object]]:
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def _append(store: Path, entry: dict[str, str]) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    with store.open("ab+") as file:
        torn = False
        if file.tell():
            file.seek(-1, 2)
            torn = file.read(1) != b"\n"
        file.write(b"\n" * torn + json.dumps(entry, ensure_ascii=False).encode() + b"\n")
