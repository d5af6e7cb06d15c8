"""Let a recogniser listen: word and phone error rates of clean, noisy and enhanced speech.

    python -m evaluation.recognise --experiment_tag XP1
    python -m evaluation.recognise --estimates FOLDER --input_json test.json
    python -m evaluation.recognise --experiment_tag XP1 --recogniser whisper:models/whisper-small

needs what is said in each sample (the manifest's `transcript`, or --transcripts) and writes, in the
test set's folder metrics/,

    recognition.csv            a row per signal: errors of all utterances / words of all utterances
    recognition_by_sample.csv  a row per sample: rates, counts, what was said and heard
    confusion_classes.csv      phone classes: said, heard, count; and confusion_classes.png
    confusion_phones.csv       the same of single phones

Texts are normalised (case, punctuation, digits, titles; see evaluation.testset.spoken_text). Phones
are those of the words: both what was said and what was heard go through the same pronouncing
dictionary (soundswallower's, American English; first pronunciation), so a phone error is a word
taken for another, weighted by how much it differs. Signals are heard at one level (-20 dBFS RMS).
What was heard is kept: a second run listens only to what is new.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from asteroid.utils.files import atomic_path
from evaluation.phonemes.classes import read_classes
from evaluation.plots.style import figure_style, save_figure
from evaluation.testset.testset import TestSet
from evaluation.work.cli import add_system_options, available_cpus, positive_int, systems_of
from seloss.program import run_command

from .plot import confusion_figure
from .pronunciation import read_dictionary
from .recognisers import LARGE, RECOGNISERS
from .tables import SIDES, Judged, confusions, judge, sample_table, totals
from .transcripts import hear_all

__all__ = ["main", "recognise"]

logger = logging.getLogger(__name__)

STORE = ".transcripts.jsonl"


def recognise(
    testset: TestSet,
    recogniser: str = "moonshine",
    *,
    sides: Sequence[str] = tuple(SIDES),
    transcripts: Mapping[str, str] | None = None,
    lexicon: Path | None = None,
    classes: Path | None = None,
    store: Path | None = None,
    jobs: int = 1,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Listen to a test set and write its tables; return the totals.

    Args:
        testset: with transcripts in its samples.csv, or none.
        recogniser: see `recognition.recognisers`.
        sides: which signals, out of clean, in (the mixture), out (the estimate).
        transcripts: by id, in place of those of samples.csv.
        lexicon: pronunciations beside the dictionary's; see `recognition.pronunciation`.
        classes: table of phone classes; see `phonemes.classes`.
        store: file of what was heard; by default in the folder of metrics.
        jobs: number of processes.
        progress: show a bar; None: on a terminal.

    Raises:
        FileNotFoundError: there is no sample.
        ValueError: nothing is known of what is said in any of them.
    """
    samples = testset.samples()
    if samples.empty:
        raise FileNotFoundError(f"{testset.folder} holds no samples: run evaluation.infer first")
    if transcripts is not None:
        samples = samples.assign(transcript=samples["id"].map(dict(transcripts)))
    said = dict(zip(samples["Sample_ID"], samples.get("transcript", []), strict=False))
    said = {sample: text for sample, text in said.items() if isinstance(text, str)}
    if not said:
        raise ValueError(
            f"no transcript is known of any sample in {testset.samples_file}: give `transcript` in "
            "the manifest and run evaluation.infer again, or --transcripts FILE"
        )
    pronounced, table = read_dictionary(lexicon), read_classes(classes)
    signals = testset.signals()
    paths = {
        (side, sample): signals[sample].get(SIDES[side][0], Path(f"{SIDES[side][0]}.wav"))
        for side in sides
        for sample in samples["Sample_ID"]
    }
    wanted = [path for (_, sample), path in paths.items() if sample in said]
    heard = hear_all(
        wanted, recogniser, store or testset.metrics / STORE, jobs=jobs, progress=progress
    )
    judged: dict[str, dict[str, Judged]] = {side: {} for side in sides}
    for (side, sample), path in paths.items():
        text = said.get(sample)
        nothing = Judged(None, None, reason="no transcript")
        judged[side][sample] = judge(text, heard[path], pronounced) if text else nothing
    result = totals(judged, recogniser)
    _write(
        testset.metrics,
        {
            "recognition_by_sample.csv": sample_table(samples, judged),
            "confusion_phones.csv": confusions(judged),
            "recognition.csv": result,
        },
    )
    _write_confusions(testset.metrics, confusions(judged, table), f"{testset.system}, {recogniser}")
    return result


def _write(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    for name, table in tables.items():
        with atomic_path(folder / name) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")


def _write_confusions(folder: Path, table: pd.DataFrame, title: str) -> None:
    if table.empty:
        _write(folder, {"confusion_classes.csv": table})
        return
    with figure_style():
        save_figure(confusion_figure(table, title), folder / "confusion_classes.png", table)


def _read_transcripts(path: Path) -> dict[str, str]:
    """Read a table with the columns id and transcript.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is missing.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no table of transcripts {path}")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if lacking := {"id", "transcript"} - set(table):
        raise ValueError(f"{path} lacks the column {min(lacking)!r}; it has {', '.join(table)}")
    return dict(zip(table["id"], table["transcript"], strict=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recognise", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [f"{name}:PATH" if name in LARGE else name for name in RECOGNISERS.names()]
    add = parser.add_argument
    add(
        "--recogniser",
        default="moonshine",
        metavar="NAME",
        help=f"{', '.join(known)} (default: %(default)s); PATH: a folder, or a name on the hub",
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
    add("--cache", type=Path, metavar="FILE", help="what was heard; to share among experiments")
    add(
        "--jobs",
        type=positive_int,
        metavar="N",
        help="processes (default: all cores; 1 for recognisers that fill them by themselves)",
    )
    add_system_options(parser)
    return parser


def _work(args: argparse.Namespace) -> int:
    large = args.recogniser.partition(":")[0] in LARGE
    judged = 0
    for testset in systems_of(args):
        result = recognise(
            testset,
            args.recogniser,
            sides=args.signals,
            transcripts=_read_transcripts(args.transcripts) if args.transcripts else None,
            lexicon=args.lexicon,
            classes=args.classes,
            store=args.cache,
            jobs=args.jobs or (1 if large else available_cpus()),
        )
        failed = int(result["failed"].max())
        judged += int(result["utterances"].sum())
        print(f"{testset.system} / {testset.name}")
        print(result.drop(columns="recogniser").to_string(index=False, float_format="%.1f"))
        if failed:
            table = testset.metrics / "recognition_by_sample.csv"
            logger.warning(
                "%s: up to %d without a rate; reasons in %s", testset.folder, failed, table
            )
    if not judged:
        raise RuntimeError("nothing could be recognised: see recognition_by_sample.csv")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    return run_command(_parser(), _work, argv)
