"""The list of mixtures a network is trained or scored on: a JSON file, one object per mixture.

The format is that of Asteroid's TAC recipe. Each microphone has a numbered entry, and what is known
about the mixture stands beside it; every path is relative to the manifest::

    [{"id": "test-0", "speaker": "61", "noise_type": "party", "snr_db": 2.5, "seen": false,
      "1": {"mixture": "a/x_1.wav", "speech": "a/s_1.wav", "noise": "a/n_1.wav", "length": 64000},
      "2": {...}}]

Source: Asteroid, ``egs/TAC`` (its ``spk1`` and ``spk2`` are accepted for ``speech`` and ``noise``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from asteroid.utils.files import atomic_path

from .mixture import DataError, Mixture, Problem, mixture_from_json, mixture_to_json
from .validation import find_problems, warn_if_not_a_sum

__all__ = [
    "DataError",
    "Mixture",
    "Problem",
    "read_manifest",
    "validate_manifest",
    "write_manifest",
]


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(k for k in keys if keys.count(k) > 1)!r} is given twice")
    return entry


def _entries(text: str) -> Iterator[tuple[int, Any]]:
    """Yield ``(line, value)`` for each element of a JSON list."""
    decoder = json.JSONDecoder(object_pairs_hook=_no_duplicates)
    space = re.compile(r"\s*")

    def skip(at: int) -> int:
        match = space.match(text, at)
        return match.end() if match else at

    at = skip(0)
    if text[at : at + 1] != "[":
        raise json.JSONDecodeError("expected a list ('[')", text, at)
    at, line, counted = skip(at + 1), 1, 0
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            raise json.JSONDecodeError(str(error), text, at) from None
        yield line, value
        at = skip(end)
        if text[at : at + 1] == ",":
            at = skip(at + 1)
        elif text[at : at + 1] != "]":
            raise json.JSONDecodeError("expected ',' or ']'", text, at)
    if skip(at + 1) != len(text):
        raise json.JSONDecodeError("unexpected text after the list", text, at + 1)


def _parse(path: str | Path) -> tuple[list[Mixture], list[Problem]]:
    """Read a manifest without opening audio; return mixtures and what is wrong with the rest.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it is not a JSON list.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no manifest {path}; scripts/data/make_mixtures.py writes one")
    folder = path.absolute().parent
    items: list[Mixture] = []
    problems: list[Problem] = []
    lines: dict[str, int] = {}
    try:
        for line, entry in _entries(path.read_text(encoding="utf-8")):
            try:
                item = mixture_from_json(entry, folder, line)
                if item.id in lines:
                    raise ValueError(f"the id is already taken on line {lines[item.id]}")
            except ValueError as error:
                name = entry.get("id", "?") if isinstance(entry, dict) else "?"
                problems.append(Problem(line, str(name), str(error)))
                continue
            lines[item.id] = line
            items.append(item)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        raise DataError(
            str(path), [Problem(line, "?", f"not a JSON list of mixtures: {error}")]
        ) from None
    return items, problems


def read_manifest(path: str | Path) -> list[Mixture]:
    """Read a manifest without opening any audio.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it is no JSON list, is empty, or entries are wrong; names the first ten with
            their lines.
    """
    items, problems = _parse(path)
    if not items and not problems:
        problems = [Problem(1, "?", "the manifest is empty")]
    if problems:
        raise DataError(str(path), problems)
    return items


def validate_manifest(
    source: str | Path | Iterable[Mixture],
    *,
    sample_rate: int,
    require_sources: bool = True,
    progress: bool | None = None,
) -> list[Mixture]:
    """Check a manifest and every file it names before anything expensive starts on them.

    Every file must exist, be mono, have the sampling rate, the manifest's length and finite samples
    that are not all zero (noise may be silent). What was found out about a file is remembered in a
    small file beside the manifest by size and time of change, so that a second check only looks at
    what changed. Where a mixture is not the sum of its sources (a real recording need not be) there
    is a warning.

    Args:
        source: A manifest's path, or mixtures already read (nothing is remembered then).
        sample_rate: In Hz, of every file.
        require_sources: Whether speech and noise must be given at every microphone.
        progress: Whether to show a progress bar; by default for many files on a terminal.

    Returns:
        The mixtures in the manifest's order.

    Raises:
        FileNotFoundError: If there is no such manifest.
        DataError: If anything is wrong; the message names the first ten offenders with their lines.
    """
    cache = None
    problems: list[Problem] = []
    if isinstance(source, (str, Path)):
        items, problems = _parse(source)
        cache = Path(source).with_name(f".{Path(source).stem}.checked.json")
    else:
        items = list(source)
    if not items and not problems:
        problems = [Problem(1, "?", "the manifest is empty")]
    problems += find_problems(
        items,
        sample_rate=sample_rate,
        require_sources=require_sources,
        cache=cache,
        progress=progress,
    )
    if problems:
        name = str(source) if isinstance(source, (str, Path)) else "mixtures"
        raise DataError(name, sorted(problems))
    warn_if_not_a_sum(items)
    return items


def write_manifest(path: str | Path, items: Iterable[Mixture]) -> None:
    """Write a manifest in one step, one mixture per line, with paths relative to its folder."""
    path = Path(path)
    folder = path.absolute().parent
    lines = [
        json.dumps(mixture_to_json(item, folder), ensure_ascii=False, allow_nan=False)
        for item in items
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
