"""Phones out of Praat's TextGrid files, in whatever variant they come, and into one.

Parsing is praatio's (long, short and JSON format). What is added: any encoding, any order and name
of tiers, messages that say which file and what is in it.
"""

from __future__ import annotations

import re
from pathlib import Path

from asteroid.utils.files import atomic_path

from .alignment import Alignment, Phone, alignment_of

__all__ = ["PHONE_TIER", "read_textgrid", "write_textgrid"]

#: "phones" (Montreal Forced Aligner), "phone", "speaker - phones", "Phonemes", "phn", "MAU", ...
PHONE_TIER = r"\b(phone(me)?s?|phn|mau|segments?)$"

NEEDS_PRAATIO = "TextGrids need praatio: pip install praatio"


def read_textgrid(path: str | Path, tier: str = PHONE_TIER) -> Alignment:
    """Return the phones of a TextGrid.

    Args:
        path: the file: long, short or JSON format; UTF-8, UTF-16 or, what is neither, Latin-1.
        tier: regular expression found in the name of the tier of phones, in either case; without
            a hit, a file with one tier of intervals has that one taken.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no TextGrid, or no or several tiers fit; the message lists what there is.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no TextGrid {file}")
    tiers = _tiers(file)
    hits = [name for name in tiers if re.search(tier, name, re.IGNORECASE)]
    if len(hits) > 1:  # tiers of speakers who say nothing
        hits = [name for name in hits if any(phone.label.strip() for phone in tiers[name])] or hits
    if not hits and len(tiers) == 1:
        hits = list(tiers)
    if len(hits) != 1:
        found = f"{len(hits)} tiers fit" if hits else "no tier fits"
        raise ValueError(
            f"{file}: {found} {tier!r}; tiers of intervals are "
            f"{', '.join(repr(name) for name in tiers) or 'none'}; name one by --tier"
        )
    try:
        return alignment_of(tiers[hits[0]], "textgrid")
    except ValueError as error:
        raise ValueError(f"{file}, tier {hits[0]!r}: {error}") from None


def _tiers(file: Path) -> dict[str, list[Phone]]:
    """Return the tiers of intervals by name; of two alike the second has a number behind."""
    try:
        from praatio.utilities.textgrid_io import parseTextgridStr
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDS_PRAATIO) from error
    try:
        parsed = parseTextgridStr(_decoded(file.read_bytes()), includeEmptyIntervals=True)
        tiers: dict[str, list[Phone]] = {}
        for tier in parsed["tiers"]:
            if tier["class"] != "IntervalTier":
                continue
            name = tier["name"]
            name = name if name not in tiers else f"{name} {len(tiers) + 1}"
            tiers[name] = [Phone(float(e[0]), float(e[1]), str(e[2])) for e in tier["entries"]]
        return tiers
    except Exception as error:  # praatio raises whatever it stumbles over
        raise ValueError(f"{file} cannot be read as a TextGrid: {error!r:.200}") from None


def _decoded(data: bytes) -> str:
    """Return the text of a file in any of Praat's encodings."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    if data[:200].count(b"\0") > 20:  # UTF-16 without its mark
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def write_textgrid(path: str | Path, alignment: Alignment, seconds: float) -> None:
    """Write an alignment as a TextGrid (long format, UTF-8) with one tier, `phones`."""
    try:
        from praatio.data_classes.interval_tier import IntervalTier
        from praatio.data_classes.textgrid import Textgrid
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NEEDS_PRAATIO) from error
    end = max(seconds, alignment.phones[-1].end)
    entries = [(phone.start, phone.end, phone.label) for phone in alignment.phones]
    grid = Textgrid(0.0, end)
    grid.addTier(IntervalTier("phones", entries, 0.0, end))
    with atomic_path(path) as temporary:
        grid.save(str(temporary), format="long_textgrid", includeBlankSpaces=True)
