"""Figures of classes as published: all segments of a class, of all utterances, cut and joined.

Every signal (clean, noise, mix, est) becomes one long one, and each metric judges it once. One gain
for all utterances, frames across the joints, and the loudest utterances in charge: the pooled way
is the default for good reason. What cannot be pooled, as PESQ, is there in this way only.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from evaluation.experiment import TestSet
from evaluation.journal import Journal, Record
from evaluation.parallel import run_each
from evaluation.phonemes.segments import FOLDER, Segments
from evaluation.phonemes.signals import JUDGED, Signals, stamp_of

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
    """Return the figures of a class by key, and why one is not defined."""
    joined: dict[str, tuple[Tensor, int] | str] = {}
    values, reasons = {}, {}
    for key in task.keys:
        value, reason = _score(key, task, joined)
        if reason or value != value:
            reasons[key] = reason or "not defined"
        else:
            values[key] = value
    return values, reasons


def _score(
    key: str, task: ClassTask, joined: dict[str, tuple[Tensor, int] | str]
) -> tuple[float, str]:
    side, name = key.split("/")
    metric = get_metric(name)
    roles = {"estimate": JUDGED[side], "target": "speech", "noise": "noise"}
    given: dict[str, tuple[Tensor, int]] = {}
    for role in metric.needs:
        signal = roles[role]
        if signal not in joined:
            joined[signal] = _joined(task, signal)
        found = joined[signal]
        if isinstance(found, str):
            return np.nan, found
        given[role] = found
    rate = next(iter(given.values()))[1]
    lengths = {len(signal) for signal, _ in given.values()}
    if len(lengths) > 1:
        return np.nan, f"the joined signals differ in length: {sorted(lengths)} samples"
    options: dict[str, object] = {"variant": task.variant} if metric.published else {}
    try:
        scores = metric.measure(
            given["estimate"][0][None],
            given["target"][0][None] if "target" in given else None,
            given["noise"][0][None] if "noise" in given else None,
            sample_rate=rate,
            lengths=None,
            **options,
        )
    except Exception as error:  # one metric's trouble is not the others'
        return np.nan, str(error) or type(error).__name__
    return float(scores.values[0]), scores.reasons[0]


def _joined(task: ClassTask, signal: str) -> tuple[Tensor, int] | str:
    """Cut a signal's segments out of all utterances and join them; or say why not."""
    parts: list[Tensor] = []
    rates: set[int] = set()
    for sample, paths, times in task.samples:
        try:
            whole, rate = Signals(dict(paths))[signal]
        except ValueError as error:
            return f"{sample}: {error}"
        rates.add(rate)
        parts += [whole[first:last] for first, last in _bounds(times, rate)]
    if len(rates) > 1:
        return f"sample rates differ: {sorted(rates)} Hz"
    return torch.cat(parts), rates.pop()


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
) -> tuple[pd.DataFrame, list[tuple[str, str, str]]]:
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
        A row per class: phoneme, utterances, segments, duration_s and a column per key; and class,
        key, reason where a figure is not defined.
    """
    journal = Journal(testset.metrics / JOURNAL)
    old, records, tasks = journal.read(), {}, []
    for name in names:
        task = _task(testset, segments, name, keys, variant)
        files = {path for _, paths, _ in task.samples for _, path in paths}
        stamp = stamp_of(files, variant, _digest(task))
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
) -> list[tuple[str, str, str]]:
    failures = [(name, "all", reason) for name, reason in lost.items()]
    failures += [
        (name, key, record.reasons[key])
        for name, record in records.items()
        for key in keys
        if key in record.reasons
    ]
    return failures


def write_cuts(
    testset: TestSet, segments: Segments, names: Sequence[str], signal_types: Sequence[str]
) -> list[Path]:
    """Write `phonemes/<signal_type>/<class>.wav`: a class's segments of all utterances, joined.

    Raises:
        ValueError: an utterance lacks a signal, or rates differ.
    """
    written = []
    for name in names:
        task = _task(testset, segments, name, (), "default")
        if not task.samples:
            logger.warning("no %s in %s: nothing to cut", name, testset.folder)
            continue
        for kind in signal_types:
            found = _joined(task, SIGNAL_TYPES[kind])
            if isinstance(found, str):
                raise ValueError(f"{kind} of {name}: {found}")
            path = testset.folder / FOLDER / kind / f"{name}.wav"
            samples: NDArray[np.float32] = found[0].numpy()
            with atomic_path(path) as temporary:
                soundfile.write(temporary, samples, found[1], subtype="FLOAT")
            written.append(path)
    return written
