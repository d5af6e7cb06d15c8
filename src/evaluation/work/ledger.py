"""Finished work, one JSON line per sample, so that a killed program goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from asteroid.utils.files import atomic_path

__all__ = ["Journal", "Record"]


@dataclass
class Record:
    """What is known of one sample.

    Attributes:
        sample: its `Sample_ID`.
        stamp: what the figures depend on: sizes and times of the files, settings; figures of
            another stamp are void.
        values: figure by key, None where it is not defined.
        reasons: why, by key, for the figures that are None.
    """

    sample: str
    stamp: str
    values: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


class Journal:
    """An append-only file of records; the last one of a sample counts.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Record]:
        """Return the records by sample; a line torn by a kill is passed over."""
        records: dict[str, Record] = {}
        if not self.path.is_file():
            return records
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = Record(**json.loads(line))
            except (json.JSONDecodeError, TypeError):
                continue
            records[record.sample] = record
        return records

    def append(self, record: Record) -> None:
        """Add a record; it is with the system when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            if file.tell() and not self._ends_with_newline():
                file.write(b"\n")
            file.write(json.dumps(asdict(record), allow_nan=False).encode() + b"\n")

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace the file by these records in one step."""
        lines = [json.dumps(asdict(record), allow_nan=False) + "\n" for record in records]
        with atomic_path(self.path) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) == b"\n"
