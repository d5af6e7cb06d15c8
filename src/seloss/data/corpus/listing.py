"""Recordings of a folder: of whom or of what each is, and for which split.

A CSV listing says so where there is one; else the tree does. A listing is ``speech.csv``,
``noise.csv``, ``rir.csv`` or ``manifest.csv`` in the folder, or ``manifest.csv`` beside it, with a
column ``path`` (relative to the listing) and, where known, ``speaker``, ``noise_type`` or ``room``
(or ``label``), ``transcript``, ``textgrid``, ``split``, ``gender`` of the speaker, ``recording``
(a name that the files of one recording have in common).

Without a listing, the split is a folder ``train``, ``valid`` or ``test``, or another usual name of
these (``dev``, ``val``, ``eval``, ``TRAIN``, ``tr``, ``cv``, ``tt``, ``train-clean-100``). The
group (speaker, noise type, room) is the folder that a file lies in, in a LibriSpeech tree the first
number of ``61-70968-0000``; for a file directly in the folder or a split it is the file's name up
to a number that follows ``-``, ``_`` or a space, or up to the digits at its end (of a room: up to
the first ``-``, ``_`` or space). Files ``ch01``, ``ch02`` and so on of one folder are channels of
one recording; so are files of equal audio, and, but for room responses, copies at another rate or
in another coding (`copies` says which are noticed). Transcripts come from LibriSpeech's
``*.trans.txt``.
"""

from __future__ import annotations

import csv
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from asteroid.utils.files import atomic_path
from seloss.data.formats.audio import SUFFIXES, fingerprint, read_header
from seloss.data.formats.audio_files import find_audio, walk_files
from seloss.data.formats.mixture import DataError, Problem

from .copies import find_copies
from .recording import Recording, name_channels

__all__ = ["GROUPS", "read_folder", "short_names", "write_listing"]

#: What a group of recordings is in each part of a corpus.
GROUPS = {"speech": "speaker", "noise": "noise_type", "rir": "room"}
#: Usual names of the splits; of the long ones, more may follow (``train-clean-100``).
_SPLIT = re.compile(
    r"(?:(?P<train>train(?:ing|set)?)|(?P<valid>val(?:id|idation|idset)?|dev(?:el|elopment|set)?)"
    r"|(?P<test>test(?:ing|set)?|eval(?:set|uation)?))(?:[-_ .].*)?"
    r"|(?P<tr>tr|trn|tr\d\d(?:_.*)?|si_tr_.*)|(?P<cv>cv|dt|dt\d\d(?:_.*)?|si_dt_.*)"
    r"|(?P<tt>tt|tst|et|et\d\d(?:_.*)?|si_et_.*)",
    re.IGNORECASE,
)
_SHORT = {"tr": "train", "cv": "valid", "tt": "test"}
_LIBRISPEECH = re.compile(r"(\d+)-(\d+)-\d+$")
_NUMBER = re.compile(r"[-_ ](?=\d).*$|[-_ ]?\d+$")
_CHANNEL = re.compile(r"(?P<of>.*?)[-_ .]?(?:ch|chan|channel|mic)[-_ ]?\d{1,3}", re.IGNORECASE)
_SHOWN = 5
_KNOWN = ("transcript", "textgrid", "gender", "licence", "recording")

_LOG = logging.getLogger(__name__)


def _split_of(text: str) -> str | None:
    match = _SPLIT.fullmatch(text.strip())
    name = match.lastgroup if match else None
    return _SHORT.get(name, name) if name else None


def _group_of(inner: Sequence[str], stem: str, part: str) -> str:
    """Return the group of a file below its split folder, by its folders and its name."""
    if part == "rir" and not inner:
        return re.split(r"[-_ ]", stem)[0]  # meeting_head0 and meeting_far0 are of one room
    librispeech = _LIBRISPEECH.match(stem)
    # elsewhere such a name is a date, or the number of a session
    if librispeech and inner and inner[-1] in librispeech.groups():
        return librispeech[1]
    return inner[-1] if inner else _NUMBER.sub("", stem) or stem


def _recording_of(path: Path, folder: Path) -> str | None:
    """Return what the channels of one recording have in common, if a file's name is a channel's."""
    match = _CHANNEL.fullmatch(path.stem)
    return (path.parent.relative_to(folder) / match["of"]).as_posix() if match else None


