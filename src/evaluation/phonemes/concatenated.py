"""Scores of phone classes as published: all segments of a class, of all utterances, are joined.

Every signal (clean, noise, mix, est) becomes one long one, which each metric scores once. The
estimate thus has one gain for all utterances, frames cross the joints, and loud utterances dominate
the result: the pooled method is the default for good reason. Metrics that cannot be pooled, as
PESQ, exist in this method only.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import soundfile
import torch
from torch import Tensor
from tqdm import tqdm

from asteroid.utils.files import atomic_path
from auditus import get_metric
from evaluation.score.sample import Score, score_signals, signals_for
from evaluation.score.scoring import metric_settings
from evaluation.testset.signals import SignalFiles
from evaluation.testset.testset import TestSet
from evaluation.work.ledger import Ledger, digest
from evaluation.work.parallel import run_each

from .options import FOLDER
from .segments import Segments

__all__ = ["SIGNAL_TYPES", "ClassTask", "join_testset", "score_class", "write_cuts"]

logger = logging.getLogger(__name__)

#: Published name of a signal -> ours.
SIGNAL_TYPES = {"clean": "speech", "noise": "noise", "mix": "mixture", "est": "estimate"}
LEDGER = ".phonemes_concatenated.jsonl"


@dataclass(frozen=True)
class ClassTask:
    """One class or group to cut, join and score by keys ``<side>/<metric>``.

    Of each utterance there are its ``Sample_ID``, signals and files as pairs, and the segments'
    start and end in seconds.
    """

    name: str
    samples: tuple[tuple[str, tuple[tuple[str, Path], ...], tuple[tuple[float, float], ...]], ...]
    keys: tuple[str, ...]
    variant: str = "default"

    @property
    def key(self) -> str:
        """Key of the results, see ``Ledger``."""
        times = [[sample, times] for sample, _, times in self.samples]
        files = {f"{sample} {role}": at for sample, paths, _ in self.samples for role, at in paths}
        return digest([metric_settings(self.variant), times], files)


def score_class(task: ClassTask) -> dict[str, dict[str, Any]]:
    """Return the results of a class by key: value (None if not defined), reason, left_out.

    An utterance that lacks what a metric needs is left out, with the reason in ``left_out``.
    """
    joined: dict[tuple[str, tuple[str, ...]], _Joined] = {}
    results = {}
    for key in task.keys:
        side, name = key.split("/")
        metric = get_metric(name)
        signals = (side, metric.needs)
        if signals not in joined:
            joined[signals] = _join(task, partial(signals_for, metric, side))
        whole = joined[signals]
        score: Score = "no utterance has all it needs"
        if whole.signals:
            score = score_signals(metric, whole.signals, whole.sample_rate, task.variant)
        is_value = not isinstance(score, str)
        results[key] = {
            "value": score if is_value else None,
            "reason": "" if is_value else score,
            "left_out": whole.left_out,
        }
    return results


class _Joined(NamedTuple):
    """Joined signals ``(1, time)`` by role, their rate, and why utterances were left out."""

    signals: dict[str, Tensor]
    sample_rate: int
    left_out: dict[str, str]


def _join(task: ClassTask, read: Callable[[SignalFiles], tuple[dict[str, Tensor], int]]) -> _Joined:
    """Cut a class's segments out of all utterances that can be used, and join them.

    ``read`` gives an utterance's signals ``(1, time)`` by role and their rate, or a ValueError.
    """
    parts: dict[str, list[Tensor]] = defaultdict(list)
    left_out: dict[str, str] = {}
    joined_rate = 0
    for sample, paths, times in task.samples:
        try:
            signals, rate = read(SignalFiles(dict(paths)))
            for role, signal in signals.items():
                if not torch.isfinite(signal).all():
                    raise ValueError(f"the {role} holds values that are not finite")
        except ValueError as error:
            left_out[sample] = str(error)
            continue
        joined_rate = joined_rate or rate
        if rate != joined_rate:
            left_out[sample] = f"it is at {rate} Hz, utterances before it at {joined_rate} Hz"
            continue
        bounds = [(round(start * rate), round(end * rate)) for start, end in times]
        for role, signal in signals.items():
            parts[role] += [signal[:, first:last] for first, last in bounds]
    signals = {role: torch.cat(pieces, dim=1) for role, pieces in parts.items()}
    return _Joined(signals, joined_rate, left_out)


def join_testset(
    testset: TestSet,
    segments: Segments,
    names: Sequence[str],
    keys: Sequence[str],
    *,
    variant: str = "default",
    jobs: int = 1,
) -> tuple[pd.DataFrame, list[tuple[str, str, str, str]]]:
    """Score every class that is not scored yet.

    Returns:
        A row per class: phoneme, utterances, segments, duration_s and a column per key; and sample,
        class, key, reason where a value is not defined ("all" samples), or lacks a sample.
    """
    ledger = Ledger(testset.metrics / LEDGER)
    classes = {name: _task(testset, segments, name, keys, variant) for name in names}
    stamps = {name: task.key for name, task in classes.items()}
    tasks = []
    for name, task in classes.items():
        results = ledger.results(name, stamps[name])
        missing = tuple(key for key in keys if key not in results)
        if missing and task.samples:
            tasks.append(replace(task, keys=missing))
    failures: list[tuple[str, str, str, str]] = []
    outcomes = run_each(score_class, tasks, jobs=min(jobs, max(1, len(tasks))))
    for outcome in tqdm(outcomes, "classes", len(tasks), unit="class", disable=None):
        name = outcome.item.name
        if outcome.result is None:  # not kept: the next run tries again
            failures.append(("all", name, "all", outcome.error))
        else:
            ledger.add(name, stamps[name], outcome.result)
    ledger.compact(stamps)
    rows = []
    left_out: dict[tuple[str, str, str, str], None] = {}  # the same in all classes: listed once
    for name in names:
        results = ledger.results(name, stamps[name])
        mine = segments.of_class(name)
        counts = {"utterances": mine["Sample_ID"].nunique(), "segments": len(mine)}
        row = {"phoneme": name, **counts, "duration_s": mine["duration_s"].sum()}
        rows.append(row | {key: results.get(key, {}).get("value") for key in keys})
        for key in (key for key in keys if key in results):
            if results[key]["reason"]:
                failures.append(("all", name, key, results[key]["reason"]))
            for sample, reason in results[key]["left_out"].items():
                left_out[sample, "all", key, f"left out: {reason}"] = None
    return pd.DataFrame(rows), [*failures, *left_out]


def _task(
    testset: TestSet, segments: Segments, name: str, keys: Sequence[str], variant: str
) -> ClassTask:
    signals = testset.signals()
    samples = []
    for sample, part in segments.of_class(name).groupby("Sample_ID", sort=False):
        paths = signals.get(str(sample), {})
        files = tuple((role, paths[role]) for role in SIGNAL_TYPES.values() if role in paths)
        times = tuple(zip(part["start_s"], part["end_s"], strict=True))
        samples.append((str(sample), files, times))
    return ClassTask(name, tuple(samples), tuple(keys), variant)


def write_cuts(
    testset: TestSet, segments: Segments, names: Sequence[str], signal_types: Sequence[str]
) -> list[Path]:
    """Write ``phonemes/<signal_type>/<class>.wav``: a class's segments of all utterances, joined.

    The signals of a class belong together sample by sample: an utterance that lacks one of them is
    left out of all, with a warning.

    Raises:
        ValueError: No utterance has all the signals.
    """
    written = []
    left_out: dict[str, str] = {}
    roles = {signal_type: SIGNAL_TYPES[signal_type] for signal_type in signal_types}
    for name in names:
        task = _task(testset, segments, name, (), "default")
        if not task.samples:
            logger.warning("no %s in %s: nothing to cut", name, testset.folder)
            continue
        joined = _join(task, lambda files: files.read(*roles.values()))
        left_out |= joined.left_out
        if not joined.signals:
            sample, reason = next(iter(joined.left_out.items()))
            raise ValueError(
                f"no utterance has {', '.join(signal_types)} of {name}: {sample}: {reason}"
            )
        for signal_type, role in roles.items():
            path = testset.folder / FOLDER / signal_type / f"{name}.wav"
            samples = joined.signals[role][0].numpy()
            with atomic_path(path) as temporary:
                soundfile.write(temporary, samples, joined.sample_rate, subtype="FLOAT")
            written.append(path)
    for sample, reason in left_out.items():
        logger.warning("%s is left out of the joined signals: %s", sample, reason)
    return written
