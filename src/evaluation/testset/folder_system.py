"""Test set of any system's folder of estimates, paired with its references."""

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
    """Return the folder of the tables of a folder of estimates."""
    absolute = Path(os.path.abspath(folder))
    return absolute.with_name(f"{absolute.name}{RESULTS_SUFFIX}")


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
    if testset.is_paired and testset.estimates != Path(os.path.abspath(folder)):
        raise ValueError(
            f"{testset.folder} holds the results of {testset.estimates}: give another --results"
        )
    expected = references.read()
    files = _estimates(folder, references, expected)
    pairs = match(files, {ref.id: ref.names for ref in expected}, references.pattern)
    if not pairs:
        raise ValueError(
            f"no file of {folder} has the name of a reference: estimates are "
            f"{some([str(path) for path in files], 3)}; references are "
            f"{some([ref.id for ref in expected], 3)}; see --pair_pattern"
        )
    paths = {ref.id: dict(ref.paths) for ref in expected}
    for name, file in pairs.items():
        paths[name]["estimate"] = folder / file
    _write_pairs(testset, folder, expected, paths)
    paired = set(pairs.values())
    alone = [("reference", ref.id) for ref in expected if ref.id not in pairs]
    alone += [("estimate", str(path)) for path in files if path not in paired]
    for side in ("reference", "estimate"):
        names = [name for side_of_name, name in alone if side_of_name == side]
        if names:
            logger.warning(
                "%s: %d %s(s) without a partner: %s", folder, len(names), side, some(names)
            )
    write_table(testset.folder / "unpaired.csv", pd.DataFrame(alone, columns=["kind", "name"]))
    return testset


def _estimates(folder: Path, references: References, expected: Sequence[Reference]) -> list[Path]:
    """Return the audio of a folder, without references in the same folder.

    Mixtures stay where the folder is theirs, or holds only references: the unprocessed input is
    evaluated as a system.
    """
    own = {path for ref in expected for path in ref.paths.values()}
    same = {role for role, path in references.folders.items() if path.resolve() == folder.resolve()}
    kept = {path for ref in expected for role, path in ref.paths.items() if role in same}
    try:
        return audio_files(folder, leave_out=own - kept)
    except FileNotFoundError:
        mixtures = {ref.paths["mixture"] for ref in expected if "mixture" in ref.paths}
        return audio_files(folder, leave_out=own - mixtures)


def _write_pairs(
    testset: TestSet,
    folder: Path,
    references: Sequence[Reference],
    paths: Mapping[str, Mapping[str, Path]],
) -> None:
    """Write samples.csv and system.json."""
    names = write_samples(testset, [{"id": ref.id, **ref.facts} for ref in references])
    system = {
        "name": Path(os.path.abspath(folder)).name,
        "estimates": os.path.abspath(folder),
        "paths": {
            names[key]: {name: os.path.abspath(path) for name, path in files.items()}
            for key, files in paths.items()
        },
    }
    write_text(testset.folder / SYSTEM_FILE, json.dumps(system, indent=1) + "\n")
