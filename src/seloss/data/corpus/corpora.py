"""Public corpora in the folders they come in: the DNS challenge, Voice Bank + DEMAND."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seloss.data.draw import rank
from seloss.data.formats.audio_files import find_audio, walk_files
from seloss.data.formats.mixture import DataError, Mixture, Problem

from .file_pairs import PAIRINGS, pair_folders
from .listing import read_folder
from .recording import Recording
from .splits import refuse_shared

__all__ = ["dns_pairs", "dns_recordings", "is_voicebank_tree", "read_log", "voicebank_pairs"]

_LOG = logging.getLogger(__name__)
Splits = dict[str, list[Mixture]]
_DNS_SPEECH = ("datasets/clean", "datasets_fullband/clean_fullband", "clean_fullband", "clean")
_DNS_NOISE = ("datasets/noise", "datasets_fullband/noise_fullband", "noise_fullband", "noise")
_DNS_TEST = ("test_set/synthetic/no_reverb", "datasets/test_set/synthetic/no_reverb")
_READER = re.compile(r"reader_(\d+)")
_FREESOUND = re.compile(r"(.+?)_Freesound_", re.IGNORECASE)
#: Part of the speakers, or else of the files, that go to validation.
_VALID = 0.1
#: The two of the 28 training speakers that are commonly kept for validation.
VALID_SPEAKERS = ("p226", "p287")


def _first(root: Path, names: Sequence[str], part: str) -> Path:
    present = [root / name for name in names if (root / name).is_dir()]
    if not present:
        expected = f"expected {' or '.join(names)} in it"
        raise DataError(str(root), [Problem(0, part, f"is no DNS challenge folder: {expected}")])
    return present[0]


def dns_recordings(root: str | Path) -> tuple[list[Recording], list[Recording]]:
    """Return the speech and the noise of the DNS challenge, of which mixtures are to be made.

    The speaker is the reader in a file's name, the noise type the class before
    ``_Freesound_``; noises without one (AudioSet) are one type.

    Raises:
        DataError: If the folder is not that of the challenge.
    """
    root = Path(root)
    speech = []
    for recording in read_folder(_first(root, _DNS_SPEECH, "speech"), "speech"):
        reader = _READER.search(recording.name)
        speech.append(replace(recording, group=reader[1] if reader else recording.group))
    noise = []
    for recording in read_folder(_first(root, _DNS_NOISE, "noise"), "noise"):
        kind = _FREESOUND.match(Path(recording.name).name)
        noise.append(replace(recording, group=kind[1] if kind else "audioset"))
    return speech, noise


def dns_pairs(root: str | Path, seed: int = 0) -> Splits:
    """Return mixtures that the challenge's own synthesiser has made (``noisy`` and ``clean``).

    A tenth of the readers (or of the files, where names have none) is for validation; the test is
    the challenge's, where it lies beside.

    Raises:
        FileNotFoundError: If there is no ``noisy`` or no ``clean``.
        DataError: If files cannot be paired.
    """
    root = Path(root)
    items = [
        replace(
            pair, speaker=reader[1] if (reader := _READER.search(pair.mixture[0].name)) else None
        )
        for pair in pair_folders(root / "noisy", root / "clean", PAIRINGS["dns"])
    ]
    names = {item.speaker or item.id for item in items}
    held = set(rank(names, seed, "valid")[: max(1, round(_VALID * len(names)))])
    splits: Splits = {"train": [], "valid": []}
    for item in items:
        splits["valid" if (item.speaker or item.id) in held else "train"].append(item)
    for name in _DNS_TEST:
        if (root / name).is_dir():
            splits["test"] = pair_folders(
                root / name / "noisy", root / name / "clean", PAIRINGS["dns_test"]
            )
    return splits


def is_voicebank_tree(root: str | Path) -> bool:
    """Return whether a folder holds Voice Bank + DEMAND as it is published."""
    return bool(list(Path(root).glob("noisy_testset_wav*")))


def _sets(root: Path, split: str) -> dict[str, tuple[Path, Path]]:
    """Return the name of each set of a split (``trainset_28spk``) -> its noisy and clean folder.

    Raises:
        FileNotFoundError: If there is none, or one of the two is missing.
    """
    folders: dict[str, dict[str, Path]] = {}
    for side in ("noisy", "clean"):
        for path in sorted(root.glob(f"{side}_{split}set*")):
            if path.is_dir():
                name = path.name.removeprefix(f"{side}_").removesuffix("_wav")
                # an archive may hold the folder once more within itself
                inner = path / path.name
                folders.setdefault(name, {})[side] = inner if inner.is_dir() else path
    for name, sides in (folders or {f"{split}set*": {}}).items():
        for side in ("noisy", "clean"):
            if side not in sides:
                lacks = f"{side}_{name}_wav"
                raise FileNotFoundError(f"{root} has no {lacks}: it is no Voice Bank + DEMAND tree")
    return {name: (sides["noisy"], sides["clean"]) for name, sides in folders.items()}


def read_log(path: Path) -> dict[str, dict[str, Any]]:
    """Return utterance -> noise type and SNR of a log such as ``log_testset.txt``.

    Each line is an utterance, its noise and its ratio in dB: ``p232_001 bus 17.5``.

    Raises:
        DataError: If a line is something else; names the first ten.
    """
    facts: dict[str, dict[str, Any]] = {}
    problems = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            name, kind, ratio = words
            facts[Path(name).stem] = {"noise_type": kind, "snr_db": float(ratio)}
        except ValueError:
            what = f"must be an utterance, its noise and its SNR; got {line!r}"
            problems.append(Problem(number, words[0], what))
    if problems:
        raise DataError(str(path), problems)
    return facts


def _logged(root: Path, name: str, noisy: Path) -> dict[str, dict[str, Any]]:
    """Return what the log of a set, and of no other, says; warn of what it does not."""
    logs = [path for path in walk_files(root) if path.name == f"log_{name}.txt"]
    facts = read_log(logs[0]) if logs else {}
    lacking = [path.stem for path in find_audio(noisy) if path.stem not in facts]
    if lacking:
        where = logs[0].name if logs else f"no log_{name}.txt in {root}"
        message = "%s: noise type and SNR of %d utterances are not known, such as %s"
        _LOG.warning(message, where, len(lacking), lacking[0])
    return facts


def voicebank_pairs(root: str | Path, valid_speakers: Sequence[str] = VALID_SPEAKERS) -> Splits:
    """Return the mixtures of a Voice Bank + DEMAND tree as it is published.

    ``clean_trainset_28spk_wav``, ``noisy_trainset_28spk_wav`` (56spk; or both, which are trained on
    together), ``clean_testset_wav`` and ``noisy_testset_wav``; ``log_trainset_28spk.txt`` and
    ``log_testset.txt`` give noise and SNR where they are there.

    Args:
        root: Where these folders lie.
        valid_speakers: Speakers of the training set that are kept for validation.

    Raises:
        FileNotFoundError: If a folder is missing.
        DataError: If files cannot be paired, a validation speaker is not there, or the two sets
            share a speaker or a noise.
    """
    root = Path(root)
    pairs: Splits = {"train": [], "test": []}
    for split, items in pairs.items():
        for name, (noisy, clean) in _sets(root, split).items():
            facts = _logged(root, name, noisy)
            items += pair_folders(noisy, clean, PAIRINGS["voicebank"], facts=facts)
    for what in ("speaker", "noise_type"):
        sides = {split: {getattr(item, what) for item in items} for split, items in pairs.items()}
        refuse_shared(str(root), what, sides)
    speakers = {pair.speaker for pair in pairs["train"]}
    missing = [name for name in valid_speakers if name not in speakers]
    if missing or not speakers - set(valid_speakers):
        names = ", ".join(sorted(str(speaker) for speaker in speakers))
        what = f"validation speakers must be some of {names}; got {', '.join(valid_speakers)}"
        raise DataError(str(root), [Problem(0, "valid", what)])
    kinds = {pair.noise_type for pair in pairs["train"] if pair.noise_type}
    splits: Splits = {"train": [], "valid": [], "test": []}
    for pair in pairs["train"]:
        split = "valid" if pair.speaker in valid_speakers else "train"
        splits[split].append(replace(pair, seen=True if kinds else None))
    for pair in pairs["test"]:
        seen = pair.noise_type in kinds if kinds and pair.noise_type else False
        splits["test"].append(replace(pair, seen=seen))
    return splits
