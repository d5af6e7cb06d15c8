"""Word and phone error rates of a recogniser on clean, noisy and enhanced speech.

    python -m evaluation.recognise --experiment_tag XP1
    python -m evaluation.recognise --estimates FOLDER --input_json test.json
    python -m evaluation.recognise --experiment_tag XP1 --recogniser whisper:models/whisper-small

needs a transcript of each sample (the manifest's `transcript`, or --transcripts) and writes, in the
test set's folder metrics/,

    recognition.csv            a row per signal: errors of all utterances / words of all utterances
    recognition_by_sample.csv  a row per sample: rates, counts, reference and recognised text
    confusion_classes.csv      phone classes: said, heard, count; and confusion_classes.png
    confusion_phones.csv       the same of single phones

Texts are normalised (case, punctuation, digits, titles; see evaluation.testset.spoken_text). Phones
are those of the words: reference and recognised text go through the same pronouncing dictionary
(soundswallower's, American English; first pronunciation), so a phone error is a word taken for
another, weighted by how much it differs. Signals are recognised at one level (-20 dBFS RMS).
Transcripts are kept: a second run processes only new audio.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from evaluation.phonemes.classes import read_classes
from evaluation.phonemes.pronunciation import read_dictionary
from evaluation.plots.drawing import figure_style, save_figure
from evaluation.testset.options import add_system_options, systems_of
from evaluation.testset.spoken_text import read_transcripts
from evaluation.testset.testset import TestSet
from evaluation.work.cli import available_cpus, positive_int, program
from evaluation.work.tables import write_table

from .errors import SIDES, Recognition, confusions, recognition_of, sample_table, totals
from .plot import confusion_figure
from .recognisers import LARGE, RECOGNISERS
from .transcripts import transcribe

__all__ = ["main", "recognise"]

logger = logging.getLogger(__name__)

STORE = ".transcripts.jsonl"


def recognise(
    testset: TestSet,
    recogniser: str = "moonshine",
    *,
    sides: Sequence[str] = tuple(SIDES),
    transcripts: Path | None = None,
    lexicon: Path | None = None,
    classes: Path | None = None,
    store: Path | None = None,
    jobs: int = 1,
) -> pd.DataFrame:
    """Transcribe a test set and write its tables; return the totals.

    Args:
        testset: With transcripts in its samples.csv, or none.
        recogniser: See ``words.recognisers``.
        sides: Some of clean, in (the mixture), out (the estimate).
        transcripts: A table that replaces those of samples.csv.
        lexicon: Pronunciations that go before the dictionary's; see ``phonemes.pronunciation``.
        classes: Table of phone classes; see ``phonemes.classes``.
        store: File of the recogniser's transcripts; by default in the folder of metrics.
        jobs: Number of processes.

    Raises:
        FileNotFoundError: There is no sample.
        ValueError: No sample has a transcript.
    """
    samples = _with_transcripts(testset, transcripts)
    references = dict(zip(samples["Sample_ID"], samples["transcript"], strict=True))
    dictionary, phone_classes = read_dictionary(lexicon), read_classes(classes)
    signals = testset.signals()
    paths = {
        (side, sample): signals[sample].get(SIDES[side][0], Path(f"{SIDES[side][0]}.wav"))
        for side in sides
        for sample in references
    }
    requested = [path for (_, sample), path in paths.items() if references[sample] is not None]
    texts = transcribe(requested, recogniser, store or testset.metrics / STORE, jobs=jobs)
    recognised: dict[str, dict[str, Recognition]] = {side: {} for side in sides}
    for (side, sample), path in paths.items():
        recognised[side][sample] = recognition_of(references[sample], texts.get(path), dictionary)
    result = totals(recognised, recogniser)
    by_sample = sample_table(samples, recognised)
    if not result["utterances"].any():
        reason = next(iter(by_sample["reason"]))
        logger.warning("%s: nothing was recognised (%s)", testset.folder, reason)
        return result  # tables of an earlier run stay
    by_class = confusions(recognised, phone_classes)
    tables = {"recognition_by_sample": by_sample, "confusion_phones": confusions(recognised)}
    for name, table in (tables | {"confusion_classes": by_class, "recognition": result}).items():
        write_table(testset.metrics / f"{name}.csv", table)
    if not by_class.empty:
        with figure_style():
            figure = confusion_figure(by_class, f"{testset.system}, {recogniser}")
            save_figure(figure, testset.metrics / "confusion_classes.png", by_class)
    return result


def _with_transcripts(testset: TestSet, transcripts: Path | None) -> pd.DataFrame:
    """Return the samples with a column transcript, None where there is none."""
    samples = testset.samples()
    if samples.empty:
        raise FileNotFoundError(f"{testset.folder} holds no samples: run evaluation.infer first")
    if transcripts is not None:
        texts = read_transcripts(transcripts, list(samples["id"]))
        samples = samples.assign(transcript=samples["id"].map(texts))
    if "transcript" not in samples or samples["transcript"].isna().all():
        raise ValueError(
            f"no sample in {testset.samples_file} has a transcript: add `transcript` to the "
            "manifest and run evaluation.infer again, or give --transcripts FILE"
        )
    column = samples["transcript"].astype(object)
    return samples.assign(transcript=column.where(column.notna(), None))


def _add_options(parser: argparse.ArgumentParser) -> None:
    names = [f"{name}:PATH" if name in LARGE else name for name in RECOGNISERS.names()]
    add = parser.add_argument
    add(
        "--recogniser",
        default="moonshine",
        metavar="NAME",
        help=f"{', '.join(names)} (default: %(default)s); PATH: a folder, or a name on the hub",
    )
    add(
        "--signals",
        nargs="+",
        choices=tuple(SIDES),
        default=list(SIDES),
        metavar="SIDE",
        help=f"out of {', '.join(SIDES)} (default: all)",
    )
    add("--transcripts", type=Path, metavar="CSV", help="columns id, transcript")
    add("--lexicon", metavar="FILE", help="pronunciations: word, ARPAbet phones")
    add("--classes", type=Path, metavar="JSON", help="default: configs/phoneme-classes.json")
    add(
        "--cache",
        type=Path,
        metavar="FILE",
        help="the recogniser's transcripts; to share among experiments",
    )
    add(
        "--jobs",
        type=positive_int,
        metavar="N",
        help="processes (default: all cores; 1 for recognisers that fill them by themselves)",
    )
    add_system_options(parser)


def _work(args: argparse.Namespace) -> int:
    large = args.recogniser.partition(":")[0] in LARGE
    recognised = 0
    for testset in systems_of(args):
        result = recognise(
            testset,
            args.recogniser,
            sides=args.signals,
            transcripts=args.transcripts,
            lexicon=args.lexicon,
            classes=args.classes,
            store=args.cache,
            jobs=args.jobs or (1 if large else available_cpus()),
        )
        recognised += int(result["utterances"].sum())
        print(f"{testset.system} / {testset.name}")
        print(result.drop(columns="recogniser").to_string(index=False, float_format="%.1f"))
        failed = int(result["failed"].max())
        if failed and result["utterances"].any():
            table = testset.metrics / "recognition_by_sample.csv"
            logger.warning(
                "%s: up to %d without a rate; reasons in %s", testset.folder, failed, table
            )
    if not recognised:
        raise RuntimeError("nothing could be recognised; tables of an earlier run stay")
    return 0


main = program("recognise", __doc__, _add_options, _work)
