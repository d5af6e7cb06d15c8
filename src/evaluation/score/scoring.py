"""Scores of a test set: what is not in its ledger yet is computed, then the tables are written."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
from tqdm import tqdm

import asteroid.dsp
import auditus
from auditus.metric import Metric
from evaluation.testset.testset import TestSet
from evaluation.work.ledger import Ledger, digest
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
# Those that compute: with another version of one the scores are computed again.
LIBRARIES = ("pesq", "pystoi", "fast-bss-eval", "speechmos", "distillmos", "pyclarity")


@dataclass(frozen=True)
class Scoring:
    """How a test set is scored.

    Attributes:
        metrics: which ones.
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
    libraries = [f"{name} {_version(name)}" for name in LIBRARIES]
    return "; ".join([variant, *(["cut"] if cut else []), _code(), *libraries])


def score_testset(
    testset: TestSet, scoring: Scoring, *, jobs: int = 0, progress: bool | None = None
) -> pd.DataFrame:
    """Score what is not scored yet and write the tables; return the means.

    Scores of shards (see `score_shard`) are used. Where nothing can be scored, only the table of
    failures is written, so that earlier tables stay.

    Args:
        testset: the samples.
        scoring: which metrics, and how.
        jobs: number of processes; 0: in this one.
        progress: show a bar; None: on a terminal.

    Raises:
        FileNotFoundError: there is no sample.
    """
    samples, paths, keys = _work_of(testset, scoring)
    ledger = Ledger(testset.metrics / LEDGER)
    ledger_keys = _ledger_keys(paths, scoring)
    scores = _scores(paths, keys, ledger_keys, scoring, ledger, jobs=jobs, progress=progress)
    ledger.compact(ledger_keys)
    return _write_tables(testset, samples, scores, keys, scoring)


def score_shard(
    testset: TestSet,
    scoring: Scoring,
    shard: Shard,
    *,
    jobs: int = 0,
    progress: bool | None = None,
) -> int:
    """Score a part of the samples; return how many have a value.

    Args:
        testset: the samples.
        scoring: which metrics, and how.
        shard: the part.
        jobs: number of processes; 0: in this one.
        progress: show a bar; None: on a terminal.

    Raises:
        FileNotFoundError: there is no sample.
    """
    _, paths, keys = _work_of(testset, scoring)
    own = {sample: paths[sample] for sample in shard.part(list(paths))}
    ledger = Ledger(testset.metrics / LEDGER, shard)
    ledger_keys = _ledger_keys(own, scoring)
    scores = _scores(own, keys, ledger_keys, scoring, ledger, jobs=jobs, progress=progress)
    return sum(any(not isinstance(one, str) for one in row.values()) for row in scores.values())


def _work_of(
    testset: TestSet, scoring: Scoring
) -> tuple[pd.DataFrame, dict[str, Mapping[str, Path]], tuple[str, ...]]:
    """Return the table of samples, the files of each, and the keys to compute."""
    samples, paths = testset.samples(), testset.signals()
    if samples.empty:
        raise FileNotFoundError(f"{testset.folder} holds no samples: run evaluation.infer first")
    logger.info("%s: %d samples", testset.folder, len(samples))
    by_sample: dict[str, Mapping[str, Path]] = {
        sample: paths.get(sample, {}) for sample in samples["Sample_ID"]
    }
    return samples, by_sample, keys_of(scoring.metrics, paths)


def _ledger_keys(paths: Mapping[str, Mapping[str, Path]], scoring: Scoring) -> dict[str, str]:
    settings = metric_settings(scoring.variant, cut=scoring.cut)
    return {sample: digest(settings, files) for sample, files in paths.items()}


def _scores(
    paths: Mapping[str, Mapping[str, Path]],
    keys: Sequence[str],
    ledger_keys: Mapping[str, str],
    scoring: Scoring,
    ledger: Ledger,
    *,
    jobs: int,
    progress: bool | None,
) -> dict[str, dict[str, Score]]:
    """Return the scores of every sample: the ledger's where there are some, else computed now.

    A sample whose process died is not kept in the ledger: the next run tries again.
    """
    scores: dict[str, dict[str, Score]] = {}
    tasks = []
    for sample, files in paths.items():
        scores[sample] = ledger.results(sample, ledger_keys[sample])
        missing = tuple(key for key in keys if key not in scores[sample])
        if missing:
            tasks.append(SampleTask(sample, files, missing, scoring.variant, scoring.cut))
    logger.info("%d samples, %d to score", len(paths), len(tasks))
    processes = max(1, min(jobs, len(tasks)))
    outcomes = run_each(score_sample, tasks, jobs=processes, isolated=jobs > 0)
    hidden = None if progress is None else not progress
    for outcome in tqdm(outcomes, total=len(tasks), unit="sample", disable=hidden):
        sample = outcome.item.sample
        if outcome.result is None:
            scores[sample] |= dict.fromkeys(outcome.item.keys, outcome.error)
            continue
        scores[sample] |= outcome.result
        ledger.add(sample, ledger_keys[sample], outcome.result)
    return scores


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
    failures = _failures(samples, scores, keys)
    write_table(testset.metrics / "failures.csv", failures)
    if len(failures):
        count = f"{len(failures)} of {len(keys) * len(samples)} values are not defined"
        logger.warning("%s: the reasons are in %s", count, testset.metrics / "failures.csv")
    if not any(values.values()) and (testset.metrics / "metrics.csv").is_file():
        return means
    groups = group_tables(table, value_columns(table, keys), scoring.snr_edges)
    tables = {"metrics_by_sample": table, "metrics": means}
    tables |= {f"metrics_by_{name}": group for name, group in groups.items()}
    for name, frame in tables.items():
        write_table(testset.metrics / f"{name}.csv", frame)
    _write_plot(testset, groups.get("_".join(CROSSED)), keys)
    for name in (*GROUPS, "_".join(CROSSED)):
        if name not in groups:  # known of the samples at an earlier run, no longer
            (testset.metrics / f"metrics_by_{name}.csv").unlink(missing_ok=True)
    return means


def _write_plot(testset: TestSet, crossed: pd.DataFrame | None, keys: Sequence[str]) -> None:
    path = testset.metrics / f"metrics_by_{'_'.join(CROSSED)}.png"
    if crossed is None:
        path.unlink(missing_ok=True)
        return
    # Pictures take a second to import.
    from evaluation.plots.drawing import figure_style, save_figure

    from .plot import draw_groups

    with figure_style():
        save_figure(draw_groups(crossed, drawn_columns(keys)), path, crossed)


def _failures(
    samples: pd.DataFrame, scores: Mapping[str, Mapping[str, Score]], keys: Sequence[str]
) -> pd.DataFrame:
    """Return a row per value that is not defined, with the reason."""
    rows = [
        (sample, name, column_name(key), scores[sample][key])
        for sample, name in zip(samples["Sample_ID"], samples["id"], strict=True)
        for key in keys
        if isinstance(scores[sample][key], str)
    ]
    return pd.DataFrame(rows, columns=["Sample_ID", "id", "Metric", "Reason"])


@cache
def _code() -> str:
    """Return a fingerprint of the code that defines the metrics."""
    content = hashlib.sha256()
    for package in (auditus, asteroid.dsp):
        for path in sorted(Path(package.__path__[0]).rglob("*.*")):
            if path.suffix in (".py", ".csv"):
                content.update(path.read_bytes())
    return content.hexdigest()[:16]


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
