"""The table of the mini corpus read as a list of files to make, their listings and their README."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .archives import Archive

__all__ = ["Take", "compose_readme", "list_takes", "listings_of"]

Row = Mapping[str, Any]

_README = """# Mini corpus ({which} set)

Real recordings, 16 kHz, 16 bit, taken from archives of the Python package index. Speech and noise
are high-passed at 60 Hz. Train, valid and test share no speaker and no moment of a noise; the test
also has kinds of noise that training has not. A listing stands beside the audio of each part.
A talker's gender is given where it is documented.

| archive | licence of the package | sha256 |
|---|---|---|
{archives}

| part | files | what | source | archive |
|---|---|---|---|---|
{files}

Licences are those the packages state; where a source names another, that of the recording is
recalled, not read. Nothing more is known of the origin of recordings that a package ships for its
own tests. Confirm the licences before you publish any of this audio again.
"""


@dataclass(frozen=True)
class Take:
    """One file to write.

    Attributes:
        archive: Key of the archive it is taken from.
        members: Recordings it is made of, side by side as channels.
        part: speech, noise, rir or multichannel.
        path: Where it goes, below the part's folder.
        row: Its row in the listing.
        cut: Start and end in seconds.
        textgrid: Member with its phone labels.
        head: Members that describe a head in the sound field: metadata, then responses.
    """

    archive: str
    members: tuple[str, ...]
    part: str
    path: str
    row: Mapping[str, Any]
    cut: tuple[float | None, float | None] = (None, None)
    textgrid: str | None = None
    head: tuple[str, ...] = ()

    @property
    def needs(self) -> set[str]:
        """Every member it is made of."""
        return {*self.members, *self.head, *([self.textgrid] if self.textgrid else [])}


def _speech(group: Mapping[str, Any], split: str) -> Iterator[Take]:
    for member, transcript in group["files"].items():
        name = PurePosixPath(member).stem
        grid = (
            f"{PurePosixPath(member).with_suffix('.TextGrid')}" if group.get("textgrids") else None
        )
        row = {
            "speaker": group["name"],
            "gender": group.get("gender", ""),
            "transcript": transcript or "",
            "split": split,
            "source": group["source"],
        }
        path = f"{split}/{group['name']}/{name}.flac"
        yield Take(group["archive"], (member,), "speech", path, row, textgrid=grid)


def _noise(entry: Mapping[str, Any], split: str) -> Take:
    row = {"noise_type": entry["name"], "split": split, "source": entry["source"]}
    cut = (entry.get("start"), entry.get("end"))
    name = entry["name"] if cut == (None, None) else f"{entry['name']}_{cut[0]}-{cut[1]}s"
    return Take(
        entry["archive"],
        (entry["file"],),
        "noise",
        f"{split}/{entry['name']}/{name}.flac",
        row,
        cut,
    )


def list_takes(table: Mapping[str, Any], which: str) -> Iterator[Take]:
    """Yield everything a set is made of."""
    key = "light_split" if which == "light" else "split"
    for group in table["speech"]:
        if key in group:
            yield from _speech(group, group[key])
    for entry in table["noise"]:
        if key in entry:
            yield _noise(entry, entry[key])
    for part, entries in (("rir", table["responses"]), ("multichannel", table["multichannel"])):
        for entry in entries:
            if which == "full" or entry.get("light"):
                room = entry.get("room", "")
                row = {"room": room, "kind": entry.get("kind", ""), "source": entry["source"]}
                members = tuple(entry.get("parts") or [entry["file"]])
                path = f"{room or '.'}/{entry['name']}.flac"
                head = tuple(table["heads"][entry["head"]]) if "head" in entry else ()
                yield Take(entry["archive"], members, part, path, row, head=head)


def listings_of(takes: Sequence[Take], archives: Mapping[str, Archive]) -> dict[str, list[Row]]:
    """Return the listing of each part of the corpus."""
    listings: dict[str, list[Row]] = {}
    for take in takes:
        archive = archives[take.archive]
        row = {"path": Path(take.path).as_posix(), **take.row}
        if take.part == "speech":
            row["textgrid"] = str(Path(take.path).with_suffix(".TextGrid")) if take.textgrid else ""
        row |= {"licence": archive.licence, "archive": archive.file}
        listings.setdefault(take.part, []).append(row)
    return listings


def _groups(listings: Mapping[str, list[Row]]) -> dict[tuple[str, ...], int]:
    """Return (part, what, source, archive) -> number of files."""
    groups: dict[tuple[str, ...], int] = {}
    for part, rows in sorted(listings.items()):
        for row in rows:
            talker = filter(None, [row.get("speaker"), row.get("gender")])
            named = ", ".join(talker) or row.get("noise_type")
            what = (
                named or " ".join(filter(None, [row.get("room"), row.get("kind")])) or row["path"]
            )
            split = f" ({row['split']})" if row.get("split") else ""
            group = (part, what + split, row["source"], row["archive"])
            groups[group] = groups.get(group, 0) + 1
    return groups


def compose_readme(
    listings: Mapping[str, list[Row]], archives: Mapping[str, Archive], which: str
) -> str:
    """Return the README of the corpus: what is in it, from where, under which licence."""
    used = {row["archive"] for rows in listings.values() for row in rows}
    pinned = [
        f"| {a.file} | {a.licence} | {a.sha256} |" for a in archives.values() if a.file in used
    ]
    files = [f"| {g[0]} | {n} | {g[1]} | {g[2]} | {g[3]} |" for g, n in _groups(listings).items()]
    return _README.format(which=which, archives="\n".join(pinned), files="\n".join(files))
