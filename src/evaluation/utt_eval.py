"""Judge an experiment's enhanced utterances: figures of each sample, means, failures.

    python -m evaluation.utt_eval --experiment_tag XP1

reads <root>/<tag>/<testset>/sample_*/ and writes, in <root>/<tag>/<testset>/metrics/,

    metrics_by_sample.csv  a row per sample: published columns, then others; empty where undefined
    metrics.csv            a row per figure: mean, deviation, how many samples were scored
    failures.csv           a row per figure that is not defined, with the reason

Whole utterances are judged, by PESQ too. Finished samples are kept in a journal, so that a killed
run goes on where it was and a second run only does what is new: samples whose audio changed,
metrics not asked for before.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
from tqdm import tqdm

import asteroid.dsp
import auditus
from asteroid.utils.files import atomic_path
from auditus import METRICS, PUBLISHED, get_metrics
from auditus.metric import Metric
from auditus.ratios import VARIANTS
from evaluation.columns import column_name, keys_of, sample_table, summary_table
from evaluation.command import add_experiment_options, available_cpus, positive_int, run
from evaluation.experiment import SIGNALS, TestSet, find_experiment
from evaluation.journal import Journal, Record
from evaluation.parallel import run_each
from evaluation.scoring import Task, score_sample

__all__ = ["judge", "main"]

logger = logging.getLogger(__name__)

JOURNAL = ".finished.jsonl"
# Those that compute: with another version of one the figures are computed again.
LIBRARIES = ("pesq", "pystoi", "fast-bss-eval")


def judge(
    testset: TestSet,
    metrics: Sequence[Metric],
    *,
    variant: str = "default",
    jobs: int = 1,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Score what is not scored yet and write the three tables; return the means.

    Args:
        testset: the folder of samples.
        metrics: which figures.
        variant: "published" for the original's SI and FW numbers.
        jobs: number of processes.
        progress: show a bar; None: on a terminal.

    Raises:
        FileNotFoundError: there is no sample.
    """
    samples, keys = testset.samples(), keys_of(metrics)
    if samples.empty:
        raise FileNotFoundError(
            f"{testset.folder} holds no folder sample_*: run evaluation.infer first"
        )
    journal = Journal(testset.metrics / JOURNAL)
    records = _current(journal, testset, list(samples["Sample_ID"]), variant)
    tasks = {}
    for sample, record in records.items():
        missing = tuple(key for key in keys if key not in record.values)
        if missing:
            tasks[Task(testset.folder / sample, missing, variant)] = record
    logger.info("%s: %d samples, %d to score", testset.folder, len(samples), len(tasks))
    outcomes = run_each(score_sample, list(tasks), jobs=min(jobs, max(1, len(tasks))))
    hidden = None if progress is None else not progress
    for outcome in tqdm(outcomes, total=len(tasks), unit="sample", disable=hidden):
        record = tasks[outcome.item]
        if outcome.result is None:  # not kept among the figures: the next run tries again
            record.reasons.update(dict.fromkeys(outcome.item.keys, outcome.error))
            continue
        _note(record, outcome.result)
        journal.append(record)
    journal.rewrite(records.values())
    return _write_tables(testset, samples, records, keys)


def _current(
    journal: Journal, testset: TestSet, samples: list[str], variant: str
) -> dict[str, Record]:
    """Return a record for every sample: the journal's where it still holds, else an empty one."""
    old = journal.read()
    records = {}
    for sample in samples:
        stamp = _stamp(testset.folder / sample, variant)
        known = old.get(sample)
        records[sample] = known if known and known.stamp == stamp else Record(sample, stamp)
    return records


def _stamp(folder: Path, variant: str) -> str:
    """Return what a sample's figures depend on: settings, libraries, the files as they are now."""
    parts = [variant, _code(), *(f"{name} {_version(name)}" for name in LIBRARIES)]
    for name in SIGNALS:
        path = folder / f"{name}.wav"
        if path.is_file():
            status = path.stat()
            parts.append(f"{name} {status.st_size} {status.st_mtime_ns}")
    return "; ".join(parts)


@cache
def _code() -> str:
    """Return a fingerprint of the code that defines the metrics."""
    digest = hashlib.sha256()
    for package in (auditus, asteroid.dsp):
        for path in sorted(Path(package.__path__[0]).rglob("*.*")):
            if path.suffix in (".py", ".csv"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _note(record: Record, scores: dict[str, tuple[float, str]]) -> None:
    """Enter figures into a record; NaN becomes None with its reason."""
    for key, (value, reason) in scores.items():
        defined = value == value
        record.values[key] = value if defined else None
        if not defined:
            record.reasons[key] = reason


def _write_tables(
    testset: TestSet, samples: pd.DataFrame, records: dict[str, Record], keys: Sequence[str]
) -> pd.DataFrame:
    """Write metrics_by_sample.csv, metrics.csv and failures.csv."""
    table = sample_table(samples, records, keys)
    means = summary_table(table, keys)
    failures = [
        {"Sample_ID": sample, "id": name, "Metric": column_name(key), "Reason": record.reasons[key]}
        for (sample, record), name in zip(records.items(), samples["id"], strict=True)
        for key in keys
        if record.values.get(key) is None
    ]
    columns = ["Sample_ID", "id", "Metric", "Reason"]
    for name, frame in (
        ("metrics_by_sample.csv", table),
        ("failures.csv", pd.DataFrame(failures, columns=columns)),
        ("metrics.csv", means),
    ):
        with atomic_path(testset.metrics / name) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
    if failures:
        worst = f"{len(failures)} of {len(keys) * len(samples)} figures are not defined"
        logger.warning("%s: the reasons are in %s", worst, testset.metrics / "failures.csv")
    return means


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="utt_eval", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment_tag", required=True, metavar="TAG", help="which experiment")
    parser.add_argument("--testset", metavar="NAME", help="one test set (default: all there are)")
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=[*METRICS.names(), "all"],
        default=list(PUBLISHED),
        metavar="NAME",
        help=f"default: {' '.join(PUBLISHED)}; known: {', '.join(METRICS.names())}, all",
    )
    parser.add_argument(
        "--variant",
        choices=VARIANTS,
        default=VARIANTS[0],
        help="published: SI and FW ratios as the original computed them (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=positive_int,
        default=available_cpus(),
        help="processes (default: %(default)s)",
    )
    add_experiment_options(parser)
    return parser


def _work(args: argparse.Namespace) -> int:
    experiment = find_experiment(args.experiment_tag, args.root)
    names = METRICS.names() if "all" in args.metrics else list(dict.fromkeys(args.metrics))
    asked = args.testset is not None
    testsets = [experiment.testset(args.testset)] if asked else experiment.testsets()
    if not testsets:
        raise FileNotFoundError(
            f"{experiment.folder} holds no enhanced samples: run evaluation.infer first"
        )
    scored = 0
    for testset in testsets:
        means = judge(testset, get_metrics(names), variant=args.variant, jobs=args.jobs)
        scored += int(means["Scored"].sum())
        shown = means[["Metric", "Mean", "Std", "Unit", "Scored", "Failed"]]
        print(f"{experiment.tag} / {testset.name}")
        print(shown.to_string(index=False, float_format="%.3f"))
    if not scored:
        raise RuntimeError(f"no sample of {experiment.folder} could be scored: see failures.csv")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    return run(_parser(), _work, argv)


if __name__ == "__main__":
    sys.exit(main())
