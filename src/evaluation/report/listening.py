"""Data of the listening section: sounds, spectrograms, phones and scores of utterances."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditus import METRICS
from evaluation.score.columns import column_name
from evaluation.testset.signals import SignalFiles
from evaluation.testset.testset import TestSet
from evaluation.work.tables import read_table

from .pictures import difference_picture, levels_db, spectrogram_picture
from .sound import SoundFormat, encode, equal_loudness

__all__ = ["CLEAN", "MIXTURE", "ScoreTable", "read_scores", "read_signals", "utterance_data"]

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

MIXTURE, CLEAN = "mixture", "clean"
_DIGITS = {"PESQ": 2, "STOI": 3, "ESTOI": 3}


@dataclass(frozen=True)
class ScoreTable:
    """One metric over utterances and signals.

    Attributes:
        name: the metric's name.
        label: how it is written.
        unit: its unit.
        higher_is_better: its direction.
        scores: one row per utterance (by id), one column per signal that has it.
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool
    scores: pd.DataFrame

    def described(self) -> dict[str, Any]:
        """Return what the page must know of the metric."""
        return {
            "name": self.name,
            "label": self.label,
            "unit": self.unit,
            "higher_is_better": self.higher_is_better,
            "digits": _DIGITS.get(self.label, 1 if self.unit == "dB" else 2),
        }


def read_scores(systems: Mapping[str, TestSet]) -> list[ScoreTable]:
    """Return every metric that all systems were scored by, of the mixture too where it is known.

    Raises:
        FileNotFoundError: a system has not been scored.
        ValueError: the systems have no metric in common.
    """
    tables = {}
    for name, testset in systems.items():
        path = testset.metrics / "metrics_by_sample.csv"
        if not path.is_file():
            raise FileNotFoundError(f"no {path}: run evaluation.utt_eval on {name} first")
        tables[name] = read_table(path).set_index("id")
    score_tables = []
    for name in METRICS.names():
        metric, after = METRICS.get(name), column_name(f"out/{name}")
        if not all(after in table for table in tables.values()):
            continue
        scores = pd.DataFrame({system: table[after] for system, table in tables.items()})
        before, first = column_name(f"in/{name}"), next(iter(tables.values()))
        if before in first:
            scores.insert(0, MIXTURE, first[before])
        score_tables.append(
            ScoreTable(name, metric.label, metric.unit, metric.higher_is_better, scores)
        )
    if not score_tables:
        raise ValueError(f"no metric is known of all of {', '.join(systems)}: run utt_eval alike")
    return score_tables


def utterance_data(
    name: str,
    systems: Mapping[str, TestSet],
    tables: Sequence[ScoreTable],
    *,
    sound_format: SoundFormat = "flac",
) -> dict[str, Any]:
    """Return all that the page shows and plays of one utterance, as plain data for JSON.

    Raises:
        ValueError: see `read_signals`.
    """
    signals, rate = read_signals(name, systems)
    matched, gains = equal_loudness(signals, rate)
    levels = {one: levels_db(signal, rate) for one, signal in matched.items()}
    loudest = float(levels[CLEAN].max())
    frames = min(level.shape[1] for level in levels.values())
    shown = {one: level[:, :frames] for one, level in levels.items()}
    testset = next(iter(systems.values()))
    return {
        "id": name,
        "duration": max(len(signal) for signal in matched.values()) / rate,
        **_described(testset, name),
        "phones": _phones(systems, name),
        "gains_db": {one: None if np.isnan(gain) else gain for one, gain in gains.items()},
        "scores": {table.name: _row(table.scores, name) for table in tables},
        "sounds": {one: _text(encode(each, rate, sound_format)) for one, each in matched.items()},
        "levels": {one: _text(spectrogram_picture(each, loudest)) for one, each in levels.items()},
        "differences": {
            one: _text(difference_picture(each, shown[CLEAN], loudest))
            for one, each in shown.items()
            if one != CLEAN
        },
        "sample_rate": rate,
    }


def read_signals(name: str, systems: Mapping[str, TestSet]) -> tuple[dict[str, Array], int]:
    """Return mixture, clean speech and each system's estimate, and their rate.

    Another system's folder may come without mixtures; all else must be there.

    Raises:
        ValueError: a file is missing or cannot be read, or lengths or rates differ.
    """
    paths = {
        system: testset.signals()[testset.find_sample(name)] for system, testset in systems.items()
    }
    first = next(iter(paths.values()))
    files = {MIXTURE: first.get("mixture"), CLEAN: first.get("speech")}
    files |= {system: own.get("estimate") for system, own in paths.items()}
    names = [label for label in files if label != MIXTURE or files[MIXTURE] is not None]
    known = {label: path for label, path in files.items() if path is not None}
    signals, rate = SignalFiles(known).read(*names)
    return {label: signal[0].double().numpy() for label, signal in signals.items()}, rate


def _described(testset: TestSet, name: str) -> dict[str, str]:
    """Return the condition and the transcript, as far as they are known."""
    table = testset.samples().set_index("id")
    known = table.loc[name].dropna()
    condition = [str(known["noise_type"])] if "noise_type" in known else []
    if "snr_db" in known:
        condition.append(f"{float(known['snr_db']):.1f} dB")
    return {
        "condition": ", ".join(condition),
        "transcript": str(known["transcript"]) if "transcript" in known else "",
    }


def _phones(systems: Mapping[str, TestSet], name: str) -> list[list[Any]]:
    """Return start (s), end (s) and label of each phone, from the first system that has them."""
    for testset in systems.values():
        path = testset.metrics / "phoneme_segments.csv"
        if path.is_file():
            table = read_table(path)
            rows = table.loc[table["id"] == name, ["start_s", "end_s", "phone"]]
            return [[float(start), float(end), phone] for start, end, phone in rows.to_numpy()]
    return []


def _row(scores: pd.DataFrame, name: str) -> dict[str, float | None]:
    """Return an utterance's scores; None where there is none."""
    if name not in scores.index:
        return {}
    row = scores.loc[name]
    return {str(key): float(value) if np.isfinite(value) else None for key, value in row.items()}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
