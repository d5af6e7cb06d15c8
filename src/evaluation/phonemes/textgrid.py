"""TextGrid files of phones: reader of all formats of Praat and aligners, writer of one.

A text file is read as Praat reads it: its numbers and quoted strings count in their order, while
names (``xmin =``), line breaks and comments are ignored. The long, the short and the one-line
format are thus one. Source: Praat manual, "TextGrid file formats".
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from asteroid.utils.files import atomic_path

from .alignment import Alignment, Phone, alignment_of

__all__ = ["PHONE_TIER", "read_textgrid", "write_textgrid"]

#: "phones" (Montreal Forced Aligner), "phone", "speaker - phones", "Phonemes", "phn", "MAU", ...
PHONE_TIER = r"\b(phone(me)?s?|phn|mau|segments?)$"

_Tiers = Sequence[tuple[str, list[Phone]]]

_BINARY = b"ooBinaryFile"
_CHRONOLOGICAL = "Praat chronological TextGrid text file"
_TOKEN = re.compile(
    r"""
      "(?P<text>[^"]*(?:""[^"]*)*)"        # a quote inside a string is doubled
    | ![^\r\n]*                            # a comment
    | (?P<number>[-+]?\.?\d[^\s"]*)
    | (?P<open>")                          # a string without an end
    | =|[^\s"=][^\s"=]*                    # a name, a flag or an index in brackets
    """,
    re.VERBOSE,
)


def read_textgrid(path: str | Path, tier: str = PHONE_TIER) -> Alignment:
    """Return the phones of a TextGrid.

    Args:
        path: The file: long, short, chronological or binary format of Praat, or JSON as the
            Montreal Forced Aligner and praatio write it; UTF-8, UTF-16 or, what is neither,
            Latin-1.
        tier: Regular expression found in the name of the tier of phones, in either case; without
            a hit, a file with one tier of intervals has that one taken.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no TextGrid, or no or several tiers fit; the message lists what there is.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no TextGrid {file}")
    try:
        seconds, blocks = _parse(file.read_bytes())
    except (LookupError, ValueError, TypeError, AttributeError, struct.error) as error:
        raise ValueError(f"{file} cannot be read as a TextGrid: {error}") from None
    tiers: dict[str, list[Phone]] = {}
    for name, phones in blocks:  # of two alike the second gets its number
        tiers[name if name not in tiers else f"{name} {len(tiers) + 1}"] = phones
    hits = [name for name in tiers if re.search(tier, name, re.IGNORECASE)]
    if len(hits) > 1:  # tiers of speakers who say nothing
        hits = [name for name in hits if any(phone.label.strip() for phone in tiers[name])] or hits
    if not hits and len(tiers) == 1:
        hits = list(tiers)
    if len(hits) != 1:
        problem = f"{len(hits)} tiers fit" if hits else "no tier fits"
        raise ValueError(
            f"{file}: {problem} {tier!r}; tiers of intervals are "
            f"{', '.join(repr(name) for name in tiers) or 'none'}; name one by --tier"
        )
    try:
        return alignment_of(tiers[hits[0]], "textgrid", seconds=seconds)
    except ValueError as error:
        raise ValueError(f"{file}, tier {hits[0]!r}: {error}") from None


def write_textgrid(path: str | Path, alignment: Alignment, seconds: float) -> None:
    """Write an alignment as a TextGrid (long format, UTF-8) with one tier, ``phones``."""
    end = max(seconds, alignment.phones[-1].end)
    rows: list[Phone] = []
    at = 0.0
    for phone in alignment.phones:
        if phone.start > at:  # Praat wants intervals without gaps
            rows.append(Phone(at, phone.start, ""))
        rows.append(phone)
        at = phone.end
    if end > at:
        rows.append(Phone(at, end, ""))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += ["xmin = 0", f"xmax = {_decimal(end)}", "tiers? <exists>", "size = 1", "item []:"]
    lines += ["    item [1]:", '        class = "IntervalTier"', '        name = "phones"']
    lines += ["        xmin = 0", f"        xmax = {_decimal(end)}"]
    lines += [f"        intervals: size = {len(rows)}"]
    for number, row in enumerate(rows, start=1):
        label = row.label.replace('"', '""')
        lines += [f"        intervals [{number}]:", f"            xmin = {_decimal(row.start)}"]
        lines += [f"            xmax = {_decimal(row.end)}", f'            text = "{label}"']
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _decimal(seconds: float) -> str:
    """Write a time without an exponent, which some readers do not know."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".")


class _TextReader:
    """The values of a text file in their order: each method takes the next one."""

    def __init__(self, text: str) -> None:
        self._tokens = [token for token in _TOKEN.finditer(text) if token.lastgroup]
        self._at = 0

    @property
    def is_done(self) -> bool:
        return self._at == len(self._tokens)

    def _take(self, group: str) -> str:
        if self.is_done:
            raise ValueError("it ends too early")
        token = self._tokens[self._at]
        self._at += 1
        if token.lastgroup == "open":
            raise ValueError("a quoted text has no end")
        if token.lastgroup != group:
            raise ValueError(f"expected a {group}; got {token.group()!r:.60}")
        return token.group(group)

    def label(self) -> str:
        return self._take("text").replace('""', '"')

    word = label

    def number(self) -> float:
        return float(self._take("number"))

    def count(self) -> int:
        return int(self._take("number"))

    def flag(self) -> None:
        """``<exists>`` is neither a number nor a text: it is skipped already."""


class _BinaryReader:
    """The same of a binary file: big-endian, texts behind their length."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, len(_BINARY)

    def _take(self, layout: str) -> Any:
        (value,) = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return value

    def word(self) -> str:
        return str(self._take(f"{self._take('B')}s"), "ascii")

    def label(self) -> str:
        length = self._take(">h")
        if length == -1:  # mark of UTF-16, whose length in characters follows
            return str(self._take(f"{2 * self._take('>h')}s"), "utf-16-be")
        return str(self._take(f"{length}s"), "ascii")

    def number(self) -> float:
        return float(self._take(">d"))

    def count(self) -> int:
        return int(self._take(">i"))

    def flag(self) -> None:
        self._take("?")


def _parse(data: bytes) -> tuple[float, _Tiers]:
    """Return the end in seconds, and the tiers of intervals."""
    reader: _TextReader | _BinaryReader
    if data.startswith(_BINARY):
        reader = _BinaryReader(data)
    else:
        text = _decoded(data)
        if text.lstrip().startswith("{"):
            return _parse_json(json.loads(text))
        reader = _TextReader(text)
        first = reader.word()
        if first == _CHRONOLOGICAL:
            return _parse_chronological(reader)
        if not first.startswith("ooTextFile"):
            raise ValueError("it does not begin as one")
    if (content := reader.word()) != "TextGrid":
        raise ValueError(f"it holds a {content}")
    _, end = reader.number(), reader.number()
    reader.flag()
    return end, list(_blocks(reader))


def _blocks(reader: _TextReader | _BinaryReader) -> Iterator[tuple[str, list[Phone]]]:
    """Yield tiers that follow one another; those of points are skipped."""
    for _ in range(reader.count()):
        tier, name, _, _ = reader.word(), reader.label(), reader.number(), reader.number()
        size = reader.count()
        if tier == "IntervalTier":
            yield name, [_interval(reader) for _ in range(size)]
        else:
            for _ in range(size):
                reader.number(), reader.label()


def _interval(reader: _TextReader | _BinaryReader) -> Phone:
    return Phone(reader.number(), reader.number(), reader.label())


def _parse_chronological(reader: _TextReader) -> tuple[float, _Tiers]:
    """Read entries of all tiers in the order of time, each behind the number of its tier."""
    _, end = reader.number(), reader.number()
    heads: list[tuple[str, str]] = []
    for _ in range(reader.count()):
        heads.append((reader.word(), reader.label()))
        reader.number(), reader.number()
    phones: list[list[Phone]] = [[] for _ in heads]
    while not reader.is_done:
        tier = reader.count() - 1
        if heads[tier][0] == "IntervalTier":
            phones[tier].append(_interval(reader))
        else:
            reader.number(), reader.label()
    tiers = zip(heads, phones, strict=True)
    return end, [(name, entries) for (tier, name), entries in tiers if tier == "IntervalTier"]


def _parse_json(document: Any) -> tuple[float, _Tiers]:
    """Read tiers by their names (Montreal Forced Aligner) or in a list (praatio)."""
    tiers = document["tiers"]
    named = tiers.items() if isinstance(tiers, dict) else [(tier["name"], tier) for tier in tiers]
    return float(document.get("end", document.get("xmax"))), [
        (name, [Phone(float(start), float(end), str(text)) for start, end, text in tier["entries"]])
        for name, tier in named
        if tier.get("type", tier.get("class")) in ("interval", "IntervalTier")
    ]


def _decoded(data: bytes) -> str:
    """Return the text of a file in any of Praat's encodings."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    if data[:200].count(b"\0") > 20:  # UTF-16 without its byte-order mark
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
