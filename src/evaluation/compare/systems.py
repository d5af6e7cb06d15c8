"""Systems to compare, and the check that they were given the same test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.testset.experiment import TestSet, open_system
from evaluation.work.ledger import content_digest
from seloss.data.formats.audio import read_samples

__all__ = ["System", "check_same_testset", "common_ids", "parse_system"]

# What a test set consists of; the estimate is what the systems differ in.
GIVEN = ("speech", "mixture")
# Two decoders of one file agree to this; another recording does not.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class System:
    """System to compare: its name, and tag and test set of each seed of its configuration."""

    name: str
    testsets: tuple[tuple[str, TestSet], ...]


def parse_system(text: str, testset: str | None = None, root: str | Path | None = None) -> System:
    """Open `TAG`, a folder, or `NAME=TAG,TAG,...`.

    Raises:
        FileNotFoundError: there is no such experiment or folder.
        ValueError: the name or a tag is missing, or a tag comes twice.
    """
    name, equals, tags = text.partition("=")
    if not equals or Path(text).exists():
        name, tags = Path(text).name or text, text
        names = [text]
    else:
        names = tags.split(",")
    if not name or not all(names) or len(set(names)) < len(names):
        raise ValueError(
            f"expected TAG, a folder or NAME=TAG,TAG,... of different tags; got {text!r}"
        )
    testsets = tuple((tag, open_system(tag, testset=testset, root=root)) for tag in names)
    notices = dict.fromkeys(opened.notice for _, opened in testsets if opened.notice)
    return System(f"{name} ({'; '.join(notices)})" if notices else name, testsets)


def common_ids(systems: Sequence[System]) -> set[str]:
    """Return the ids that every test set has."""
    sets = [set(testset.samples()["id"]) for system in systems for _, testset in system.testsets]
    return set.intersection(*sets)


def check_same_testset(systems: Sequence[System], *, ids_too: bool = True) -> None:
    """Refuse systems that were evaluated on different test sets.

    Args:
        systems: to compare, each with the first.
        ids_too: whether every system must have every sample; if not, the samples that two systems
            share must still have the same audio.

    Raises:
        ValueError: ids, lengths or the audio of speech or mixture differ; the message says which.
    """
    flat = [pair for system in systems for pair in system.testsets]
    (first, reference), *others = flat
    ids, ours = _ids(reference, first), reference.signals()
    for tag, testset in others:
        theirs, signals = _ids(testset, tag), testset.signals()
        if ids_too and set(ids) != set(theirs):
            raise ValueError(_differing_ids(first, set(ids), tag, set(theirs)))
        shared = [name for name in ids if name in theirs]
        if not shared:
            raise ValueError(
                f"{first} and {tag} share no sample: were they given the same manifest?"
            )
        for name in shared:
            for signal in GIVEN:
                reason = _differ(ours[ids[name]].get(signal), signals[theirs[name]].get(signal))
                if reason:
                    raise ValueError(
                        f"{first} and {tag} were not given the same test set: {signal} of {name!r} "
                        f"{reason}"
                    )


def _ids(testset: TestSet, tag: str) -> dict[str, str]:
    samples = testset.samples()
    if samples.empty:
        raise ValueError(f"{tag}: {testset.folder} holds no samples")
    return dict(zip(samples["id"], samples["Sample_ID"], strict=True))


def _differing_ids(first: str, ours: set[str], second: str, theirs: set[str]) -> str:
    parts = [
        f"only {tag} has {', '.join(sorted(extra)[:5])}{' …' if len(extra) > 5 else ''}"
        f" ({len(extra)} in all)"
        for tag, extra in ((first, ours - theirs), (second, theirs - ours))
        if extra
    ]
    return (
        f"{first} and {second} were not given the same test set: {'; '.join(parts)}; "
        "--common compares what all have"
    )


def _differ(first: Path | None, second: Path | None) -> str:
    """Return how two files differ as audio, "" if they do not (or one of them does not exist)."""
    if first is None or second is None or not (first.is_file() and second.is_file()):
        return ""
    if first.samefile(second) or content_digest(first) == content_digest(second):
        return ""
    (ours, rate), (theirs, other_rate) = (read_samples(p, dtype="float32") for p in (first, second))
    if rate != other_rate:
        return f"is at {rate} and at {other_rate} Hz ({first}, {second})"
    if ours.shape != theirs.shape:
        return f"has {len(ours)} and {len(theirs)} samples ({first}, {second})"
    gap = float(np.abs(ours - theirs).max(initial=0.0))
    # "not gap <=": NaN in one of the files is a difference.
    return f"differs by up to {gap:.2g} ({first}, {second})" if not gap <= TOLERANCE else ""
