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
from evaluation.phonemes.segments import read_segments
from evaluation.score.columns import column_name, read_sample_table
from evaluation.testset.signals import SignalFiles
from evaluation.testset.testset import TestSet

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
    """Return every metric that all systems have, with the mixture's scores where there are some.

    Raises:
        FileNotFoundError: a system has not been scored.
        ValueError: the systems have no metric in common.
    """
    tables = {name: read_sample_table(testset) for name, testset in systems.items()}
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
        raise ValueError(
            f"{', '.join(systems)} have no metric in common: run utt_eval with the same --metrics"
        )
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
    levels = {label: levels_db(signal, rate) for label, signal in matched.items()}
    loudest = float(levels[CLEAN].max())
    frames = min(level.shape[1] for level in levels.values())
    shown = {label: level[:, :frames] for label, level in levels.items()}
    testset = next(iter(systems.values()))
    phones = next(filter(None, map(read_segments, systems.values())), {})
    return {
        "id": name,
        "duration": max(len(signal) for signal in matched.values()) / rate,
        **_described(testset, name),
        # start (s), end (s) and label, from the first system that has them: all have one speech
        "phones": [phone[:3] for phone in phones.get(name, ())],
        "gains_db": {label: None if np.isnan(gain) else gain for label, gain in gains.items()},
        "scores": {table.name: _row(table.scores, name) for table in tables},
        "sounds": {
            label: _text(encode(signal, rate, sound_format)) for label, signal in matched.items()
        },
        "levels": {
            label: _text(spectrogram_picture(level, loudest)) for label, level in levels.items()
        },
        "differences": {
            label: _text(difference_picture(level, shown[CLEAN], loudest))
            for label, level in shown.items()
            if label != CLEAN
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
    present = {label: path for label, path in files.items() if path is not None}
    signals, rate = SignalFiles(present).read(*names)
    return {label: signal[0].double().numpy() for label, signal in signals.items()}, rate


def _described(testset: TestSet, name: str) -> dict[str, str]:
    """Return the condition and the transcript, as far as samples.csv has them."""
    facts = testset.samples().set_index("id").loc[name].dropna()
    condition = [str(facts["noise_type"])] if "noise_type" in facts else []
    if "snr_db" in facts:
        condition.append(f"{float(facts['snr_db']):.1f} dB")
    return {"condition": ", ".join(condition), "transcript": str(facts.get("transcript", ""))}


def _row(scores: pd.DataFrame, name: str) -> dict[str, float | None]:
    """Return an utterance's scores; None where a score is undefined."""
    if name not in scores.index:
        return {}
    row = scores.loc[name]
    return {str(key): float(value) if np.isfinite(value) else None for key, value in row.items()}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
