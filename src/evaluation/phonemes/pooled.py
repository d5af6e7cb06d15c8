"""Figures of phones by pooling: each utterance is judged whole, its parts summed by phone.

Two figures come of it: one for each phone (segment), and one for each class in each utterance, for
which the sums of its phones are added up before the ratio or mean is taken, so that a longer phone
weighs more and a class that is everything has the metric of the utterance.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from auditus import get_metric
from auditus.pooling import measure_units, pool
from evaluation.score.signals import Signals
from evaluation.testset.experiment import TestSet
from evaluation.work.ledger import Journal, Record
from evaluation.work.parallel import run_each
from evaluation.work.stamps import settings_stamp, stamp_of

from .classes import PhoneClasses
from .segments import Segments

__all__ = ["PoolTask", "Pooled", "pool_testset", "score_phones"]

logger = logging.getLogger(__name__)

JOURNAL = ".phonemes_finished.jsonl"


@dataclass(frozen=True)
class PoolTask:
    """One utterance to judge by phone.

    Attributes:
        sample: its `Sample_ID`.
        paths: signal and file, as pairs.
        keys: `<side>/<metric>`.
        times: start and end of each segment in seconds.
        groups: class or group and the places of its segments.
    """

    sample: str
    paths: tuple[tuple[str, Path], ...]
    keys: tuple[str, ...]
    times: tuple[tuple[float, float], ...]
    groups: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Pooled:
    """The figures of a test set.

    Attributes:
        segments: a row per segment, a column per key, in the order of the table of segments.
        classes: a row per utterance and class: Sample_ID, phoneme, segments, duration_s, and a
            column per key.
        failures: Sample_ID, key, reason.
    """

    segments: pd.DataFrame
    classes: pd.DataFrame
    failures: list[tuple[str, str, str]]


def score_phones(task: PoolTask) -> tuple[dict[str, float], dict[str, str]]:
    """Return the figures of an utterance, and why a metric has none.

    The figures' names are `<key>` of the whole utterance, `<key>#<place>` of a segment and
    `<key>@<class>` of a class; those that are not defined are left out.
    """
    signals = Signals(dict(task.paths))
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for key in task.keys:
        try:
            figures, reason = _score(key, signals, task)
        except Exception as error:  # one metric's trouble is not the others'
            figures, reason = {}, str(error) or type(error).__name__
        values |= {name: value for name, value in figures.items() if value == value}
        if reason:
            reasons[key] = reason
    return values, reasons


def _score(key: str, signals: Signals, task: PoolTask) -> tuple[dict[str, float], str]:
    side, name = key.split("/")
    metric = get_metric(name)
    found, rate = signals.of(metric, side)
    noise = found["noise"][0] if "noise" in found else None
    units = measure_units(metric, found["estimate"][0], found["target"][0], noise, sample_rate=rate)
    if units.reason:
        return {}, units.reason
    bounds = torch.tensor(task.times, dtype=torch.float64).mul(rate).round().reshape(-1, 2)
    sums = pool(units, bounds)
    figures = {key: units.whole}
    figures |= {f"{key}#{place}": value for place, value in enumerate(sums.values.tolist())}
    for group, places in task.groups:
        chosen = torch.full((len(task.times),), -1)
        chosen[list(places)] = 0
        figures[f"{key}@{group}"] = float(sums.grouped(chosen, 1).values[0])
    return figures, ""


def pool_testset(
    testset: TestSet,
    segments: Segments,
    keys: Sequence[str],
    *,
    jobs: int = 1,
    progress: bool | None = None,
) -> Pooled:
    """Judge every utterance that has phones and is not judged yet; return all figures.

    Args:
        testset: the samples.
        segments: their phones.
        keys: `<side>/<metric>`.
        jobs: number of processes.
        progress: show a bar; None: on a terminal.
    """
    tables = {str(sample): part for sample, part in segments.table.groupby("Sample_ID", sort=False)}
    signals = testset.signals()
    journal = Journal(testset.metrics / JOURNAL)
    old = journal.read()
    settings = settings_stamp("default", cut=False)
    records: dict[str, Record] = {}
    tasks = []
    for sample, part in tables.items():
        task = _task(sample, part, signals.get(sample, {}), keys, segments.classes)
        stamp = stamp_of(dict(task.paths), f"{settings}; {_digest(task)}")
        known = old.get(sample)
        records[sample] = known if known and known.stamp == stamp else Record(sample, stamp)
        missing = tuple(key for key in keys if not _is_done(records[sample], key))
        if missing:
            tasks.append(PoolTask(sample, task.paths, missing, task.times, task.groups))
    logger.info("%s: %d utterances, %d to judge", testset.folder, len(tables), len(tasks))
    lost: dict[str, str] = {}
    outcomes = run_each(score_phones, tasks, jobs=min(jobs, max(1, len(tasks))))
    hidden = None if progress is None else not progress
    for outcome in tqdm(outcomes, "phonemes", len(tasks), unit="sample", disable=hidden):
        sample = outcome.item.sample
        if outcome.result is None:  # not kept among the figures: the next run tries again
            lost[sample] = outcome.error
            continue
        values, reasons = outcome.result
        records[sample].values.update(values)
        records[sample].reasons.update(reasons)
        journal.append(records[sample])
    journal.rewrite(records.values())
    return _gather(tables, records, keys, segments.classes, lost)


def _is_done(record: Record, key: str) -> bool:
    return key in record.values or key in record.reasons


def _task(
    sample: str,
    part: pd.DataFrame,
    paths: Mapping[str, Path],
    keys: Sequence[str],
    classes: PhoneClasses,
) -> PoolTask:
    kinds = list(part["class"])
    groups = [
        (name, tuple(at for at, kind in enumerate(kinds) if kind in classes.members(name)))
        for name in classes.names
    ]
    return PoolTask(
        sample,
        tuple((name, path) for name, path in paths.items() if not name.endswith(("left", "right"))),
        tuple(keys),
        tuple(zip(part["start_s"], part["end_s"], strict=True)),
        tuple((name, places) for name, places in groups if places),
    )


def _digest(task: PoolTask) -> str:
    text = json.dumps([task.times, task.groups])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _gather(
    tables: Mapping[str, pd.DataFrame],
    records: Mapping[str, Record],
    keys: Sequence[str],
    classes: PhoneClasses,
    lost: Mapping[str, str],
) -> Pooled:
    """Make tables of the records."""
    by_segment, by_class, failures = [], [], []
    for sample, part in tables.items():
        values = records[sample].values
        by_segment += [
            {key: values.get(f"{key}#{place}") for key in keys} for place in range(len(part))
        ]
        for name in classes.names:
            mine = part[part["class"].isin(classes.members(name))]
            if len(mine):
                row = {
                    "Sample_ID": sample,
                    "phoneme": name,
                    "segments": len(mine),
                    "duration_s": mine["duration_s"].sum(),
                }
                by_class.append(row | {key: values.get(f"{key}@{name}") for key in keys})
        if sample in lost:
            failures.append((sample, "all", lost[sample]))
        failures += [
            (sample, key, records[sample].reasons[key])
            for key in keys
            if key in records[sample].reasons
        ]
    return Pooled(
        pd.DataFrame(by_segment, columns=list(keys), dtype="float64"),
        pd.DataFrame(by_class, columns=["Sample_ID", "phoneme", "segments", "duration_s", *keys]),
        failures,
    )
