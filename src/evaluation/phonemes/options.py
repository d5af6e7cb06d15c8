"""What the two programs of phones share: which phones, where alignments come from."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.testset.experiment import TestSet
from evaluation.work.cli import add_system_options, available_cpus, positive_int

from .classes import ALPHABETS, PhoneClasses
from .segments import FOLDER, OPTIONS_FILE
from .sources import SOURCES, Options
from .textgrid import PHONE_TIER

__all__ = ["add_phone_options", "named_classes", "options_of"]

# Option -> field of `Options`.
_FIELDS = {
    "source": "source",
    "textgrids": "textgrids",
    "tier": "tier",
    "transcripts": "transcripts",
    "lexicon": "lexicon",
    "alphabet": "alphabet",
    "classes": "classes",
    "alignment_cache": "cache",
}


def add_phone_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both programs have."""
    add_system_options(parser, "--loss")
    parser.add_argument(
        "--phoneme",
        nargs="+",
        default=["all"],
        metavar="CLASS",
        help="classes and groups, as nasal, vowel; all: every one (default: all)",
    )
    parser.add_argument(
        "--jobs", type=positive_int, default=available_cpus(), help="processes (default: all cores)"
    )
    group = parser.add_argument_group(
        "alignments", "what is not given is as in the last run of either program on the test set"
    )
    group.add_argument(
        "--source",
        choices=SOURCES,
        help="TextGrids, phone times of the manifest, or the aligner with the manifest's "
        "transcripts; auto: of these the first that an utterance has (default: auto)",
    )
    group.add_argument(
        "--textgrids", metavar="FOLDER", help="<id>.TextGrid or <Sample_ID>.TextGrid per utterance"
    )
    group.add_argument(
        "--tier", metavar="REGEX", help=f"name of the tier of phones (default: {PHONE_TIER})"
    )
    group.add_argument("--transcripts", metavar="CSV", help="columns id, transcript")
    group.add_argument("--lexicon", metavar="FILE", help="pronunciations: word, ARPAbet phones")
    group.add_argument("--alphabet", choices=ALPHABETS, help="of the labels (default: auto)")
    group.add_argument(
        "--classes", metavar="JSON", help="table of classes (default: configs/phoneme-classes.json)"
    )
    group.add_argument(
        "--alignment_cache", metavar="FOLDER", help="where the aligner keeps results"
    )


def options_of(args: argparse.Namespace, testset: TestSet) -> Options:
    """Return the options of the last run, changed by those that are given.

    Raises:
        FileNotFoundError: a file they name is missing.
    """
    given = {
        field: getattr(args, option)
        for option, field in _FIELDS.items()
        if getattr(args, option) is not None
    }
    return _completed(testset, given)


def _completed(testset: TestSet, given: Mapping[str, object]) -> Options:
    """Return the options of the last retrieval, changed by those that are given.

    Args:
        testset: the samples.
        given: field of `Options` -> value.

    Raises:
        FileNotFoundError: a file or folder they name is not there (any more).
        ValueError: an option is wrong, or what was kept is damaged.
    """
    file = testset.folder / FOLDER / OPTIONS_FILE
    kept: dict[str, Any] = {}
    if file.is_file():
        try:
            kept = {**json.loads(file.read_text(encoding="utf-8"))}
        except (TypeError, ValueError) as error:
            raise ValueError(f"{file} is damaged, delete it: {error}") from None
        unknown = sorted(kept.keys() - {field.name for field in dataclasses.fields(Options)})
        if unknown:
            raise ValueError(f"{file} is damaged, delete it: unknown option {unknown[0]!r}")
    try:
        return Options(**{**kept, **given})
    except FileNotFoundError as error:
        hint = f"; options of earlier runs are in {file}: name another, or delete that file"
        raise FileNotFoundError(f"{error}{hint if kept else ''}") from None


def named_classes(names: Sequence[str], classes: PhoneClasses) -> tuple[str, ...]:
    """Return the classes and groups that `--phoneme` names, each once, in the table's order.

    Raises:
        ValueError: one is not known.
    """
    if "all" in names:
        return classes.names
    for name in names:
        classes.members(name)
    return tuple(name for name in classes.names if name in names)
