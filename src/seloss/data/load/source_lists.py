"""Lists of speech and noise to be mixed while a network trains.

A JSON object; paths are relative to it::

    {"sample_rate": 16000, "snr_db": [0, 5, 10, 15],
     "speech": [{"id": "p226_001", "path": "wav/p226_001.wav", "speaker": "p226"}],
     "noise": [{"path": "noise/DKITCHEN.wav", "noise_type": "DKITCHEN"}]}

``snr_db`` lists the ratios to draw from, or is ``{"from": -5, "to": 10}``. Where voices are few,
``speed`` (``{"from": 0.9, "to": 1.1}``: speech is played so much faster, its pitch rising)
and ``level_db`` (of the mixture, in dB of full scale) make more of them; ``repeats`` is how often
an epoch has each utterance, in as many noises (of one utterance: in its entry). ``rooms``
(``[{"path": "rir/office.flac"}]``, each channel a response) and further options are described in
`mix_options`. ``arrays`` in place of ``rooms`` makes mixtures of several microphones::

    [{"path": "rir/office/talker0.flac", "room": "office", "role": "talker"},
     {"path": "rir/office/noise0.flac", "room": "office", "role": "noise"}]

Each file holds the responses of the microphones, in their order, to one place in the room; without
``role`` talkers and noises may be at any of a room's places.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asteroid.utils.files import write_text
from seloss.data.corpus.listing import short_names
from seloss.data.corpus.recording import Recording
from seloss.data.formats.audio import read_header
from seloss.data.formats.mixture import DataError, Problem
from seloss.data.formats.validation import find_file_problems
from seloss.data.mixing.mix_options import MixOptions, Span, read_mix_options, read_span

__all__ = ["ArrayRoom", "SourceLists", "Span", "read_source_lists", "write_source_lists"]

_EXPECTED = "expected an object with sample_rate, snr_db, speech and noise"
_ROLES, _ARRAY = ("talker", "noise"), ("path", "room")
_LIMITS = {"speed": (0.5, 2.0), "level_db": (-80.0, 0.0)}


@dataclass(frozen=True)
class ArrayRoom:
    """A room with an array in it: files of responses, one for each place of a source."""

    talkers: tuple[Path, ...]
    noises: tuple[Path, ...]
    n_mics: int


@dataclass(frozen=True)
class SourceLists:
    """What is mixed.

    Attributes:
        sample_rate: Of every file, Hz.
        snr_db: Ratios to draw from.
        snr_range: Lowest and highest ratio to draw between, in place of ``snr_db``.
        speech: id, file and speaker of each utterance, as often as an epoch has it.
        noise: file and type of each noise.
        speed: Least and most that speech is played faster; None: as it is.
        level_db: Lowest and highest level of a mixture; None: that of its speech.
        rooms: Files of room responses.
        arrays: Rooms with arrays, in place of rooms.
        options: How mixtures are made of them.
    """

    sample_rate: int
    snr_db: tuple[float, ...]
    snr_range: Span | None
    speech: tuple[tuple[str, Path, str | None], ...]
    noise: tuple[tuple[Path, str], ...]
    speed: Span | None = None
    level_db: Span | None = None
    rooms: tuple[Path, ...] = ()
    arrays: tuple[ArrayRoom, ...] = ()
    options: MixOptions = field(default_factory=MixOptions)


def _repeats(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"'repeats' must be a number from 1 on; got {value!r}")
    return value


def _ratios(spec: Any) -> tuple[tuple[float, ...], Span | None]:
    span = isinstance(spec, dict) and {"from", "to"} <= spec.keys()
    values = [spec["from"], spec["to"]] if span else spec
    good = isinstance(values, list) and values
    if not good or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
        raise ValueError(f"'snr_db' must list ratios, or be {{'from': .., 'to': ..}}; got {spec!r}")
    if span:
        return (), (float(values[0]), float(values[1]))
    return tuple(float(v) for v in values), None


def _entries(
    spec: Any, part: str, folder: Path, keys: Sequence[str]
) -> list[tuple[Path, dict[str, Any]]]:
    if not isinstance(spec, list) or not spec:
        raise ValueError(f"{part!r} must be a list of at least one {{'path': ...}}")
    for at, entry in enumerate(spec):
        lacking = [key for key in keys if not isinstance(entry, dict) or key not in entry]
        if lacking:
            raise ValueError(f"{part!r} number {at + 1} has no {lacking[0]!r}")
    return [(Path(os.path.normpath(folder / entry["path"])), entry) for entry in spec]


def _check_roles(entries: Iterable[tuple[Path, Mapping[str, Any]]]) -> None:
    for at, (_, entry) in enumerate(entries):
        if entry.get("role") not in (None, *_ROLES):
            names = " or ".join(_ROLES)
            raise ValueError(f"'arrays' number {at + 1}: 'role' must be {names}; got {entry!r}")


def _array_rooms(entries: Iterable[tuple[Path, Mapping[str, Any]]]) -> tuple[ArrayRoom, ...]:
    """Return rooms, of files that can be read.

    Raises:
        ValueError: A room has no place for a talker and another for a noise, or arrays of
            different numbers of microphones.
    """
    rooms: dict[str, list[tuple[Path, Mapping[str, Any]]]] = {}
    for file, entry in entries:
        rooms.setdefault(str(entry["room"]), []).append((file, entry))
    arrays = []
    for name, places in rooms.items():
        talkers, noises = (
            tuple(file for file, entry in places if entry.get("role") in (None, role))
            for role in _ROLES
        )
        if not talkers or not noises or len({*talkers, *noises}) < 2:
            raise ValueError(f"room {name!r} has no place for a talker and another for a noise")
        counts = {read_header(file).channels for file, _ in places}
        if len(counts) > 1:
            raise ValueError(f"room {name!r} has files of {sorted(counts)} channels")
        arrays.append(ArrayRoom(talkers, noises, counts.pop()))
    return tuple(arrays)


def read_source_lists(path: str | Path, *, sample_rate: int) -> SourceLists:
    """Read the lists and check every file they name.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If the lists or a file cannot be used; names the first ten.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no lists {path}; scripts/data/voicebank_demand.py writes them")
    folder = path.absolute().parent
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(spec, dict) or "sample_rate" not in spec:
            raise ValueError(_EXPECTED)
        choices, span = _ratios(spec.get("snr_db"))
        spans = {
            name: read_span(spec[name], name, limits) if name in spec else None
            for name, limits in _LIMITS.items()
        }
        options, repeats = read_mix_options(spec), _repeats(spec.get("repeats", 1))
        speech = _entries(spec.get("speech"), "speech", folder, ("id", "path"))
        turns = [repeats * _repeats(entry.get("repeats", 1)) for _, entry in speech]
        noise = _entries(spec.get("noise"), "noise", folder, ("path", "noise_type"))
        rooms = _entries(spec["rooms"], "rooms", folder, ("path",)) if "rooms" in spec else []
        places = _entries(spec["arrays"], "arrays", folder, _ARRAY) if "arrays" in spec else []
        if rooms and places:
            raise ValueError("give 'rooms' (one microphone) or 'arrays', not both")
        _check_roles(places)
    except (ValueError, TypeError) as error:
        raise DataError(str(path), [Problem(0, "lists", str(error))]) from None
    if spec["sample_rate"] != sample_rate:
        what = (
            f"'sample_rate' is {spec['sample_rate']} Hz, expected {sample_rate}; prepare it again"
        )
        raise DataError(str(path), [Problem(0, "lists", what)])
    counts = Counter(entry["id"] for _, entry in speech)
    problems = [Problem(0, name, "is given twice") for name, n in counts.items() if n > 1]
    problems += find_file_problems(
        [file for file, _ in (*speech, *noise)],
        sample_rate=sample_rate,
        cache=path.with_name(f".{path.stem}.checked.json"),
    )
    problems += find_file_problems(
        [file for file, _ in (*rooms, *places)],
        sample_rate=sample_rate,
        cache=path.with_name(f".{path.stem}.rooms.checked.json"),
        mono=False,
    )
    if problems:
        raise DataError(str(path), problems)
    try:
        arrays = _array_rooms(places)
    except ValueError as error:
        raise DataError(str(path), [Problem(0, "arrays", str(error))]) from None
    return SourceLists(
        sample_rate,
        choices,
        span,
        tuple(
            (f"{entry['id']}_{turn}" if turn else entry["id"], file, entry.get("speaker"))
            for turn in range(max(turns))
            for (file, entry), count in zip(speech, turns, strict=True)
            if turn < count
        ),
        tuple((file, entry["noise_type"]) for file, entry in noise),
        **spans,
        rooms=tuple(file for file, _ in rooms),
        arrays=arrays,
        options=options,
    )


