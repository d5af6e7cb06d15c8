"""Experiments and other systems' folders of audio, opened by tag or path.

    <root>/<tag>/best_model.pth  history.csv
    <root>/<tag>/<testset>/samples.csv
    <root>/<tag>/<testset>/sample_<i>/{mixture,speech,noise,estimate}.wav
    <root>/<tag>/<testset>/metrics/{metrics_by_sample,metrics,failures}.csv

`samples.csv` has the manifest's id of each `Sample_ID`, and its speaker, noise, SNR and so on.

Another system's estimates are in a folder of their own, in any layout. `open_system` pairs them
with their references by name and keeps the pairs in a folder of results (by default
`<estimates>_results` beside them), which is a test set like any other:

    <results>/samples.csv  system.json  unpaired.csv
    <results>/metrics/...
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .folder_system import pair_folder, results_beside
from .references import References
from .testset import SIGNALS, SYSTEM_FILE, TestSet, natural_key, some

__all__ = [
    "ROOT_VARIABLE",
    "SIGNALS",
    "ExperimentFolder",
    "References",
    "TestSet",
    "find_experiment",
    "natural_key",
    "open_system",
    "open_systems",
]

ROOT_VARIABLE = "SELOSS_EXPERIMENTS"
# Names a user gives to tags, test sets and samples: one folder below, nothing hidden.
_PLAIN_NAME = re.compile(r"[^./\\\0][^/\\\0]*")


@dataclass(frozen=True)
class ExperimentFolder:
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
        folders = [TestSet(path) for path in sorted(self.folder.iterdir()) if path.is_dir()]
        return [
            testset
            for testset in folders
            if testset.samples_file.is_file() or any(testset.folder.glob("sample_*/"))
        ]

    def testset(self, name: str | None = None) -> TestSet:
        """Return the test set of this name; without a name the only one there is.

        Raises:
            FileNotFoundError: there is none of this name, or none at all, or several to choose
                from.
        """
        testsets = {testset.name: testset for testset in self.testsets()}
        if not testsets:
            raise FileNotFoundError(
                f"{self.folder} holds no enhanced samples: run evaluation.infer first"
            )
        if name is None and len(testsets) == 1:
            return next(iter(testsets.values()))
        if name is None or name not in testsets:
            problem = "several test sets" if name is None else f"no test set {name!r}"
            raise FileNotFoundError(f"{problem} in {self.folder}; there are {some(list(testsets))}")
        return testsets[name]

    def label(self, testset: str | None = None) -> str:
        """Return its tag, with the notice of a test set's scores, as of an oracle."""
        notice = self.testset(testset).notice
        return f"{self.tag} ({notice})" if notice else self.tag

    def new_testset(self, name: str) -> TestSet:
        """Return a test set that need not exist yet.

        Raises:
            ValueError: the name is not that of a folder.
        """
        return TestSet(self.folder / _plain(name, "test set"))


def find_experiment(tag: str, root: str | Path | None = None) -> ExperimentFolder:
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
        tags = sorted(path.name for path in base.iterdir() if path.is_dir())
        raise FileNotFoundError(f"no experiment {tag!r} in {base}; there are {some(tags)}")
    return ExperimentFolder(folder)


def open_system(
    tag_or_folder: str | Path,
    testset: str | None = None,
    root: str | Path | None = None,
    *,
    references: References | None = None,
    results: str | Path | None = None,
) -> TestSet:
    """Open an experiment's test set, or any system's folder of audio.

    Args:
        tag_or_folder: an experiment's tag; or a folder of estimates; or the results of one. Without
            `references` a tag comes first: write `./name` for a folder of a tag's name.
        testset: of an experiment; needed where it has several.
        root: see `find_experiment`.
        references: of a folder of estimates. A folder that was opened before needs none.
        results: folder of the tables of a folder of estimates; by default `<folder>_results`.

    Raises:
        FileNotFoundError: there is no such experiment, folder or audio; or a folder of estimates
            has no references yet.
        ValueError: names do not pair, or more than one way.
    """
    folder = Path(tag_or_folder)
    if references is not None:
        return pair_folder(folder, references, Path(results) if results else None)
    if results is None and _PLAIN_NAME.fullmatch(str(tag_or_folder)):
        base = Path(root or os.environ.get(ROOT_VARIABLE) or "experiments")
        if (base / folder).is_dir() or not folder.is_dir():
            return find_experiment(str(tag_or_folder), root).testset(testset)
    places = [Path(results)] if results else [folder, results_beside(folder)]
    for place in places:
        if (place / SYSTEM_FILE).is_file():
            return TestSet(place)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    raise FileNotFoundError(
        f"{folder} was not evaluated before: give its references, --input_json MANIFEST or "
        "--targets FOLDER"
    )


def open_systems(
    texts: Sequence[str],
    testset: str | None = None,
    root: str | Path | None = None,
    *,
    taken: Sequence[str] = (),
) -> dict[str, TestSet]:
    """Open several systems, each `TAG`, a folder, or `NAME=` one of these; return them by name.

    Args:
        texts: of the command line.
        testset: see `open_system`.
        root: see `find_experiment`.
        taken: names that no system may have.

    Raises:
        FileNotFoundError: see `open_system`.
        ValueError: two systems have one name.
    """
    systems: dict[str, TestSet] = {}
    for text in texts:
        name, equals, place = text.partition("=")
        named = bool(equals) and not Path(text).exists()
        system = open_system(place if named else text, testset, root)
        name = name if named else system.system
        if name in systems or name in taken:
            raise ValueError(f"two systems are called {name!r}: name them, as A={text}")
        systems[name] = system
    return systems


def _plain(name: str, meaning: str) -> str:
    if not _PLAIN_NAME.fullmatch(name):
        raise ValueError(f"the {meaning} must be the plain name of a folder; got {name!r}")
    return name
