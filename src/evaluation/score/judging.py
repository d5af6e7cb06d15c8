"""Score a test set and write its tables: what `utt_eval` does with its options."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from asteroid.utils.files import atomic_path
from auditus.metric import Metric
from evaluation.testset.testset import TestSet
from evaluation.work.ledger import Journal, Record
from evaluation.work.parallel import run_each
from evaluation.work.shards import Shard
from evaluation.work.stamps import settings_stamp, stamp_of

from .columns import (
    column_name,
    drawn_columns,
    figure_columns,
    keys_of,
    sample_table,
    summary_table,
)
from .groups import CROSSED, GROUPS, group_tables
from .scoring import Task, score_sample

__all__ = ["Judgement", "judge", "judge_shard", "score", "write_tables"]

logger = logging.getLogger(__name__)

JOURNAL = ".finished.jsonl"


@dataclass(frozen=True)
class Judgement:
    """How a test set is judged.

    Attributes:
        metrics: which figures.
        variant: "published" for the original's SI and FW numbers.
        cut: cut signals of different lengths to the shortest.
        snr_edges: of the classes of SNR; None: see `snr_classes`.
    """

    metrics: tuple[Metric, ...]
    variant: str = "default"
    cut: bool = False
    snr_edges: tuple[float, ...] | None = None


def judge(
    testset: TestSet, judgement: Judgement, *, jobs: int = 0, progress: bool | None = None
) -> pd.DataFrame:
    """Score what is not scored yet and write the tables; return the means.

    What shards have done (see `judge_shard`) is taken over.

    Args:
        testset: the samples.
        judgement: which figures, and how.
        jobs: number of processes; 0: in this one.
        progress: show a bar; None: on a terminal.

    Raises:
        FileNotFoundError: there is no sample.
    """
    samples, wanted, keys = _work_of(testset, judgement)
    journal = Journal(testset.metrics / JOURNAL)
    shards = sorted(testset.metrics.glob(".finished.*_of_*.jsonl"))
    for path in shards:
        _take_over(Journal(path), journal, wanted, judgement)
    records = score(wanted, keys, judgement, journal, jobs=jobs, progress=progress)
    journal.rewrite(records.values())
    for path in shards:
        path.unlink(missing_ok=True)
    return write_tables(testset, samples, records, keys, judgement)


def judge_shard(
    testset: TestSet,
    judgement: Judgement,
    shard: Shard,
    *,
    jobs: int = 0,
    progress: bool | None = None,
) -> int:
    """Score a part of the samples, into a journal of its own; return how many have a figure.

    Args:
        testset: the samples.
        judgement: which figures, and how.
        shard: the part.
        jobs: number of processes; 0: in this one.
        progress: show a bar; None: on a terminal.

    Raises:
        FileNotFoundError: there is no sample.
    """
    _, wanted, keys = _work_of(testset, judgement)
    own = {sample: wanted[sample] for sample in shard.part(list(wanted))}
    journal = Journal(testset.metrics / f".finished.{shard.suffix}.jsonl")
    records = score(own, keys, judgement, journal, jobs=jobs, progress=progress)
    journal.rewrite(records.values())
    figures = [record.values.values() for record in records.values()]
    return sum(any(value is not None for value in values) for values in figures)


def _work_of(
    testset: TestSet, judgement: Judgement
) -> tuple[pd.DataFrame, dict[str, Mapping[str, Path]], tuple[str, ...]]:
    """Return the table of samples, the files of each, and the figures to compute."""
    samples, paths = testset.samples(), testset.signals()
    if samples.empty:
        raise FileNotFoundError(f"{testset.folder} holds no samples: run evaluation.infer first")
    logger.info("%s: %d samples", testset.folder, len(samples))
    wanted: dict[str, Mapping[str, Path]] = {
        sample: paths.get(sample, {}) for sample in samples["Sample_ID"]
    }
    return samples, wanted, keys_of(judgement.metrics, paths)


def score(
    paths: Mapping[str, Mapping[str, Path]],
    keys: Sequence[str],
    judgement: Judgement,
    journal: Journal,
    *,
    jobs: int,
    progress: bool | None = None,
) -> dict[str, Record]:
    """Return a record for every sample: the journal's where it still holds, else computed now.

    What is computed is in the journal as soon as it is done. A sample whose process died is not
    kept there: the next run tries again.

    Args:
        paths: files of each sample to score, by signal.
        keys: the figures, as `out/si_sdr`.
        judgement: how.
        journal: what is finished.
        jobs: number of processes; 0: in this one.
        progress: show a bar; None: on a terminal.
    """
    records = _current(journal.read(), paths, judgement)
    tasks = {}
    for sample, record in records.items():
        missing = tuple(key for key in keys if key not in record.values)
        if missing:
            tasks[sample] = Task(sample, paths[sample], missing, judgement.variant, judgement.cut)
    logger.info("%d samples, %d to score", len(records), len(tasks))
    processes = max(1, min(jobs, len(tasks)))
    outcomes = run_each(score_sample, list(tasks.values()), jobs=processes, isolated=jobs > 0)
    hidden = None if progress is None else not progress
    for outcome in tqdm(outcomes, total=len(tasks), unit="sample", disable=hidden):
        record = records[outcome.item.sample]
        if outcome.result is None:  # not kept among the figures
            record.reasons.update(dict.fromkeys(outcome.item.keys, outcome.error))
            continue
        _note(record, outcome.result)
        journal.append(record)
    return records


def write_tables(
    testset: TestSet,
    samples: pd.DataFrame,
    records: Mapping[str, Record],
    keys: Sequence[str],
    judgement: Judgement,
) -> pd.DataFrame:
    """Write all tables and the picture of a test set; return the means."""
    table = sample_table(samples, records, keys)
    means = summary_table(table, keys)
    groups = group_tables(table, figure_columns(table, keys), judgement.snr_edges)
    failures = _failures(samples, records, keys)
    frames = {
        "metrics_by_sample": table,
        "failures": failures,
        "metrics": means,
        **{f"metrics_by_{name}": group for name, group in groups.items()},
    }
    for name, frame in frames.items():
        with atomic_path(testset.metrics / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
    _write_figure(testset, groups.get("_".join(CROSSED)), keys)
    for name in (*GROUPS, "_".join(CROSSED)):
        if name not in groups:
            (testset.metrics / f"metrics_by_{name}.csv").unlink(missing_ok=True)
    if len(failures):
        worst = f"{len(failures)} of {len(keys) * len(samples)} figures are not defined"
        logger.warning("%s: the reasons are in %s", worst, testset.metrics / "failures.csv")
    return means


def _write_figure(testset: TestSet, crossed: pd.DataFrame | None, keys: Sequence[str]) -> None:
    path = testset.metrics / f"metrics_by_{'_'.join(CROSSED)}.png"
    if crossed is None:
        path.unlink(missing_ok=True)
        return
    # Pictures take a second to import.
    from evaluation.plots.drawing import figure_style, save_figure

    from .plot import draw_groups

    columns = drawn_columns(keys)
    metrics = list(columns.values())
    with figure_style():
        figure = draw_groups(
            crossed,
            list(columns),
            [metric.higher_is_better for metric in metrics],
            [metric.unit for metric in metrics],
        )
        save_figure(figure, path, crossed)


def _failures(
    samples: pd.DataFrame, records: Mapping[str, Record], keys: Sequence[str]
) -> pd.DataFrame:
    """Return a row per figure that is not defined, with the reason."""
    rows = [
        (sample, name, column_name(key), records[sample].reasons[key])
        for sample, name in zip(samples["Sample_ID"], samples["id"], strict=True)
        for key in keys
        if records[sample].values.get(key) is None
    ]
    return pd.DataFrame(rows, columns=["Sample_ID", "id", "Metric", "Reason"])


def _take_over(
    part: Journal,
    whole: Journal,
    paths: Mapping[str, Mapping[str, Path]],
    judgement: Judgement,
) -> None:
    """Add the records of a shard's journal that still hold to the whole one, beside its own."""
    known, found = whole.read(), part.read()
    fresh = _current({}, {name: paths[name] for name in found if name in paths}, judgement)
    for sample, empty in fresh.items():
        new, old = found[sample], known.get(sample)
        if new.stamp != empty.stamp:
            continue
        if old is not None and old.stamp == new.stamp:
            new = Record(
                sample, new.stamp, {**old.values, **new.values}, {**old.reasons, **new.reasons}
            )
        whole.append(new)


def _current(
    old: Mapping[str, Record], paths: Mapping[str, Mapping[str, Path]], judgement: Judgement
) -> dict[str, Record]:
    """Return the old record of every sample where it still holds, else an empty one."""
    settings = settings_stamp(judgement.variant, cut=judgement.cut)
    records = {}
    for sample, files in paths.items():
        stamp = stamp_of(files, settings)
        known = old.get(sample)
        records[sample] = known if known and known.stamp == stamp else Record(sample, stamp)
    return records


def _note(record: Record, scores: Mapping[str, tuple[float, str]]) -> None:
    """Enter figures into a record; NaN becomes None with its reason."""
    for key, (value, reason) in scores.items():
        defined = value == value
        record.values[key] = value if defined else None
        if not defined:
            record.reasons[key] = reason
