"""A data set by the path of what holds it: a manifest, an array, lists to mix, a rule for pairs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from seloss.data.corpus.file_pairs import PAIRINGS, PairingRule, pair_folders
from seloss.data.formats.batch import SizedDataset
from seloss.data.formats.manifest import validate_manifest
from seloss.data.formats.mixture import DataError, Mixture, Problem

from .array_dataset import ArrayDataset, validate_array
from .mixture_dataset import MixtureDataset
from .on_the_fly_dataset import OnTheFlyDataset
from .source_lists import read_source_lists

__all__ = ["open_dataset", "read_pairs_file"]

_KINDS = (
    "a manifest or lists of sources (.json), an array (.npy), or folders of pairs (.yml with "
    "noisy, clean and rule)"
)
_KEYS = {"noisy", "clean", "rule", "unpaired"}


def _is_lists(path: Path) -> bool:
    """Return whether a JSON file is an object (lists of sources) and not a list (a manifest)."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return re.match(r"\s*\{", file.read(4096)) is not None


def read_pairs_file(path: str | Path) -> list[Mixture]:
    """Return the pairs that a YAML file describes.

    It holds ``noisy`` and ``clean``, folders relative to it, and ``rule``: the name of one of
    `PAIRINGS` or ``{noisy: PATTERN, clean: PATTERN}``; ``unpaired: skip`` leaves out files
    without counterpart.

    Raises:
        FileNotFoundError: If it or a folder does not exist.
        DataError: If a key is missing or unknown, or files cannot be paired.
    """
    path = Path(path)
    try:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _pairs(path.absolute().parent, spec)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(str(path), [Problem(0, "pairs", f"is not YAML: {error}")]) from None
    except DataError:
        raise
    except ValueError as error:
        raise DataError(str(path), [Problem(0, "pairs", str(error))]) from None


def _pairs(folder: Path, spec: Any) -> list[Mixture]:
    if not isinstance(spec, dict) or not {"noisy", "clean"} <= spec.keys() <= _KEYS:
        raise ValueError(f"must hold noisy, clean and optionally rule and unpaired; got {spec!r}")
    chosen, unpaired = spec.get("rule", "same_name"), spec.get("unpaired", "refuse")
    if unpaired not in ("refuse", "skip"):
        raise ValueError(f"'unpaired' must be refuse or skip; got {unpaired!r}")
    if isinstance(chosen, dict) and chosen.keys() == {"noisy", "clean"}:
        rule = PairingRule(**chosen)
    elif chosen in PAIRINGS:
        rule = PAIRINGS[chosen]
    else:
        names = ", ".join(PAIRINGS)
        raise ValueError(f"'rule' must be {names} or patterns noisy and clean; got {chosen!r}")
    return pair_folders(folder / spec["noisy"], folder / spec["clean"], rule, unpaired=unpaired)


def open_dataset(
    path: str | Path,
    *,
    sample_rate: int,
    segment_s: float | None = None,
    max_mics: int | None = None,
    seed: int = 0,
    shuffle_mics: bool = False,
    progress: bool | None = None,
) -> SizedDataset:
    """Return the data set that a file holds, every part of it checked.

    Args:
        path: A manifest (``.json``, a list), lists of speech and noise to mix on the fly
            (``.json``, an object), an array (``.npy``) or a description of folders of pairs
            (``.yml``).
        sample_rate: That all of it must have, Hz.
        segment_s: Longest excerpt in seconds, at a random place; None: whole items.
        max_mics: Most microphones of an item; None: all.
        seed: Of everything random.
        shuffle_mics: Whether each epoch reorders an item's microphones.
        progress: Whether to show a progress bar; by default for much data on a terminal.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it or what it names cannot be used; the message lists the offenders.
    """
    path = Path(path)
    if path.suffix == ".npy":
        info = validate_array(path, sample_rate=sample_rate, progress=progress)
        return ArrayDataset(info, segment_s=segment_s, seed=seed)
    if path.suffix == ".json" and path.is_file() and _is_lists(path):
        if path.name.endswith(".npy.json"):
            what = f"describes an array; give the array itself, {path.stem}"
            raise DataError(str(path), [Problem(0, "array", what)])
        lists = read_source_lists(path, sample_rate=sample_rate)
        return OnTheFlyDataset(
            lists, segment_s=segment_s, seed=seed, max_mics=max_mics, shuffle_mics=shuffle_mics
        )
    if path.suffix == ".json":
        mixtures = validate_manifest(path, sample_rate=sample_rate, progress=progress)
    elif path.suffix in (".yml", ".yaml"):
        pairs = read_pairs_file(path)
        mixtures = validate_manifest(pairs, sample_rate=sample_rate, progress=progress)
    else:
        raise DataError(str(path), [Problem(0, "data", f"must be {_KINDS}")])
    return MixtureDataset(
        mixtures,
        sample_rate=sample_rate,
        segment_s=segment_s,
        max_mics=max_mics,
        seed=seed,
        shuffle_mics=shuffle_mics,
    )