def write_source_lists(
    path: str | Path,
    speech: Iterable[Recording],
    noise: Iterable[Recording],
    *,
    sample_rate: int,
    snr_db: Sequence[float] | Mapping[str, float],
    repeats: int = 1,
    augment: Mapping[str, Span] | None = None,
    rooms: Iterable[Recording] = (),
    arrays: Iterable[Recording] = (),
    options: Mapping[str, Any] | None = None,
    excerpt_s: float | None = None,
) -> None:
    """Write the lists in one step, with paths relative to them.

    Args:
        path: The file.
        speech: Utterances.
        noise: Noises.
        sample_rate: Hz.
        snr_db: Ratios, or their range as ``{"from": .., "to": ..}``.
        repeats: How often an epoch has each utterance.
        augment: ``speed`` and ``level_db``.
        rooms: Room responses.
        arrays: Responses of arrays; a file's name begins with ``talker`` or ``noise`` if the place
            is for one of them only.
        options: Those of `mix_options`, as they are written.
        excerpt_s: Repeat each utterance as often as an excerpt of so many seconds fits into it.
    """
    path, speech, rooms, arrays = Path(path), list(speech), list(rooms), list(arrays)
    ids = short_names(speech)

    def turns(recording: Recording) -> dict[str, int]:
        count = 1 if excerpt_s is None else max(1, int(recording.seconds / excerpt_s))
        return {"repeats": count} if count > 1 else {}

    def relative(recording: Recording) -> str:
        return Path(os.path.relpath(recording.path, path.absolute().parent)).as_posix()

    def place(recording: Recording) -> dict[str, str]:
        role = [{"role": role} for role in _ROLES if recording.path.stem.startswith(role)]
        return {"path": relative(recording), "room": recording.group, **(role[0] if role else {})}

    spec = {
        "sample_rate": sample_rate,
        "snr_db": dict(snr_db) if isinstance(snr_db, Mapping) else list(snr_db),
        "repeats": repeats,
        **{name: {"from": low, "to": high} for name, (low, high) in (augment or {}).items()},
        **(options or {}),
        "speech": [
            {
                "id": ids[recording.name],
                "path": relative(recording),
                "speaker": recording.group,
                **turns(recording),
            }
            for recording in speech
        ],
        "noise": [
            {"path": relative(recording), "noise_type": recording.group} for recording in noise
        ],
        **({"rooms": [{"path": relative(recording)} for recording in rooms]} if rooms else {}),
        **({"arrays": [place(recording) for recording in arrays]} if arrays else {}),
    }
    write_text(path, json.dumps(spec, indent=1, ensure_ascii=False) + "\n")
