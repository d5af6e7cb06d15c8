"""Figures of classes as published: all segments of a class, of all utterances, cut and joined.

Every signal (clean, noise, mix, est) becomes one long one, and each metric judges it once. One gain
for all utterances, frames across the joints, and the loudest utterances in charge: the pooled way
is the default for good reason. What cannot be pooled, as PESQ, is there in this way only.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from asteroid.utils.files import atomic_path
from auditus import get_metric
from evaluation.score.scoring import score_signals
from evaluation.score.signals import Signals
from evaluation.testset.experiment import TestSet
from evaluation.work.ledger import Journal, Record
from evaluation.work.parallel import run_each
from evaluation.work.stamps import settings_stamp, stamp_of

from .segments import FOLDER, Segments

__all__ = ["SIGNAL_TYPES", "ClassTask", "join_testset", "score_class", "write_cuts"]

logger = logging.getLogger(__name__)

#: Published name of a signal -> ours.
SIGNAL_TYPES = {"clean": "speech", "noise": "noise", "mix": "mixture", "est": "estimate"}
JOURNAL = ".phonemes_concatenated.jsonl"


@dataclass(frozen=True)
class ClassTask:
    """One class to cut, join and judge.

    Attributes:
        name: of the class or group.
        samples: of each utterance its `Sample_ID`, signals and files as pairs, and the segments'
            start and end in seconds.
        keys: `<side>/<metric>`.
        variant: of the metrics that have a published one.
    """

    name: str
    samples: tuple[tuple[str, tuple[tuple[str, Path], ...], tuple[tuple[float, float], ...]], ...]
    keys: tuple[str, ...]
    variant: str = "default"


def score_class(task: ClassTask) -> tuple[dict[str, float], dict[str, str]]:
    """Return the figures of a class by key, and why one is not defined.

    An utterance that lacks what a metric needs is left out: a reason `<key>#<Sample_ID>` says why.
    """
    joined: dict[tuple[str, tuple[str, ...]], _Joined] = {}
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for key in task.keys:
        side, name = key.split("/")
        metric = get_metric(name)
        kind = (side, metric.needs)
        if kind not in joined:
            joined[kind] = _join(task, partial(Signals.of, metric=metric, side=side))
        one = joined[kind]
        reasons |= {f"{key}#{sample}": reason for sample, reason in one.left_out.items()}
        if not one.signals:
            reasons[key] = "no utterance has all it needs"
            continue
        value, reason = score_signals(metric, one.signals, one.sample_rate, task.variant)
        if value == value:
            values[key] = value
        else:
            reasons[key] = reason
    return values, reasons


@dataclass(frozen=True)
class _Joined:
    """Joined signals `(1, time)` by role, their rate, and the utterances left out, with reasons."""

    signals: dict[str, Tensor]
    sample_rate: int
    left_out: dict[str, str]


def _join(task: ClassTask, read: Callable[[Signals], tuple[dict[str, Tensor], int]]) -> _Joined:
    """Cut a class's segments out of all utterances that can be used, and join them.

    Args:
        task: the utterances and segments.
        read: gives an utterance's signals `(1, time)` by role and their rate, or raises ValueError.
    """
    parts: dict[str, list[Tensor]] = defaultdict(list)
    left_out: dict[str, str] = {}
    joined_rate = 0
    for sample, paths, times in task.samples:
        try:
            signals, rate = read(Signals(dict(paths)))
            _check_finite(signals)
        except ValueError as error:
            left_out[sample] = str(error)
            continue
        joined_rate = joined_rate or rate
        if rate != joined_rate:
            left_out[sample] = f"it is at {rate} Hz, utterances before it at {joined_rate} Hz"
            continue
        for role, signal in signals.items():
            parts[role] += [signal[:, first:last] for first, last in _bounds(times, rate)]
    signals = {role: torch.cat(pieces, dim=1) for role, pieces in parts.items()}
    return _Joined(signals, joined_rate, left_out)


def _check_finite(signals: Mapping[str, Tensor]) -> None:
    for role, signal in signals.items():
        if not torch.isfinite(signal).all():
            raise ValueError(f"the {role} holds values that are not finite")


def _bounds(times: Sequence[tuple[float, float]], rate: int) -> list[tuple[int, int]]:
    return [(round(start * rate), round(end * rate)) for start, end in times]


def join_testset(
    testset: TestSet,
    segments: Segments,
    names: Sequence[str],
    keys: Sequence[str],
    *,
    variant: str = "default",
    jobs: int = 1,
    progress: bool | None = None,
) -> tuple[pd.DataFrame, list[tuple[str, str, str, str]]]:
    """Judge every class that is not judged yet.

    Args:
        testset: the samples.
        segments: their phones.
        names: classes and groups.
        keys: `<side>/<metric>`.
        variant: "published" for the original's SI and FW numbers.
        jobs: number of processes.
        progress: show a bar; None: on a terminal.

    Returns:
        A row per class: phoneme, utterances, segments, duration_s and a column per key; and sample,
        class, key, reason where a figure is not defined ("all" samples), or lacks a sample.
    """
    journal = Journal(testset.metrics / JOURNAL)
    old, records, tasks = journal.read(), {}, []
    settings = settings_stamp(variant, cut=False)
    for name in names:
        task = _task(testset, segments, name, keys, variant)
        files = {f"{sample} {role}": at for sample, paths, _ in task.samples for role, at in paths}
        stamp = stamp_of(files, f"{settings}; {_digest(task)}")
        known = old.get(name)
        records[name] = known if known and known.stamp == stamp else Record(name, stamp)
        done = {**records[name].values, **records[name].reasons}
        missing = tuple(key for key in keys if key not in done)
        if missing and task.samples:
            tasks.append(ClassTask(name, task.samples, missing, variant))
    outcomes = run_each(score_class, tasks, jobs=min(jobs, max(1, len(tasks))))
    hidden = None if progress is None else not progress
    lost: dict[str, str] = {}
    for outcome in tqdm(outcomes, "classes", len(tasks), unit="class", disable=hidden):
        name = outcome.item.name
        if outcome.result is None:
            lost[name] = outcome.error
            continue
        records[name].values.update(outcome.result[0])
        records[name].reasons.update(outcome.result[1])
        journal.append(records[name])
    kept = {**old, **records}
    journal.rewrite(kept.values())
    return _table(segments, records, keys), _failures(records, keys, lost)


def _task(
    testset: TestSet, segments: Segments, name: str, keys: Sequence[str], variant: str
) -> ClassTask:
    mine = segments.table[segments.table["class"].isin(segments.classes.members(name))]
    signals = testset.signals()
    samples = tuple(
        (
            str(sample),
            tuple(
                (role, path)
                for role, path in signals.get(str(sample), {}).items()
                if role in SIGNAL_TYPES.values()
            ),
            tuple(zip(part["start_s"], part["end_s"], strict=True)),
        )
        for sample, part in mine.groupby("Sample_ID", sort=False)
    )
    return ClassTask(name, samples, tuple(keys), variant)


def _digest(task: ClassTask) -> str:
    text = json.dumps([[sample, times] for sample, _, times in task.samples])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _table(segments: Segments, records: Mapping[str, Record], keys: Sequence[str]) -> pd.DataFrame:
    rows = []
    for name, record in records.items():
        mine = segments.table[segments.table["class"].isin(segments.classes.members(name))]
        rows.append(
            {
                "phoneme": name,
                "utterances": mine["Sample_ID"].nunique(),
                "segments": len(mine),
                "duration_s": mine["duration_s"].sum(),
                **{key: record.values.get(key) for key in keys},
            }
        )
    return pd.DataFrame(rows)


def _failures(
    records: Mapping[str, Record], keys: Sequence[str], lost: Mapping[str, str]
) -> list[tuple[str, str, str, str]]:
    """Return sample, class, key, reason; a sample that all classes lack is named once."""
    failures = [("all", name, "all", reason) for name, reason in lost.items()]
    left_out: dict[tuple[str, str, str, str], None] = {}
    for name, record in records.items():
        for place, reason in record.reasons.items():
            key, _, sample = place.partition("#")
            if key in keys and sample:
                left_out[sample, "all", key, f"left out: {reason}"] = None
            elif key in keys:
                failures.append(("all", name, key, reason))
    return [*failures, *left_out]


def write_cuts(
    testset: TestSet, segments: Segments, names: Sequence[str], signal_types: Sequence[str]
) -> list[Path]:
    """Write `phonemes/<signal_type>/<class>.wav`: a class's segments of all utterances, joined.

    The signals of a class belong together sample by sample: an utterance that lacks one of them is
    left out of all, with a warning.

    Raises:
        ValueError: no utterance has all the signals.
    """
    written = []
    left_out: dict[str, str] = {}
    roles = {kind: SIGNAL_TYPES[kind] for kind in signal_types}
    for name in names:
        task = _task(testset, segments, name, (), "default")
        if not task.samples:
            logger.warning("no %s in %s: nothing to cut", name, testset.folder)
            continue
        found = _join(task, partial(_together, names=tuple(roles.values())))
        left_out |= found.left_out
        if not found.signals:
            sample, why = next(iter(found.left_out.items()))
            raise ValueError(
                f"no utterance has {', '.join(signal_types)} of {name}: {sample}: {why}"
            )
        for kind, role in roles.items():
            path = testset.folder / FOLDER / kind / f"{name}.wav"
            samples: NDArray[np.float32] = found.signals[role][0].numpy()
            with atomic_path(path) as temporary:
                soundfile.write(temporary, samples, found.sample_rate, subtype="FLOAT")
            written.append(path)
    for sample, why in left_out.items():
        logger.warning("%s is left out of the joined signals: %s", sample, why)
    return written


def _together(signals: Signals, names: Sequence[str]) -> tuple[dict[str, Tensor], int]:
    """Return signals `(1, time)` of one length by their names, and their rate."""
    read = {name: signals.one_ear(name) for name in names}
    rates = {rate for _, rate in read.values()}
    if len({signal.shape[1] for signal, _ in read.values()}) > 1 or len(rates) > 1:
        raise ValueError(f"{', '.join(names)} differ in length or rate")
    return {name: signal for name, (signal, _) in read.items()}, rates.pop()