def _transcripts(folder: Path) -> dict[str, str]:
    """Return utterance -> words of LibriSpeech's ``*.trans.txt`` files."""
    words: dict[str, str] = {}
    for path in walk_files(folder):
        if path.name.endswith(".trans.txt"):
            for line in path.read_text(encoding="utf-8").splitlines():
                name, _, text = line.partition(" ")
                words[name] = text.strip().lower()
    return words


def _split_folders(folder: Path, files: Iterable[Path], part: str) -> set[Path]:
    """Return the folders, relative, whose name is that of a split; warn where others lie beside.

    A noise of type ``train`` beside noises of other types is no split.
    """
    children: dict[Path, set[str]] = {}
    for file in files:
        parts = file.relative_to(folder).parts
        for depth in range(len(parts) - 1):
            children.setdefault(Path(*parts[:depth]), set()).add(parts[depth])
    folders: set[Path] = set()
    for parent, names in children.items():
        splits = {name for name in names if _split_of(name)}
        others = sorted(names - splits)
        if part == "noise" and others and len({_split_of(name) for name in splits}) == 1:
            continue
        if splits and others:
            shown = ", ".join(others[:_SHOWN])
            beside = ", ".join(sorted(splits))
            message = "%s: %s beside %s is no name of a split: its recordings are split again"
            _LOG.warning(message, folder / parent, shown, beside)
        folders |= {parent / name for name in splits}
    return folders


def _from_tree(folder: Path, part: str) -> list[dict[str, Any]]:
    files = find_audio(folder)
    words = _transcripts(folder) if part == "speech" else {}
    split_folders = _split_folders(folder, files, part)
    rows = []
    for path in files:
        parents = [*reversed(path.relative_to(folder).parents)][1:]
        splits = [parent.name for parent in parents if parent in split_folders]
        inner = [parent.name for parent in parents if parent not in split_folders]
        rows.append(
            {
                "path": path,
                "group": _group_of(inner, path.stem, part),
                "split": _split_of(splits[0]) if splits else None,
                "transcript": words.get(path.stem),
                "recording": _recording_of(path, folder),
            }
        )
    return rows


def _within(path: Path, folder: Path) -> Path | None:
    """Return a listed file as a path below the folder, which may be a link; None: it is not."""
    if folder in path.parents:
        return path
    real, real_folder = path.resolve(), folder.resolve()
    return folder / real.relative_to(real_folder) if real_folder in real.parents else None


def _listed(
    row: Mapping[str, str], line: int, path: Path, home: Path, group: str
) -> dict[str, Any]:
    grid = row.get("textgrid") or None
    return {
        "path": path,
        "line": line,
        "group": row[group] or path.stem,
        "split": _split_of(row.get("split") or ""),
        "transcript": row.get("transcript") or None,
        "textgrid": home / grid if grid else None,
        "gender": row.get("gender") or None,
        "licence": row.get("licence") or row.get("license") or None,
        "recording": row.get("recording") or None,
    }


def _from_listing(listing: Path, folder: Path, part: str) -> list[dict[str, Any]]:
    home = listing.absolute().parent
    rows, problems = [], []
    with listing.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        group = next((name for name in (GROUPS[part], "label") if name in columns), None)
        if "path" not in columns or group is None:
            expected = f"path and {GROUPS[part]} (or label)"
            what = f"must have the columns {expected}; has {', '.join(columns)}"
            raise DataError(str(listing), [Problem(1, "?", what)])
        for row in reader:
            path = _within(Path(os.path.normpath(home / row["path"])), folder)
            if path is None:
                if home == folder:
                    problems.append(Problem(reader.line_num, row["path"], "is not in this folder"))
                continue
            listed = _listed(row, reader.line_num, path, home, group)
            listed["recording"] = listed["recording"] or _recording_of(path, folder)
            if listed["split"] is None and (row.get("split") or "").strip():
                what = f"split must be train, valid or test (or empty); got {row['split']!r}"
                problems.append(Problem(reader.line_num, row["path"], what))
            rows.append(listed)
    if problems:
        raise DataError(str(listing), problems)
    return rows


