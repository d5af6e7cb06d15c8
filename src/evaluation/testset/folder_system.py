"""Any system's folder of estimates as a test set: paired with its references, the pairs kept."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from asteroid.utils.files import write_text
from evaluation.work.tables import write_table

from .pairing import audio_files, match
from .references import Reference, References
from .testset import SYSTEM_FILE, TestSet, some, write_samples

__all__ = ["pair_folder", "results_beside"]

logger = logging.getLogger(__name__)

RESULTS_SUFFIX = "_results"


def results_beside(folder: Path) -> Path:
    """Return where the tables of a folder of estimates go."""
    whole = Path(os.path.abspath(folder))
    return whole.with_name(f"{whole.name}{RESULTS_SUFFIX}")


def pair_folder(folder: Path, references: References, results: Path | None = None) -> TestSet:
    """Pair a folder of estimates with its references and keep the pairs.

    Files without a partner are named in the log and in unpaired.csv. A reference without an
    estimate stays a sample, one without scores; an estimate without a reference cannot be scored.

    Raises:
        FileNotFoundError: a folder or manifest is missing or holds nothing.
        ValueError: nothing pairs, or something in more than one way; or the results are another
            folder's.
    """
    testset = TestSet(results or results_beside(folder))
    _refuse_others(testset, folder)
    expected = references.read()
    files = _estimates(folder, references, expected)
    pairs = match(files, {one.id: one.names for one in expected}, references.pattern)
    if not pairs:
        raise ValueError(
            f"no file of {folder} goes by the name of a reference: estimates are "
            f"{some([str(path) for path in files], 3)}; references are "
            f"{some([one.id for one in expected], 3)}; see --pair_pattern"
        )
    paths = {one.id: dict(one.paths) for one in expected}
    for name, file in pairs.items():
        paths[name]["estimate"] = folder / file
    _write_pairs(testset, folder, expected, paths)
    paired = set(pairs.values())
    alone = [("reference", one.id) for one in expected if one.id not in pairs]
    alone += [("estimate", str(path)) for path in files if path not in paired]
    for side in ("reference", "estimate"):
        names = [name for kind, name in alone if kind == side]
        if names:
            logger.warning(
                "%s: %d %s(s) without a partner: %s", folder, len(names), side, some(names)
            )
    write_table(testset.folder / "unpaired.csv", pd.DataFrame(alone, columns=["kind", "name"]))
    return testset


def _estimates(folder: Path, references: References, expected: Sequence[Reference]) -> list[Path]:
    """Return the audio of a folder, without references that lie there too.

    Mixtures stay where the folder is theirs, or holds nothing else than references: the unprocessed
    input as a system.
    """
    own = {path for one in expected for path in one.paths.values()}
    same = {role for role, path in references.folders.items() if path.resolve() == folder.resolve()}
    kept = {path for one in expected for role, path in one.paths.items() if role in same}
    try:
        return audio_files(folder, leave_out=own - kept)
    except FileNotFoundError:
        mixtures = {one.paths["mixture"] for one in expected if "mixture" in one.paths}
        return audio_files(folder, leave_out=own - mixtures)


def _refuse_others(testset: TestSet, folder: Path) -> None:
    if testset.is_paired and testset.estimates != Path(os.path.abspath(folder)):
        raise ValueError(
            f"{testset.folder} holds the results of {testset.estimates}: give another --results"
        )


def _write_pairs(
    testset: TestSet,
    folder: Path,
    references: Sequence[Reference],
    paths: Mapping[str, Mapping[str, Path]],
) -> None:
    """Write samples.csv and system.json."""
    names = write_samples(testset, [{"id": one.id, **one.known} for one in references])
    system = {
        "name": Path(os.path.abspath(folder)).name,
        "estimates": os.path.abspath(folder),
        "paths": {
            names[key]: {name: os.path.abspath(path) for name, path in files.items()}
            for key, files in paths.items()
        },
    }
    write_text(testset.folder / SYSTEM_FILE, json.dumps(system, indent=1) + "\n")
