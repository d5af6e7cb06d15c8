"""Which recordings a folder holds, of whom or of what, and for which split.

A CSV listing says so where there is one; else the tree does. A listing is ``speech.csv``,
``noise.csv``, ``rir.csv`` or ``manifest.csv`` in the folder, or ``manifest.csv`` beside it, with a
column ``path`` (relative to the listing) and, where known, ``speaker``, ``noise_type`` or ``room``
(or ``label``), ``transcript``, ``textgrid``, ``split``, ``gender`` of the speaker.

Without a listing, the split is a folder ``train``, ``valid``, ``dev`` or ``test``
(``train-clean-100`` too); the group (speaker, noise type, room) is the first number of
LibriSpeech's ``61-70968-0000``, else the folder a file lies in, else, for a file directly in the
folder or a split, its name up to a number that follows ``-``, ``_`` or a space, or up to the digits
at its end. Transcripts come from LibriSpeech's ``*.trans.txt``.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile as sf

from asteroid.utils.files import atomic_path
from seloss.data.formats.audio import SUFFIXES
from seloss.data.formats.mixture import DataError, Problem

__all__ = ["GROUPS", "Recording", "read_folder", "short_names", "write_listing"]

#: What a group of recordings is in each part of a corpus.
GROUPS = {"speech": "speaker", "noise": "noise_type", "rir": "room"}
_SPLIT = re.compile(r"(train|valid|dev|test)(?:[-_].*)?$")
_LIBRISPEECH = re.compile(r"(\d+)-\d+-\d+$")
_NUMBER = re.compile(r"[-_ ](?=\d).*$|[-_ ]?\d+$")


@dataclass(frozen=True)
class Recording:
    """One audio file of a corpus.

    Attributes:
        path: Absolute.
        name: Its path relative to the corpus folder, which draws depend on.
        group: Speaker, noise type or room.
        split: ``train``, ``valid``, ``test`` or None if not given.
        seconds: Its length.
        channels: Its channels.
        transcript: What is said in it, if known.
        textgrid: Absolute path of its phone labels, if there are any.
        gender: Of the speaker, ``female`` or ``male``, if known.
        licence: Of the file, as its listing has it.
    """

    path: Path
    name: str
    group: str
    split: str | None
    seconds: float
    channels: int
    transcript: str | None = None
    textgrid: Path | None = None
    gender: str | None = None
    licence: str | None = None


def _split_of(text: str) -> str | None:
    found = _SPLIT.match(text)
    if not found:
        return None
    return "valid" if found[1] == "dev" else found[1]


def _group_of(inner: Sequence[str], stem: str) -> str:
    """Return the group of a file below its split folder, by its folders and its name."""
    librispeech = _LIBRISPEECH.match(stem)
    if librispeech:
        return librispeech[1]
    return inner[-1] if inner else _NUMBER.sub("", stem) or stem


def _transcripts(folder: Path) -> dict[str, str]:
    """Return utterance -> words of LibriSpeech's ``*.trans.txt`` files."""
    words: dict[str, str] = {}
    for path in folder.rglob("*.trans.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, text = line.partition(" ")
            words[name] = text.strip().lower()
    return words


def _from_tree(folder: Path) -> list[dict[str, Any]]:
    words = _transcripts(folder)
    rows = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        inner = list(path.relative_to(folder).parts[:-1])
        split = next((_split_of(part) for part in inner if _split_of(part)), None)
        deeper = [part for part in inner if not _split_of(part)]
        group = _group_of(deeper, path.stem)
        rows.append(
            {"path": path, "group": group, "split": split, "transcript": words.get(path.stem)}
        )
    return rows


def _from_listing(listing: Path, folder: Path, part: str) -> list[dict[str, Any]]:
    with listing.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        group = next((name for name in (GROUPS[part], "label") if name in columns), None)
        if "path" not in columns or group is None:
            wanted = f"path and {GROUPS[part]} (or label)"
            what = f"must have the columns {wanted}; has {', '.join(columns)}"
            raise DataError(str(listing), [Problem(1, "?", what)])
        rows = []
        for row in reader:
            path = Path(os.path.normpath(listing.absolute().parent / row["path"]))
            if folder not in path.parents:
                continue
            grid = row.get("textgrid") or None
            rows.append(
                {
                    "path": path,
                    "line": reader.line_num,
                    "group": row[group] or path.stem,
                    "split": _split_of(row.get("split") or ""),
                    "transcript": row.get("transcript") or None,
                    "textgrid": listing.absolute().parent / grid if grid else None,
                    "gender": row.get("gender") or None,
                    "licence": row.get("licence") or row.get("license") or None,
                }
            )
    return rows


def _recording(row: Mapping[str, Any], folder: Path) -> Recording | Problem:
    path: Path = row["path"]
    name = path.relative_to(folder).as_posix()
    line = row.get("line", 0)
    if not path.is_file():
        return Problem(line, name, "does not exist")
    try:
        info = sf.info(path)
    except (sf.LibsndfileError, RuntimeError) as error:
        return Problem(line, name, f"is not readable audio ({error})")
    if not info.frames:
        return Problem(line, name, "is empty")
    return Recording(
        path,
        name,
        str(row["group"]),
        row["split"],
        info.frames / info.samplerate,
        info.channels,
        row.get("transcript"),
        row.get("textgrid"),
        row.get("gender"),
        row.get("licence"),
    )


def read_folder(folder: str | Path, part: str) -> list[Recording]:
    """Return the recordings of a folder, sorted by name.

    Args:
        folder: Any tree of audio files.
        part: ``speech``, ``noise`` or ``rir``.

    Raises:
        FileNotFoundError: If there is no such folder.
        DataError: If it holds no audio or files that are missing or not readable; names the first
            ten.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder} to take {part} from")
    names = (folder / f"{part}.csv", folder / "manifest.csv", folder.parent / "manifest.csv")
    listing = next((path for path in names if path.is_file()), None)
    rows = _from_listing(listing, folder, part) if listing else []
    rows = rows or _from_tree(folder)
    if not rows:
        what = f"holds no audio files ({', '.join(sorted(SUFFIXES))})"
        raise DataError(str(folder), [Problem(0, part, what)])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: _recording(row, folder), rows))
    problems = [what for what in found if isinstance(what, Problem)]
    if problems:
        raise DataError(str(listing or folder), problems)
    return sorted((what for what in found if isinstance(what, Recording)), key=lambda one: one.name)


def short_names(recordings: Iterable[Recording]) -> dict[str, str]:
    """Return name -> an id without slashes: the file's bare name where no other has the same."""
    names = [one.name for one in recordings]
    stems = Counter(Path(name).stem for name in names)
    return {
        name: Path(name).stem
        if stems[Path(name).stem] == 1
        else "-".join(Path(name).with_suffix("").parts)
        for name in names
    }


def write_listing(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV listing in one step; the first row's keys are the columns."""
    rows = list(rows)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["path"])
        writer.writeheader()
        writer.writerows(rows)
