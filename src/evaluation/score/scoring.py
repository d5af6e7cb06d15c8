"""Scores of a test set: what is not in its ledger yet is computed, then the tables are written."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
from tqdm import tqdm

import asteroid.dsp
import auditus
from auditus.metric import Metric
from evaluation.testset.testset import TestSet
from evaluation.work.ledger import Ledger, digest, package_version
from evaluation.work.parallel import run_each
from evaluation.work.shards import Shard
from evaluation.work.tables import write_table

from .columns import (
    CROSSED,
    GROUPS,
    column_name,
    drawn_columns,
    group_tables,
    keys_of,
    sample_table,
    summary_table,
    value_columns,
)
from .sample import SampleTask, Score, score_sample

__all__ = ["LEDGER", "Scoring", "metric_settings", "score_shard", "score_testset"]

logger = logging.getLogger(__name__)

LEDGER = ".finished.jsonl"
# Libraries that compute metrics: with another version of one the scores are computed again.
LIBRARIES = ("pesq", "pystoi", "fast-bss-eval", "speechmos", "distillmos", "pyclarity")


@dataclass(frozen=True)
class Scoring:
    """How a test set is scored.

    Attributes:
        metrics: in the order of the columns.
        variant: "published" for the original's SI and FW numbers.
        cut: cut signals of different lengths to the shortest.
        snr_edges: of the classes of SNR; None: see `snr_classes`.
    """

    metrics: tuple[Metric, ...]
    variant: str = "default"
    cut: bool = False
    snr_edges: tuple[float, ...] | None = None


def metric_settings(variant: str, *, cut: bool = False) -> str:
    """Return what all scores depend on, for their key: options, code, libraries."""
    libraries = [f"{name} {package_version(name)}" for name in LIBRARIES]
    return "; ".join([variant, *(["cut"] if cut else []), _code(), *libraries])


def score_testset(
    testset: TestSet, scoring: Scoring, *, jobs: int = 0, progress: bool | None = None
) -> pd.DataFrame:
    """Score what is not scored yet and write the tables; return the means.

    Scores of shards (see `score_shard`) are used. Where nothing can be scored, only the table of
    failures is written, so that earlier tables stay. ``jobs`` is the number of processes, 0: in
    this one; ``progress`` shows a bar, None: on a terminal.

    Raises:
        FileNotFoundError: there is no sample.
    """
    samples = testset.samples()
    ledger = Ledger(testset.metrics / LEDGER)
    stamps, scores = _scores(testset, None, scoring, ledger, jobs=jobs, progress=progress)
    ledger.compact(stamps)
    keys = keys_of(scoring.metrics, testset.signals())
    return _write_tables(testset, samples, scores, keys, scoring)


def score_shard(
    testset: TestSet,
    scoring: Scoring,
    shard: Shard,
    *,
    jobs: int = 0,
    progress: bool | None = None,
) -> int:
    """Score a part of the samples, see ``score_testset``; return how many have a value.

    Raises:
        FileNotFoundError: there is no sample.
    """
    ledger = Ledger(testset.metrics / LEDGER, shard)
    _, scores = _scores(testset, shard, scoring, ledger, jobs=jobs, progress=progress)
    return sum(any(not isinstance(one, str) for one in row.values()) for row in scores.values())


def _scores(
    testset: TestSet,
    shard: Shard | None,
    scoring: Scoring,
    ledger: Ledger,
    *,
    jobs: int,
    progress: bool | None,
) -> tuple[dict[str, str], dict[str, dict[str, Score]]]:
    """Return of each sample its key in the ledger and its scores: the ledger's, else new ones.

    A sample whose process died is not kept in the ledger: the next run tries again.
    """
    names, paths = list(testset.samples()["Sample_ID"]), testset.signals()
    if not names:
        raise FileNotFoundError(f"{testset.folder} holds no samples: run evaluation.infer first")
    logger.info("%s: %d samples", testset.folder, len(names))
    keys = keys_of(scoring.metrics, paths)
    settings = metric_settings(scoring.variant, cut=scoring.cut)
    stamps: dict[str, str] = {}
    scores: dict[str, dict[str, Score]] = {}
    tasks = []
    for sample in shard.part(names) if shard else names:
        files = paths.get(sample, {})
        stamps[sample] = digest(settings, files)
        scores[sample] = ledger.results(sample, stamps[sample])
        if missing := tuple(key for key in keys if key not in scores[sample]):
            tasks.append(SampleTask(sample, files, missing, scoring.variant, scoring.cut))
    logger.info("%d samples, %d to score", len(scores), len(tasks))
    processes = max(1, min(jobs, len(tasks)))
    outcomes = run_each(score_sample, tasks, jobs=processes, isolated=jobs > 0)
    hidden = None if progress is None else not progress
    for outcome in tqdm(outcomes, total=len(tasks), unit="sample", disable=hidden):
        sample = outcome.item.sample
        if outcome.result is None:
            scores[sample] |= dict.fromkeys(outcome.item.keys, outcome.error)
            continue
        scores[sample] |= outcome.result
        ledger.add(sample, stamps[sample], outcome.result)
    return stamps, scores


def _write_tables(
    testset: TestSet,
    samples: pd.DataFrame,
    scores: Mapping[str, Mapping[str, Score]],
    keys: Sequence[str],
    scoring: Scoring,
) -> pd.DataFrame:
    values = {
        sample: {key: float(row[key]) for key in keys if not isinstance(row[key], str)}
        for sample, row in scores.items()
    }
    table = sample_table(samples, values, keys)
    means = summary_table(table, keys)
    failures = [
        (sample, name, column_name(key), scores[sample][key])
        for sample, name in zip(samples["Sample_ID"], samples["id"], strict=True)
        for key in keys
        if isinstance(scores[sample][key], str)
    ]
    columns = ["Sample_ID", "id", "Metric", "Reason"]
    write_table(testset.metrics / "failures.csv", pd.DataFrame(failures, columns=columns))
    if failures:
        count = f"{len(failures)} of {len(keys) * len(samples)} values are not defined"
        logger.warning("%s: the reasons are in %s", count, testset.metrics / "failures.csv")
    if not any(values.values()) and (testset.metrics / "metrics.csv").is_file():
        return means
    groups = group_tables(table, list(value_columns(table, keys)), scoring.snr_edges)
    tables = {"metrics_by_sample": table, "metrics": means}
    tables |= {f"metrics_by_{name}": group for name, group in groups.items()}
    for name, frame in tables.items():
        write_table(testset.metrics / f"{name}.csv", frame)
    picture = testset.metrics / f"metrics_by_{'_'.join(CROSSED)}.png"
    crossed = groups.get("_".join(CROSSED))
    if crossed is None:
        picture.unlink(missing_ok=True)
    else:
        # Here, because plots take a second to import.
        from evaluation.plots.drawing import figure_style, save_figure

        from .plot import draw_groups

        with figure_style():
            save_figure(draw_groups(crossed, drawn_columns(keys)), picture, crossed)
    for name in (*GROUPS, "_".join(CROSSED)):
        if name not in groups:  # of an earlier run, in which the samples had this column
            (testset.metrics / f"metrics_by_{name}.csv").unlink(missing_ok=True)
    return means


@cache
def _code() -> str:
    """Return a fingerprint of the code that defines the metrics."""
    content = hashlib.sha256()
    for package in (auditus, asteroid.dsp):
        for path in sorted(Path(package.__path__[0]).rglob("*.*")):
            if path.suffix in (".py", ".csv"):
                content.update(path.read_bytes())
    return content.hexdigest()[:16]
