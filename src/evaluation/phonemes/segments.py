"""The phones of a test set as one table, with what could not be aligned and what is in no class.

<testset>/phonemes/
    segments.csv       a row per phone: utterance, phone, class, start, end, duration, neighbours
    alignments.csv     a row per utterance: source, fit of the transcript, what to doubt
    unmapped.csv       labels that are in no class, how often, how long
    failures.csv       utterances without an alignment, and why
    <Sample_ID>.TextGrid  to look at in Praat
    options.json       where the alignments came from
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from asteroid.utils.files import atomic_path, write_text
from evaluation.testset.experiment import TestSet
from evaluation.work.parallel import run_each

from .alignment import Alignment
from .classes import SILENCE, UNMAPPED, PhoneClasses, read_classes
from .sources import Options, find_alignment, tasks_of
from .textgrid import write_textgrid

__all__ = ["FOLDER", "OPTIONS_FILE", "Segments", "retrieve"]

logger = logging.getLogger(__name__)

FOLDER = "phonemes"
OPTIONS_FILE = "options.json"
PER_PROCESS = 50
#: What stands for a pause or the edge of the audio beside a phone.
PAUSE = "sil"
COLUMNS = [
    "Sample_ID",
    "id",
    "speaker",
    "phone",
    "class",
    "start_s",
    "end_s",
    "duration_s",
    "preceding",
    "following",
]


@dataclass(frozen=True)
class Segments:
    """What was found.

    Attributes:
        table: a row per phone, in the order of samples and time; the columns are `COLUMNS`.
        classes: the table of classes.
        failures: `Sample_ID` -> why it has no phones.
    """

    table: pd.DataFrame
    classes: PhoneClasses
    failures: Mapping[str, str]


def retrieve(
    testset: TestSet, options: Options, *, jobs: int = 1, progress: bool | None = None
) -> Segments:
    """Find the phones of every sample and write the files above; alignments are made once.

    Args:
        testset: the samples.
        options: where alignments come from.
        jobs: number of processes.
        progress: show a bar; None: on a terminal.

    Raises:
        FileNotFoundError: there is no sample.
        ValueError: no sample could be aligned, or a table is wrong.
    """
    classes = read_classes(options.classes)
    tasks = tasks_of(testset, options)
    # a process starts in the time of some dozen alignments, or of any number that are kept
    outcomes = run_each(find_alignment, tasks, jobs=min(jobs, 1 + len(tasks) // PER_PROCESS))
    found: dict[str, Alignment] = {}
    failures: dict[str, str] = {}
    hidden = None if progress is None else not progress
    for outcome in tqdm(outcomes, "alignment", len(tasks), unit="sample", disable=hidden):
        if outcome.result is None:
            failures[outcome.item.sample] = re.sub(
                r"^(Value|FileNotFound)Error: ", "", outcome.error
            )
        else:
            found[outcome.item.sample] = outcome.result
    samples = testset.samples()
    alphabets = _alphabets(found.values(), classes, options.alphabet)
    rows = []
    for known in samples.to_dict("records"):
        if known["Sample_ID"] in found:
            alignment = found[known["Sample_ID"]]
            rows += _rows(known, alignment, classes, alphabets[alignment.source])
    segments = Segments(pd.DataFrame(rows, columns=COLUMNS), classes, failures)
    _write(testset, segments, found, options, samples)
    if not found:
        reasons = "; ".join(f"{why} ({n})" for why, n in Counter(failures.values()).most_common(3))
        raise ValueError(f"no sample of {testset.folder} could be aligned: {reasons}")
    return segments


def _alphabets(found: Iterable[Alignment], classes: PhoneClasses, alphabet: str) -> dict[str, str]:
    """Return the alphabet of each source of alignments, by the labels of all utterances."""
    labels: dict[str, set[str]] = {}
    for alignment in found:
        labels.setdefault(alignment.source, set()).update(phone.label for phone in alignment.phones)
    return {
        source: classes.alphabet_of(used) if alphabet == "auto" else alphabet
        for source, used in labels.items()
    }


def _rows(
    known: Mapping[str, object], alignment: Alignment, classes: PhoneClasses, alphabet: str
) -> list[dict[str, object]]:
    """Return the rows of one utterance; pauses are neighbours only."""
    labels = [phone.label.strip() for phone in alignment.phones]
    kinds = [classes.classify(label, alphabet) for label in labels]
    names = [PAUSE if kind == SILENCE else label for label, kind in zip(labels, kinds, strict=True)]
    rows: list[dict[str, object]] = []
    for at, (phone, kind) in enumerate(zip(alignment.phones, kinds, strict=True)):
        if kind == SILENCE:
            continue
        rows.append(
            {
                "Sample_ID": known["Sample_ID"],
                "id": known["id"],
                "speaker": known.get("speaker"),
                "phone": names[at],
                "class": kind,
                "start_s": round(phone.start, 6),
                "end_s": round(phone.end, 6),
                "duration_s": round(phone.end - phone.start, 6),
                "preceding": names[at - 1] if at else PAUSE,
                "following": names[at + 1] if at + 1 < len(names) else PAUSE,
            }
        )
    return rows


def _write(
    testset: TestSet,
    segments: Segments,
    found: Mapping[str, Alignment],
    options: Options,
    samples: pd.DataFrame,
) -> None:
    """Write everything, and say in the log what a user must know."""
    folder = testset.folder / FOLDER
    ids = dict(zip(samples["Sample_ID"], samples["id"], strict=True))
    for sample, alignment in found.items():
        write_textgrid(folder / f"{sample}.TextGrid", alignment, alignment.phones[-1].end)
    order = [sample for sample in ids if sample in found]
    about = [
        {
            "Sample_ID": sample,
            "id": ids[sample],
            "source": found[sample].source,
            "phones": int((segments.table["Sample_ID"] == sample).sum()),
            "fit": found[sample].fit,
            "notes": "; ".join(found[sample].notes),
        }
        for sample in order
    ]
    failed = [
        {"Sample_ID": sample, "id": ids[sample], "Reason": segments.failures[sample]}
        for sample in ids
        if sample in segments.failures
    ]
    unmapped = _unmapped(segments.table)
    for name, frame in (
        ("segments.csv", segments.table),
        ("alignments.csv", pd.DataFrame(about)),
        ("unmapped.csv", unmapped),
        ("failures.csv", pd.DataFrame(failed, columns=["Sample_ID", "id", "Reason"])),
    ):
        with atomic_path(folder / name) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
    if found:  # what failed is not what the next run is to go on with
        write_text(folder / OPTIONS_FILE, json.dumps(_absolute(options), indent=1) + "\n")
    _warn(folder, segments, found, unmapped)


def _unmapped(table: pd.DataFrame) -> pd.DataFrame:
    lost = table[table["class"] == UNMAPPED].groupby("phone")
    counted = lost["duration_s"].agg(["size", "sum"]).set_axis(["count", "duration_s"], axis=1)
    return counted.sort_values("count", ascending=False).reset_index()


def _absolute(options: Options) -> dict[str, object]:
    """Return the options so that they hold in another working folder."""
    fields = dataclasses.asdict(options)
    for name in ("textgrids", "transcripts", "lexicon", "classes", "cache"):
        if fields[name] is not None:
            fields[name] = str(Path(fields[name]).absolute())
    return fields


def _warn(
    folder: Path, segments: Segments, found: Mapping[str, Alignment], unmapped: pd.DataFrame
) -> None:
    sources = Counter(alignment.source for alignment in found.values())
    shown = ", ".join(f"{n} by {source}" for source, n in sources.items()) or "none"
    logger.info("%s: %d phones; utterances: %s", folder, len(segments.table), shown)
    doubtful = sum(bool(alignment.notes) for alignment in found.values())
    if doubtful:
        logger.warning("%d utterance(s) to look at: see 'notes' in alignments.csv", doubtful)
    if segments.failures:
        most = Counter(segments.failures.values()).most_common(1)[0][0]
        logger.warning(
            "%d utterance(s) without phones (%s, ...): see failures.csv",
            len(segments.failures),
            most,
        )
    if len(unmapped):
        labels = ", ".join(f"{row.phone} ({row.count})" for row in unmapped.itertuples(index=False))
        logger.warning("labels in no class, not counted: %s; see unmapped.csv", labels)
