"""One mixture of a manifest, read from its JSON object and turned into it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["DataError", "Mixture", "Problem", "mixture_from_json", "mixture_to_json"]

#: What TAC's manifests call our two sources.
ALIASES = {"spk1": "speech", "spk2": "noise"}
_OPTIONAL: dict[str, tuple[type, ...]] = {
    "speaker": (str,),
    "transcript": (str,),
    "textgrid": (str,),
    "noise_type": (str,),
    "snr_db": (int, float),
    "seen": (bool,),
}
_SHOWN = 10


class Problem(NamedTuple):
    """One thing wrong with a manifest: its line (0 if it has none), the item's id, what."""

    line: int
    item: str
    what: str

    def __str__(self) -> str:
        """Return ``line 3, item 'a': what``."""
        where = f"line {self.line}, " if self.line else ""
        return f"{where}item {self.item!r}: {self.what}"


class DataError(ValueError):
    """Data that cannot be used; ``problems`` holds every offender, the message the first ten."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        """Compose the message from where the data came from and what is wrong with it."""
        self.source = source
        self.problems = tuple(problems)
        shown = [f"  {problem}" for problem in self.problems[:_SHOWN]]
        hidden = len(self.problems) - len(shown)
        if hidden:
            shown.append(f"  ... and {hidden} more")
        super().__init__("\n".join([f"{source}: {len(self.problems)} problem(s)", *shown]))

    def __reduce__(self) -> tuple[type[DataError], tuple[str, tuple[Problem, ...]]]:
        """Let the error cross from a worker process to the one that waits for it."""
        return type(self), (self.source, self.problems)


@dataclass(frozen=True)
class Mixture:
    """One mixture: absolute paths by microphone, in numerical order, and its facts.

    Attributes:
        id: Unique in its manifest and usable as a file name.
        mixture: One mono file per microphone; the first is the reference microphone.
        speech: The speech image at each microphone, empty if the manifest has none.
        noise: The noise image at each microphone, empty if the manifest has none: then the noise is
            the mixture less the speech.
        length: Samples in every one of these files.
        seen: Whether the noise type occurs in training.
        extra: Every other key of the entry, untouched.
        line: Where the entry starts in the manifest, 0 if it was not read from one.
    """

    id: str
    mixture: tuple[Path, ...]
    speech: tuple[Path, ...]
    noise: tuple[Path, ...]
    length: int
    speaker: str | None = None
    transcript: str | None = None
    textgrid: Path | None = None
    noise_type: str | None = None
    snr_db: float | None = None
    seen: bool | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    line: int = field(default=0, compare=False)

    @property
    def n_mics(self) -> int:
        """Number of microphones."""
        return len(self.mixture)

    @property
    def speech_file(self) -> str | None:
        """The recording that the speech was taken from, where it is one and has a name."""
        files = self.extra.get("speech_files")
        return str(files[0]) if isinstance(files, list) and len(files) == 1 else None

    @property
    def has_sources(self) -> bool:
        """Whether the speech at every microphone is there, and so the noise: what is left of it."""
        return bool(self.speech)


def _resolve(folder: Path, value: object, what: str) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"{what} must be the path of a file; got {value!r}")
    return Path(os.path.normpath(folder / value))


def _microphones(entry: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return ``(key, fields)`` of the numbered keys, in order, with our names for the sources."""
    mics = []
    for key in sorted((key for key in entry if key.isdecimal()), key=int):
        if not isinstance(entry[key], dict):
            raise ValueError(
                f"microphone {key!r} must be an object with mixture, speech, noise, length"
            )
        mics.append((key, {ALIASES.get(name, name): value for name, value in entry[key].items()}))
    if not mics:
        raise ValueError(
            "no microphone: expected keys '1', '2', ... each with mixture, speech, noise, length"
        )
    return mics


def _paths(folder: Path, mics: list[tuple[str, dict[str, Any]]], role: str) -> tuple[Path, ...]:
    present = [key for key, fields in mics if role in fields]
    if not present and role != "mixture":
        return ()
    missing = [key for key, _ in mics if key not in present]
    if missing:
        raise ValueError(f"microphone {missing[0]!r} has no {role!r}")
    return tuple(
        _resolve(folder, fields[role], f"{role!r} of microphone {key!r}") for key, fields in mics
    )


def _length(mics: list[tuple[str, dict[str, Any]]]) -> int:
    lengths = {key: fields.get("length") for key, fields in mics}
    for key, length in lengths.items():
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise ValueError(
                f"'length' of microphone {key!r} must be a whole number above 0; got {length!r}"
            )
    if len(set(lengths.values())) > 1:
        raise ValueError(f"microphones must be equally long; got lengths {lengths}")
    return int(mics[0][1]["length"])


def _identity(entry: Mapping[str, Any], mics: list[tuple[str, dict[str, Any]]]) -> str:
    """Return the entry's id; TAC's manifests have none, so one is made of the first path."""
    if "id" not in entry:
        parts = Path(str(mics[0][1].get("mixture"))).with_suffix("").parts
        return "-".join(part for part in parts if part not in ("/", ".", ".."))
    name = entry["id"]
    if (
        not isinstance(name, str)
        or not name
        or name in (".", "..")
        or re.search(r"[/\\\0\n]", name)
    ):
        raise ValueError(f"'id' must be text that can name a file (no slash); got {name!r}")
    return name


def _optional_fields(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the optional fields, checked."""
    fields: dict[str, Any] = {}
    for name, types in _OPTIONAL.items():
        value = entry.get(name)
        if value is None:
            continue
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"{name!r} must be {types[-1].__name__}; got {value!r}")
        fields[name] = value
    if "textgrid" in fields:
        fields["textgrid"] = _resolve(folder, fields["textgrid"], "'textgrid'")
    if "snr_db" in fields and not math.isfinite(fields["snr_db"]):
        raise ValueError(f"'snr_db' must be finite; got {fields['snr_db']!r}")
    return fields


def mixture_from_json(entry: object, folder: Path, line: int = 0) -> Mixture:
    """Return the mixture that a manifest's object describes; its paths are relative to ``folder``.

    Raises:
        ValueError: If something is missing or of the wrong type; names the key.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object; got {type(entry).__name__}")
    mics = _microphones(entry)
    taken = {"id", *_OPTIONAL, *(key for key, _ in mics)}
    return Mixture(
        mixture=_paths(folder, mics, "mixture"),
        id=_identity(entry, mics),
        speech=_paths(folder, mics, "speech"),
        noise=_paths(folder, mics, "noise"),
        length=_length(mics),
        extra={key: value for key, value in entry.items() if key not in taken},
        line=line,
        **_optional_fields(entry, folder),
    )


def mixture_to_json(item: Mixture, folder: Path) -> dict[str, Any]:
    """Return the object that describes a mixture in a manifest lying in ``folder``."""

    def relative(target: Path) -> str:
        return Path(os.path.relpath(target, folder)).as_posix()

    entry: dict[str, Any] = {"id": item.id}
    for at in range(item.n_mics):
        roles = {"mixture": item.mixture, "speech": item.speech, "noise": item.noise}
        mic: dict[str, Any] = {role: relative(paths[at]) for role, paths in roles.items() if paths}
        entry[str(at + 1)] = {**mic, "length": item.length}
    for name in _OPTIONAL:
        value = getattr(item, name)
        if value is not None:
            entry[name] = relative(value) if name == "textgrid" else value
    return {**entry, **item.extra}
