"""Scores of phones by pooling: each utterance is scored whole, its parts summed by phone.

There is a value for each phone (segment), and one for each class in each utterance, for which the
sums of its phones are added up before the ratio or mean is taken: a longer phone weighs more, and a
class that contains all has the metric of the utterance.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from auditus import get_metric
from auditus.pooling import measure_units, pool
from evaluation.score.sample import signals_for
from evaluation.score.scoring import metric_settings
from evaluation.testset.signals import SignalFiles
from evaluation.testset.testset import TestSet
from evaluation.work.ledger import Ledger, digest
from evaluation.work.parallel import run_each

from .classes import PhoneClasses
from .segments import Segments

__all__ = ["PoolTask", "Pooled", "pool_testset", "score_phones"]

logger = logging.getLogger(__name__)

LEDGER = ".phonemes_finished.jsonl"


@dataclass(frozen=True)
class PoolTask:
    """One utterance to score by phone, with keys ``<side>/<metric>``.

    Attributes:
        sample: Its ``Sample_ID``.
        paths: Signal and file, as pairs.
        times: Start and end of each segment in seconds.
        groups: Class or group and the indices of its segments.
    """

    sample: str
    paths: tuple[tuple[str, Path], ...]
    keys: tuple[str, ...]
    times: tuple[tuple[float, float], ...]
    groups: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def key(self) -> str:
        """Key of the results, see ``Ledger``."""
        settings = [metric_settings("default"), self.times, self.groups]
        return digest(settings, dict(self.paths))


@dataclass(frozen=True)
class Pooled:
    """The values of a test set.

    Attributes:
        segments: A row per segment, a column per key, in the order of the table of segments.
        classes: A row per utterance and class: Sample_ID, phoneme, segments, duration_s, and a
            column per key.
        failures: Sample_ID, key, reason.
    """

    segments: pd.DataFrame
    classes: pd.DataFrame
    failures: list[tuple[str, str, str]]


def score_phones(task: PoolTask) -> dict[str, dict[str, Any]]:
    """Return the results of an utterance by key.

    Those of a key are ``segments``, a value each, and ``classes``, a value by name, None where it
    is not defined; or, if there is none at all, the ``reason``.
    """
    signals = SignalFiles(dict(task.paths))
    return {key: _score(key, signals, task) for key in task.keys}


def _score(key: str, signals: SignalFiles, task: PoolTask) -> dict[str, Any]:
    try:
        return _pool(key, signals, task)
    except Exception as error:  # one metric's failure is not the others'
        return {"reason": str(error) or type(error).__name__}


def _pool(key: str, signals: SignalFiles, task: PoolTask) -> dict[str, Any]:
    side, name = key.split("/")
    metric = get_metric(name)
    rows, rate = signals_for(metric, side, signals)
    noise = rows["noise"][0] if "noise" in rows else None
    units = measure_units(metric, rows["estimate"][0], rows["target"][0], noise, sample_rate=rate)
    if units.reason:
        return {"reason": units.reason}
    # reshape: no segment at all is (0,) otherwise
    bounds = torch.tensor(task.times, dtype=torch.float64).mul(rate).round().reshape(-1, 2)
    sums = pool(units, bounds)
    classes = {}
    for group, indices in task.groups:
        members = torch.full((len(task.times),), -1)  # -1: of no group
        members[list(indices)] = 0
        classes[group] = _defined(sums.grouped(members, 1).values)[0]
    return {"segments": _defined(sums.values), "classes": classes}


def _defined(values: Tensor) -> list[float | None]:
    """Return values for JSON, which has no NaN."""
    return [value if value == value else None for value in values.tolist()]


def pool_testset(
    testset: TestSet, segments: Segments, keys: Sequence[str], *, jobs: int = 1
) -> Pooled:
    """Score every utterance that has phones and is not scored yet; return all values."""
    ledger = Ledger(testset.metrics / LEDGER)
    signals = testset.signals()
    utterances = {
        str(sample): _task(str(sample), part, signals.get(str(sample), {}), keys, segments.classes)
        for sample, part in segments.table.groupby("Sample_ID", sort=False)
    }
    stamps = {sample: task.key for sample, task in utterances.items()}
    tasks = []
    for sample, task in utterances.items():
        results = ledger.results(sample, stamps[sample])
        if missing := tuple(key for key in keys if key not in results):
            tasks.append(replace(task, keys=missing))
    logger.info("%s: %d utterances, %d to score", testset.folder, len(utterances), len(tasks))
    lost: dict[str, str] = {}
    outcomes = run_each(score_phones, tasks, jobs=min(jobs, max(1, len(tasks))))
    for outcome in tqdm(outcomes, "phonemes", len(tasks), unit="sample", disable=None):
        sample = outcome.item.sample
        if outcome.result is None:  # not kept: the next run tries again
            lost[sample] = outcome.error
        else:
            ledger.add(sample, stamps[sample], outcome.result)
    ledger.compact(stamps)
    by_segment: list[dict[str, object]] = []
    by_class: list[dict[str, object]] = []
    failures = [(sample, "all", reason) for sample, reason in lost.items()]
    for sample, task in utterances.items():
        results = ledger.results(sample, stamps[sample])
        values = {key: results.get(key, {}) for key in keys}
        failures += [(sample, key, of["reason"]) for key, of in values.items() if "reason" in of]
        columns = {key: of["segments"] for key, of in values.items() if "segments" in of}
        by_segment += [
            {key: column[at] for key, column in columns.items()} for at in range(len(task.times))
        ]
        for name, indices in task.groups:
            duration = sum(task.times[at][1] - task.times[at][0] for at in indices)
            row = {"Sample_ID": sample, "phoneme": name, "segments": len(indices)}
            row |= {key: of.get("classes", {}).get(name) for key, of in values.items()}
            by_class.append(row | {"duration_s": duration})
    return Pooled(
        pd.DataFrame(by_segment, columns=list(keys), dtype="float64"),
        pd.DataFrame(by_class, columns=["Sample_ID", "phoneme", "segments", "duration_s", *keys]),
        failures,
    )


def _task(
    sample: str,
    part: pd.DataFrame,
    paths: Mapping[str, Path],
    keys: Sequence[str],
    classes: PhoneClasses,
) -> PoolTask:
    groups = [
        (name, tuple(np.flatnonzero(part["class"].isin(classes.members(name))).tolist()))
        for name in classes.names
    ]
    return PoolTask(
        sample,
        tuple((name, path) for name, path in paths.items() if not name.endswith(("left", "right"))),
        tuple(keys),
        tuple(zip(part["start_s"], part["end_s"], strict=True)),
        tuple((name, indices) for name, indices in groups if indices),
    )
