"""Options of the phone programs: classes, and sources of alignments."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asteroid.utils.files import write_text
from evaluation.testset.options import add_system_options
from evaluation.testset.testset import TestSet
from evaluation.work.cli import available_cpus, positive_int

from .classes import ALPHABETS, PhoneClasses
from .textgrid import PHONE_TIER

__all__ = [
    "FOLDER",
    "SOURCES",
    "AlignmentOptions",
    "add_phone_options",
    "named_classes",
    "options_of",
    "remember_options",
]

#: Folder of a test set's phones.
FOLDER = "phonemes"
SOURCES = ("auto", "textgrid", "manifest", "aligner")
_REMEMBERED = "options.json"


@dataclass(frozen=True)
class AlignmentOptions:
    """Sources of alignments.

    Attributes:
        source: One of ``SOURCES``; auto: of the others the first that a sample has, in their order.
        textgrids: Folder of TextGrids, see ``sources.pair_textgrids``; without it, the files that
            the manifest names.
        tier: Regular expression for the tier of phones.
        transcripts: A table (CSV: id, transcript) instead of the manifest's transcripts.
        lexicon: Pronunciations for the aligner.
        alphabet: One of ``ALPHABETS``; auto: by the labels of each source.
        classes: Table of classes.
        cache: Folder of the aligner's results.
    """

    source: str = "auto"
    textgrids: str | None = None
    tier: str = PHONE_TIER
    transcripts: str | None = None
    lexicon: str | None = None
    alphabet: str = "auto"
    classes: str | None = None
    cache: str | None = None

    def __post_init__(self) -> None:
        """Check that the files exist, before any work."""
        if self.source not in SOURCES:
            raise ValueError(f"source must be one of {', '.join(SOURCES)}; got {self.source!r}")
        if self.textgrids is not None and not Path(self.textgrids).is_dir():
            raise FileNotFoundError(f"no folder of TextGrids {self.textgrids}")
        for file in (self.transcripts, self.lexicon, self.classes):
            if file is not None and not Path(file).is_file():
                raise FileNotFoundError(f"no file {file}")


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
        "alignments", "default: as in the last run of either program on the test set"
    )
    add = group.add_argument
    add(
        "--source",
        choices=SOURCES,
        help="TextGrids, phone times of the manifest, or the aligner with the manifest's "
        "transcripts; auto: of these the first that an utterance has (default: auto)",
    )
    add(
        "--textgrids",
        metavar="FOLDER",
        help="a TextGrid per utterance: <id>.TextGrid, or as the Montreal Forced Aligner writes "
        "them: SPEAKER/<recording of the speech>.TextGrid, <id>/speech.TextGrid, or .json",
    )
    add("--tier", metavar="REGEX", help=f"name of the tier of phones (default: {PHONE_TIER})")
    add("--transcripts", metavar="CSV", help="columns id, transcript")
    add("--lexicon", metavar="FILE", help="pronunciations: word, ARPAbet phones")
    add("--alphabet", choices=ALPHABETS, help="of the labels (default: auto)")
    add("--classes", metavar="JSON", help="default: configs/phoneme-classes.json")
    add("--alignment_cache", dest="cache", metavar="FOLDER", help="folder of aligner results")


def options_of(args: argparse.Namespace, testset: TestSet) -> AlignmentOptions:
    """Return the options of the last run, changed by those that are given.

    Raises:
        FileNotFoundError: A file or folder that they name does not exist (any more).
        ValueError: An option is wrong, or the file of the last run's options is damaged.
    """
    fields = [field.name for field in dataclasses.fields(AlignmentOptions)]
    given = {name: value for name in fields if (value := getattr(args, name)) is not None}
    file = testset.folder / FOLDER / _REMEMBERED
    remembered: dict[str, object] = {}
    if file.is_file():
        try:
            remembered = {**json.loads(file.read_text(encoding="utf-8"))}
        except (TypeError, ValueError) as error:
            raise ValueError(f"{file} is damaged, delete it: {error}") from None
        if unknown := sorted(remembered.keys() - set(fields)):
            raise ValueError(f"{file} is damaged, delete it: unknown option {unknown[0]!r}")
    try:
        return AlignmentOptions(**{**remembered, **given})  # type: ignore[arg-type]
    except FileNotFoundError as error:
        hint = f"; options of earlier runs are in {file}: give another, or delete that file"
        raise FileNotFoundError(f"{error}{hint if remembered else ''}") from None


def remember_options(options: AlignmentOptions, testset: TestSet) -> None:
    """Keep the options for the next run, so that they hold in another working folder."""
    fields = dataclasses.asdict(options)
    for name in ("textgrids", "transcripts", "lexicon", "classes", "cache"):
        if fields[name] is not None:
            fields[name] = str(Path(fields[name]).absolute())
    write_text(testset.folder / FOLDER / _REMEMBERED, json.dumps(fields, indent=1) + "\n")


def named_classes(names: Sequence[str], classes: PhoneClasses) -> tuple[str, ...]:
    """Return the classes and groups that ``--phoneme`` names, each once, in the table's order.

    Raises:
        ValueError: One is not known.
    """
    if "all" in names:
        return classes.names
    for name in names:
        classes.members(name)
    return tuple(name for name in classes.names if name in names)
