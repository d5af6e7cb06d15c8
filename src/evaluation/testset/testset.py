"""Folder of enhanced samples: its table of samples, its audio and its tables."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.work.tables import read_table, write_table

__all__ = [
    "SIGNALS",
    "SYSTEM_FILE",
    "TestSet",
    "natural_key",
    "number_samples",
    "some",
    "write_samples",
]

SIGNALS = ("mixture", "speech", "noise", "estimate")
SYSTEM_FILE = "system.json"


@dataclass(frozen=True)
class TestSet:
    """One folder of enhanced samples.

    Attributes:
        folder: `<root>/<tag>/<testset>`, or the results of another system.
    """

    __test__ = False  # not a test case, whatever its name looks like to pytest

    folder: Path

    @property
    def name(self) -> str:
        """Its name."""
        return self.folder.name

    @property
    def system(self) -> str:
        """The name of the system: an experiment's tag, or that of a folder of audio."""
        return str(self._paired()["name"]) if self.is_paired else self.folder.parent.name

    @property
    def title(self) -> str:
        """Its name in printed tables."""
        name = self.system if self.is_paired else f"{self.system} / {self.name}"
        return f"{name} ({self.notice})" if self.notice else name

    @property
    def notice(self) -> str:
        """Note that stands wherever its scores appear, as of an oracle; may be empty."""
        table = self.samples()
        notices = list(table["notice"].dropna()) if "notice" in table else []
        return str(notices[0]) if notices else ""

    @property
    def estimates(self) -> Path:
        """The folder of estimates that `open_system` paired; this folder for an experiment's."""
        return Path(self._paired()["estimates"]) if self.is_paired else self.folder

    @property
    def is_paired(self) -> bool:
        """Whether its audio is elsewhere, paired by `open_system`."""
        return (self.folder / SYSTEM_FILE).is_file()

    def signals(self) -> dict[str, dict[str, Path]]:
        """Return the files of every sample: `Sample_ID` -> signal -> path.

        The signals are mixture, speech, noise and estimate, and, where a manifest has two ears,
        `<signal>_left` and `<signal>_right`. A missing file is included for an experiment's
        sample, and left out for another system's.
        """
        if self.is_paired:
            return {
                sample: {name: Path(path) for name, path in paths.items()}
                for sample, paths in self._paired()["paths"].items()
            }
        return {
            sample: {name: self.folder / sample / f"{name}.wav" for name in SIGNALS}
            for sample in self.samples()["Sample_ID"]
        }

    def _paired(self) -> dict[str, Any]:
        """Return the content of the file that `open_system` wrote."""
        text = (self.folder / SYSTEM_FILE).read_text(encoding="utf-8")
        system: dict[str, Any] = json.loads(text)
        return system

    @property
    def metrics(self) -> Path:
        """The folder of its metric tables."""
        return self.folder / "metrics"

    @property
    def samples_file(self) -> Path:
        """The table from `Sample_ID` to the manifest's id."""
        return self.folder / "samples.csv"

    def samples(self) -> pd.DataFrame:
        """Return the table of samples in natural order: `Sample_ID`, `id` and other columns.

        Without `samples.csv` (audio that came from elsewhere) every folder `sample_*` counts and is
        its own id.
        """
        if self.samples_file.is_file():
            table = read_table(self.samples_file)
        else:
            names = [path.name for path in self.folder.glob("sample_*") if path.is_dir()]
            table = pd.DataFrame({"Sample_ID": names, "id": names}, dtype=str)
        order = sorted(range(len(table)), key=lambda row: natural_key(table["Sample_ID"].iloc[row]))
        return table.iloc[order].reset_index(drop=True)

    def find_sample(self, name: str) -> str:
        """Return the `Sample_ID` of a sample named by it, by its number or by the manifest's id.

        Raises:
            ValueError: there is no such sample; the message shows some that exist.
        """
        table = self.samples()
        for column, value in (("id", name), ("Sample_ID", name), ("Sample_ID", f"sample_{name}")):
            hits = table.loc[table[column] == value, "Sample_ID"]
            if len(hits):
                return str(hits.iloc[0])
        raise ValueError(
            f"no sample {name!r} in {self.folder}; there are {some(list(table['id']))}"
        )


def number_samples(testset: TestSet, ids: list[str]) -> dict[str, str]:
    """Give each id its `sample_<i>`: the one it has in samples.csv, else the next free one."""
    old: dict[str, str] = {}
    if testset.samples_file.is_file():
        table = testset.samples()
        old = dict(zip(table["id"], table["Sample_ID"], strict=True))
    taken = [int(number) for name in old.values() for number in re.findall(r"\d+$", name)]
    # Numbers of ids that left the data are not given again: old audio may still be there.
    fresh = iter(range(max(taken, default=-1) + 1, sys.maxsize))
    return {name: old.get(name) or f"sample_{next(fresh)}" for name in ids}


def write_samples(testset: TestSet, facts: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Write samples.csv; return the `Sample_ID` of each id, which never changes.

    ``facts`` are the `id` and other columns of each sample, None where there is no value.
    """
    names = number_samples(testset, [str(row["id"]) for row in facts])
    rows = [{"Sample_ID": names[str(row["id"])], **row} for row in facts]
    table = pd.DataFrame(rows).dropna(axis="columns", how="all")
    write_table(testset.samples_file, table, digits=None)
    return names


def natural_key(name: str) -> list[tuple[int, str]]:
    """Order `sample_2` before `sample_10`."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def some(names: Sequence[str], most: int = 10) -> str:
    """Return the first names for a message, and how many there are."""
    shown = ", ".join(names[:most]) or "none"
    return f"{shown}, … ({len(names)} in all)" if len(names) > most else shown
