"""Check of every audio file of a set of mixtures before anything expensive starts."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from asteroid.utils.files import atomic_path

from .audio import read_blocks, read_header, read_samples
from .mixture import Mixture, Problem

__all__ = ["find_file_problems", "find_problems", "warn_if_not_a_sum"]

_LOG = logging.getLogger(__name__)
#: Files from which on a progress bar is shown.
_MANY = 2000
#: Residual of mixture - speech - noise, relative to the mixture, from which on we warn.
_RESIDUAL_DB = -40.0
_SUM_ITEMS = 5


class _Facts(NamedTuple):
    """What a file holds; ``error`` is why it could not be read (then the rest means nothing)."""

    size: int
    mtime_ns: int
    sample_rate: int = 0
    channels: int = 0
    frames: int = 0
    silent: bool = False
    error: str = ""


def _probe(path: Path, size: int, mtime_ns: int) -> _Facts:
    """Read a file block by block, so that one of any length costs little memory."""
    try:
        header = read_header(path)
        silent = True
        for block in read_blocks(path):
            silent = silent and not np.ptp(block, axis=0).any()
        return _Facts(
            size, mtime_ns, header.sample_rate, header.channels, header.frames, silent=silent
        )
    except ValueError as error:
        # the path stands in front of every complaint already
        return _Facts(size, mtime_ns, error=str(error).removeprefix(f"{path} "))


def _look(path: Path, remembered: dict[str, _Facts]) -> _Facts:
    if not path.exists():
        return _Facts(0, 0, error="does not exist")
    if not path.is_file():
        return _Facts(0, 0, error="is not a file")
    try:
        state = path.stat()
        old = remembered.get(str(path))
        if old and (old.size, old.mtime_ns) == (state.st_size, state.st_mtime_ns):
            return old
        return _probe(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        return _Facts(0, 0, error=f"cannot be read ({error.strerror})")


def _load(cache: Path | None) -> dict[str, _Facts]:
    """Return the facts of an earlier check; none if they are missing or damaged."""
    if cache is None or not cache.is_file():
        return {}
    try:
        return {
            path: _Facts(*facts)
            for path, facts in json.loads(cache.read_text(encoding="utf-8")).items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def _save(cache: Path | None, facts: dict[Path, _Facts]) -> None:
    if cache is None:
        return
    text = json.dumps({str(path): fact for path, fact in facts.items() if not fact.error})
    try:
        with atomic_path(cache) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        _LOG.debug("could not remember the check in %s: %s", cache, error)


def _complaints(
    facts: _Facts, role: str, length: int, sample_rate: int, mono: bool = True
) -> Iterable[str]:
    if facts.error:
        yield facts.error
        return
    if facts.sample_rate != sample_rate:
        yield f"has a sampling rate of {facts.sample_rate} Hz, expected {sample_rate}; resample it"
    if mono and facts.channels != 1:
        yield f"has {facts.channels} channels, expected 1 (one file per microphone)"
    if facts.frames != length:
        yield f"has {facts.frames} samples, expected 'length' {length}"
    if facts.silent and role != "noise":
        yield "is silent: no sample differs from the others"


def _files(item: Mixture) -> Iterable[tuple[str, int, Path]]:
    for role, paths in (("mixture", item.mixture), ("speech", item.speech), ("noise", item.noise)):
        for mic, path in enumerate(paths, start=1):
            yield role, mic, path


def _look_at_all(
    paths: Sequence[Path], cache: Path | None, progress: bool | None
) -> dict[Path, _Facts]:
    remembered = _load(cache)
    quiet = not progress if progress is not None else (True if len(paths) < _MANY else None)
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 2)) as pool:
        looked = pool.map(lambda path: _look(path, remembered), paths)
        facts = dict(
            zip(paths, tqdm(looked, "checking audio", len(paths), disable=quiet), strict=True)
        )
    if any(remembered.get(str(path)) != fact for path, fact in facts.items()):
        _save(cache, facts)
    return facts


def find_file_problems(
    paths: Iterable[Path],
    *,
    sample_rate: int,
    cache: Path | None = None,
    progress: bool | None = None,
    mono: bool = True,
) -> list[Problem]:
    """Return everything wrong with single files that may have any length.

    Args:
        paths: The files.
        sample_rate: In Hz, of every file.
        cache: File that remembers the facts of each file, by size and time of change.
        progress: Whether to show a progress bar; by default for many files on a terminal.
        mono: Whether they must have one channel.
    """
    facts = _look_at_all(list(dict.fromkeys(paths)), cache, progress)
    return [
        Problem(0, str(path), what)
        for path, fact in facts.items()
        for what in _complaints(fact, "file", fact.frames, sample_rate, mono)
    ]


def find_problems(
    items: Sequence[Mixture],
    *,
    sample_rate: int,
    require_sources: bool = True,
    cache: Path | None = None,
    progress: bool | None = None,
) -> list[Problem]:
    """Return everything wrong with the files of these mixtures, in their order.

    Args:
        items: The mixtures.
        sample_rate: In Hz, of every file.
        require_sources: Whether speech and noise must be given.
        cache: File that remembers the facts of each file, by size and time of change.
        progress: Whether to show a progress bar; by default for many files on a terminal.
    """
    paths = list(dict.fromkeys(path for item in items for _, _, path in _files(item)))
    facts = _look_at_all(paths, cache, progress)
    problems = []
    for item in items:
        if require_sources and not item.has_sources:
            problems.append(Problem(item.line, item.id, "has no 'speech' at its microphones"))
        for role, mic, path in _files(item):
            where = f"{role} of microphone {mic}, {path},"
            complaints = _complaints(facts[path], role, item.length, sample_rate)
            problems += [Problem(item.line, item.id, f"{where} {what}") for what in complaints]
    return problems


def warn_if_not_a_sum(items: Sequence[Mixture]) -> None:
    """Warn if a mixture differs from speech + noise; a few are tried, at microphone 1."""
    summed = [item for item in items if item.speech and item.noise]
    for item in summed[:: max(1, len(summed) // _SUM_ITEMS)][:_SUM_ITEMS]:
        mixture, speech, noise = (
            read_samples(paths[0])[0] for paths in (item.mixture, item.speech, item.noise)
        )
        residual = np.sum((mixture - speech - noise) ** 2) / np.sum(mixture**2)
        if residual > 10 ** (_RESIDUAL_DB / 10):
            _LOG.warning(
                "%s is not speech + noise (%.1f dB): may be in a recording, not a simulation",
                item.mixture[0],
                10 * np.log10(residual),
            )
