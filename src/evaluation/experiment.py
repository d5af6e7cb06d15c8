"""Where an experiment keeps what: from a tag to its folders and files.

    <root>/<tag>/best_model.pth  history.csv
    <root>/<tag>/<testset>/samples.csv
    <root>/<tag>/<testset>/sample_<i>/{mixture,speech,noise,estimate}.wav
    <root>/<tag>/<testset>/metrics/{metrics_by_sample,metrics,failures}.csv

`samples.csv` says which id of the manifest each `Sample_ID` has, and what else is known of it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

__all__ = ["ROOT_VARIABLE", "SIGNALS", "Experiment", "TestSet", "find_experiment", "natural_key"]

ROOT_VARIABLE = "SELOSS_EXPERIMENTS"
SIGNALS = ("mixture", "speech", "noise", "estimate")
# Names a user gives to tags, test sets and samples: one folder below, nothing hidden.
_PLAIN_NAME = re.compile(r"[^./\\\0][^/\\\0]*")


@dataclass(frozen=True)
class TestSet:
    """One folder of enhanced samples.

    Attributes:
        folder: `<root>/<tag>/<testset>`.
    """

    __test__ = False  # not a test case, whatever its name looks like to pytest

    folder: Path

    @property
    def name(self) -> str:
        """Its name."""
        return self.folder.name

    @property
    def metrics(self) -> Path:
        """The folder of its metric tables."""
        return self.folder / "metrics"

    @property
    def samples_file(self) -> Path:
        """The table from `Sample_ID` to the manifest's id."""
        return self.folder / "samples.csv"

    def samples(self) -> pd.DataFrame:
        """Return the table of samples in natural order: `Sample_ID`, `id` and what else is known.

        Without `samples.csv` (audio that came from elsewhere) every folder `sample_*` counts and is
        its own id.
        """
        if self.samples_file.is_file():
            kinds = {"Sample_ID": str, "id": str, "speaker": str}
            # "NA" may be a name: only an empty cell is missing
            table = pd.read_csv(
                self.samples_file, dtype=kinds, keep_default_na=False, na_values=[""]
            )
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
        for column, wanted in (("id", name), ("Sample_ID", name), ("Sample_ID", f"sample_{name}")):
            hits = table.loc[table[column] == wanted, "Sample_ID"]
            if len(hits):
                return str(hits.iloc[0])
        raise ValueError(
            f"no sample {name!r} in {self.folder}; there are {_some(list(table['id']))}"
        )


@dataclass(frozen=True)
class Experiment:
    """One experiment's folder.

    Attributes:
        folder: `<root>/<tag>`.
    """

    folder: Path

    @property
    def tag(self) -> str:
        """Its name."""
        return self.folder.name

    @property
    def history(self) -> Path:
        """Losses and metrics per epoch."""
        return self.folder / "history.csv"

    @property
    def checkpoint(self) -> Path:
        """The best network, as `network.serialize()` gives it.

        Raises:
            FileNotFoundError: the experiment has none (yet).
        """
        places = [self.folder / "best_model.pth", self.folder / "checkpoints" / "best_model.pth"]
        for place in places:
            if place.is_file():
                return place
        raise FileNotFoundError(
            f"no {places[0]}: train {self.tag!r} first, or let its training end"
        )

    def testsets(self) -> list[TestSet]:
        """Return every test set that has samples."""
        found = [TestSet(path) for path in sorted(self.folder.iterdir()) if path.is_dir()]
        return [
            one for one in found if one.samples_file.is_file() or any(one.folder.glob("sample_*/"))
        ]

    def testset(self, name: str | None = None) -> TestSet:
        """Return the test set of this name; without a name the only one there is.

        Raises:
            FileNotFoundError: there is none of this name, or none at all, or several to choose
                from.
        """
        there = {one.name: one for one in self.testsets()}
        if not there:
            raise FileNotFoundError(
                f"{self.folder} holds no enhanced samples: run evaluation.infer first"
            )
        if name is None and len(there) == 1:
            return next(iter(there.values()))
        if name is None or name not in there:
            asked = "several test sets" if name is None else f"no test set {name!r}"
            raise FileNotFoundError(f"{asked} in {self.folder}; there are {_some(list(there))}")
        return there[name]

    def new_testset(self, name: str) -> TestSet:
        """Return a test set that need not exist yet.

        Raises:
            ValueError: the name is not that of a folder.
        """
        return TestSet(self.folder / _plain(name, "test set"))


def find_experiment(tag: str, root: str | Path | None = None) -> Experiment:
    """Find an experiment by its tag.

    Args:
        tag: the folder's name.
        root: the folder of all experiments; by default the environment variable SELOSS_EXPERIMENTS,
            else `experiments`.

    Raises:
        FileNotFoundError: there is no such experiment; the message lists some that exist.
        ValueError: the tag is not a folder's name.
    """
    base = Path(root or os.environ.get(ROOT_VARIABLE) or "experiments")
    folder = base / _plain(tag, "experiment tag")
    if not base.is_dir():
        raise FileNotFoundError(
            f"no folder of experiments {base}: give --root or set {ROOT_VARIABLE}"
        )
    if not folder.is_dir():
        there = sorted(path.name for path in base.iterdir() if path.is_dir())
        raise FileNotFoundError(f"no experiment {tag!r} in {base}; there are {_some(there)}")
    return Experiment(folder)


def natural_key(name: str) -> list[tuple[int, str]]:
    """Order `sample_2` before `sample_10`."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _plain(name: str, what: str) -> str:
    if not _PLAIN_NAME.fullmatch(name):
        raise ValueError(f"the {what} must be the plain name of a folder; got {name!r}")
    return name


def _some(names: list[str], most: int = 10) -> str:
    shown = ", ".join(names[:most]) or "none"
    return f"{shown}, … ({len(names)} in all)" if len(names) > most else shown
