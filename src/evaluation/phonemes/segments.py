"""Table of a test set's phones, with utterances without alignment and labels in no class.

<testset>/phonemes/
    segments.csv       a row per phone: utterance, phone, class, start, end, duration, neighbours
    alignments.csv     a row per utterance: source, fit of the transcript, doubts
    unmapped.csv       labels that are in no class, their count and duration
    failures.csv       utterances without an alignment, and the reasons
    <Sample_ID>.TextGrid  for Praat
    options.json       sources of the alignments
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from evaluation.testset.testset import TestSet
from evaluation.work.parallel import run_each
from evaluation.work.tables import read_table, write_table

from .alignment import Alignment
from .classes import SILENCE, UNMAPPED, PhoneClasses, read_classes
from .options import FOLDER, AlignmentOptions, remember_options
from .sources import find_alignment, tasks_of
from .textgrid import write_textgrid

__all__ = ["ClassedPhone", "Segments", "read_segments", "retrieve"]

logger = logging.getLogger(__name__)

#: Alignments that take as long as the start of a process.
PER_PROCESS = 50
#: Label of a pause or the edge of the audio beside a phone.
PAUSE = "sil"


class ClassedPhone(NamedTuple):
    """A phone with its class, empty where that is not known; times in seconds."""

    start: float
    end: float
    label: str
    phone_class: str


@dataclass(frozen=True)
class Segments:
    """The phones of a test set.

    Attributes:
        table: A row per phone, in the order of samples and time; columns as in ``_rows``.
        classes: The table of classes.
        failures: ``Sample_ID`` -> the reason why it has no phones.
    """

    table: pd.DataFrame
    classes: PhoneClasses
    failures: Mapping[str, str]

    def of_class(self, name: str) -> pd.DataFrame:
        """Return the rows of a class or group."""
        return self.table[self.table["class"].isin(self.classes.members(name))]


def retrieve(testset: TestSet, options: AlignmentOptions, *, jobs: int = 1) -> Segments:
    """Find the phones of every sample and write the files above; alignments are made once.

    Raises:
        FileNotFoundError: There is no sample.
        ValueError: No sample could be aligned, or a table is wrong; then files of an earlier run
            stay as they are.
    """
    classes = read_classes(options.classes)
    tasks = tasks_of(testset, options)
    # A process starts in the time of some dozen alignments, or of any number from the cache.
    outcomes = run_each(find_alignment, tasks, jobs=min(jobs, 1 + len(tasks) // PER_PROCESS))
    alignments: dict[str, Alignment] = {}
    failures: dict[str, str] = {}
    for outcome in tqdm(outcomes, "alignment", len(tasks), unit="sample", disable=None):
        sample = outcome.item.sample
        if outcome.result is None:
            failures[sample] = re.sub(r"^(Value|FileNotFound)Error: ", "", outcome.error)
        else:
            alignments[sample] = outcome.result
    if not alignments:
        reasons = "; ".join(f"{why} ({n})" for why, n in Counter(failures.values()).most_common(3))
        raise ValueError(f"no sample of {testset.folder} could be aligned: {reasons}")
    samples = testset.samples()
    alphabets = _alphabets(alignments.values(), classes, options.alphabet)
    rows = [
        row
        for facts in samples.to_dict("records")
        if (alignment := alignments.get(facts["Sample_ID"])) is not None
        for row in _rows(facts, alignment, classes, alphabets[alignment.source])
    ]
    if not rows:
        raise ValueError(f"no sample of {testset.folder} has a phone within its audio")
    segments = Segments(pd.DataFrame(rows), classes, failures)
    _write(testset, segments, alignments, samples)
    remember_options(options, testset)
    return segments


def _alphabets(
    alignments: Iterable[Alignment], classes: PhoneClasses, alphabet: str
) -> dict[str, str]:
    """Return the alphabet of each source of alignments, by the labels of all utterances."""
    labels: dict[str, set[str]] = {}
    for alignment in alignments:
        labels.setdefault(alignment.source, set()).update(phone.label for phone in alignment.phones)
    alphabets = {"aligner": "arpabet"}  # it writes no other
    for source in labels.keys() - alphabets:
        alphabets[source] = classes.alphabet_of(labels[source]) if alphabet == "auto" else alphabet
    return alphabets


def _rows(
    facts: Mapping[str, object], alignment: Alignment, classes: PhoneClasses, alphabet: str
) -> Iterator[dict[str, object]]:
    """Yield the rows of one utterance; pauses are neighbours only."""
    labels = [phone.label.strip() for phone in alignment.phones]
    of_class = [classes.classify(label, alphabet) for label in labels]
    names = [
        PAUSE if name == SILENCE else label for label, name in zip(labels, of_class, strict=True)
    ]
    beside = [PAUSE, *names, PAUSE]  # shifted by one: the label before phone i is beside[i]
    for at, phone in enumerate(alignment.phones):
        if of_class[at] != SILENCE:
            yield {
                "Sample_ID": facts["Sample_ID"],
                "id": facts["id"],
                "speaker": facts.get("speaker"),
                "phone": names[at],
                "class": of_class[at],
                "start_s": round(phone.start, 6),
                "end_s": round(phone.end, 6),
                "duration_s": round(phone.end - phone.start, 6),
                "preceding": beside[at],
                "following": beside[at + 2],
            }


def _write(
    testset: TestSet,
    segments: Segments,
    alignments: Mapping[str, Alignment],
    samples: pd.DataFrame,
) -> None:
    """Write everything, and log counts and warnings."""
    folder = testset.folder / FOLDER
    counts = segments.table["Sample_ID"].value_counts()
    about, failed = [], []
    for sample, name in zip(samples["Sample_ID"], samples["id"], strict=True):
        alignment = alignments.get(sample)
        facts = {"Sample_ID": sample, "id": name}
        if alignment is None:
            failed.append({**facts, "Reason": segments.failures[sample]})
            continue
        write_textgrid(folder / f"{sample}.TextGrid", alignment, alignment.phones[-1].end)
        facts |= {"source": alignment.source, "phones": counts.get(sample, 0)}
        about.append({**facts, "fit": alignment.fit, "notes": "; ".join(alignment.notes)})
    lost = segments.table[segments.table["class"] == UNMAPPED].groupby("phone")["duration_s"]
    unmapped = lost.agg(count="size", duration_s="sum").reset_index()
    unmapped = unmapped.sort_values("count", ascending=False, ignore_index=True)
    for file, frame in (
        ("segments.csv", segments.table),
        ("alignments.csv", pd.DataFrame(about)),
        ("unmapped.csv", unmapped),
        ("failures.csv", pd.DataFrame(failed, columns=["Sample_ID", "id", "Reason"])),
    ):
        write_table(folder / file, frame)
    sources = Counter(alignment.source for alignment in alignments.values())
    shown = ", ".join(f"{n} by {source}" for source, n in sources.items())
    logger.info("%s: %d phones; utterances: %s", folder, len(segments.table), shown)
    doubtful = sum(bool(alignment.notes) for alignment in alignments.values())
    if doubtful:
        logger.warning("%d utterance(s) with doubts: see 'notes' in alignments.csv", doubtful)
    if failed:
        most = Counter(segments.failures.values()).most_common(1)[0][0]
        logger.warning(
            "%d utterance(s) without phones (%s, ...): see failures.csv", len(failed), most
        )
    if len(unmapped):
        labels = ", ".join(f"{row.phone} ({row.count})" for row in unmapped.itertuples(index=False))
        logger.warning("labels in no class, not counted: %s; see unmapped.csv", labels)


def read_segments(testset: TestSet) -> dict[str, tuple[ClassedPhone, ...]]:
    """Return the phones of each id from the tables of ``ph_eval``; empty if it did not run."""
    path = testset.metrics / "phoneme_segments.csv"
    if not path.is_file():
        return {}
    columns = ["start_s", "end_s", "phone", "class"]
    return {
        str(name): tuple(map(ClassedPhone._make, part[columns].itertuples(False, None)))
        for name, part in read_table(path).groupby("id", sort=False)
    }