def _warn_unlisted(listing: Path, folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    listed = {row["path"] for row in rows}
    unlisted = [path.relative_to(folder).as_posix() for path in find_audio(folder)]
    unlisted = [name for name in unlisted if folder / name not in listed]
    if unlisted:
        shown = ", ".join(unlisted[:_SHOWN])
        message = "%s: %d audio files of the folder are not in it and are left out: %s"
        _LOG.warning(message, listing, len(unlisted), shown)


def _recording(row: Mapping[str, Any], folder: Path) -> tuple[Recording, str] | Problem | None:
    """Return a recording and its fingerprint, or what is wrong with it; None if it is silent."""
    path: Path = row["path"]
    name = path.relative_to(folder).as_posix()
    line = row.get("line", 0)
    try:
        header = read_header(path)
        mark = fingerprint(path)
    except FileNotFoundError:
        return Problem(line, name, "does not exist")
    except ValueError as error:
        # the path is in front of the message already
        return Problem(line, name, str(error).removeprefix(f"{path} "))
    if not mark:
        return None
    facts = {key: row.get(key) for key in _KNOWN}
    group, split = str(row["group"]), row["split"]
    return Recording(path, name, group, split, header.seconds, header.channels, **facts), mark


def _name_copies(marked: Iterable[tuple[Recording, str]]) -> list[Recording]:
    """Return recordings of which those of equal audio are known as one, whatever their names."""
    origins: dict[str, str] = {}
    recordings = []
    for recording, mark in sorted(marked, key=lambda pair: pair[0].name):
        origin = origins.setdefault(mark, recording.origin)
        if origin != recording.origin:
            recording = replace(recording, recording=origin)
        recordings.append(recording)
    return recordings


def _name_recoded(recordings: Sequence[Recording], folder: Path) -> list[Recording]:
    """Return recordings of which copies at another rate or in another coding are known as one."""
    origins = {one.origin: one.origin for one in recordings}
    pairs = find_copies(recordings)
    for one, other in pairs:
        kept, gone = sorted((origins[one.origin], origins[other.origin]))
        origins = {name: kept if now == gone else now for name, now in origins.items()}
    if pairs:
        shown = ", ".join(f"{one.name} = {other.name}" for one, other in pairs[:_SHOWN])
        message = "%s: %d pairs of files are one recording, at another rate or coding: %s"
        _LOG.warning(message, folder, len(pairs), shown)
    return [
        one if origins[one.origin] == one.origin else replace(one, recording=origins[one.origin])
        for one in recordings
    ]


def read_folder(folder: str | Path, part: str) -> list[Recording]:
    """Return the recordings of a folder, sorted by name.

    Args:
        folder: Any tree of audio files.
        part: ``speech``, ``noise`` or ``rir``.

    Raises:
        FileNotFoundError: If there is no such folder.
        DataError: If it holds no audio or nothing that sounds, files that are missing, damaged or
            not readable, or a split of an unknown name; names the first ten.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder} to take {part} from")
    names = (folder / f"{part}.csv", folder / "manifest.csv", folder.parent / "manifest.csv")
    listing = next((path for path in names if path.is_file()), None)
    rows = _from_listing(listing, folder, part) if listing else []
    if listing and rows:
        _warn_unlisted(listing, folder, rows)
    rows = rows or _from_tree(folder, part)
    if not rows:
        what = f"holds no audio files ({', '.join(sorted(SUFFIXES))})"
        raise DataError(str(folder), [Problem(0, part, what)])
    with ThreadPoolExecutor(8) as pool:
        looked_at = list(pool.map(lambda row: _recording(row, folder), rows))
    problems = [what for what in looked_at if isinstance(what, Problem)]
    if problems:
        raise DataError(str(listing or folder), problems)
    silent = [row["path"] for row, what in zip(rows, looked_at, strict=True) if what is None]
    if silent:
        shown = ", ".join(path.relative_to(folder).as_posix() for path in silent[:_SHOWN])
        _LOG.warning("%s: %d silent files are left out: %s", folder, len(silent), shown)
    recordings = _name_copies(
        what for what in looked_at if what is not None and not isinstance(what, Problem)
    )
    if not recordings:
        raise DataError(str(folder), [Problem(0, part, "is silent in every file")])
    if part == "rir":  # responses of one room may well be alike
        return recordings
    return _name_recoded(name_channels(recordings) if part == "noise" else recordings, folder)


def short_names(recordings: Iterable[Recording]) -> dict[str, str]:
    """Return name -> an id without slashes: the file's bare name where no other has the same."""
    names = [recording.name for recording in recordings]
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
