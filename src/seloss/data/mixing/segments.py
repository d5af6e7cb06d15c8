"""Segments of recordings, and the arrays that are planned of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seloss.data.draw import rank
from seloss.data.formats.array import NOISE_CLASSES, ArrayInfo
from seloss.data.formats.mixture import DataError, Mixture, Problem

from .additive import AdditivePlan

__all__ = [
    "ArrayConfig",
    "ArrayPlan",
    "Segment",
    "build_plan",
    "choose",
    "cut_segments",
    "refuse_missing",
]

#: A remainder of less than this is not made a segment, unless the file has no other.
SHORTEST_S = 1.0


@dataclass(frozen=True)
class ArrayConfig:
    """How arrays are made.

    Attributes:
        seconds: Length of a segment; shorter ones are padded with zeros.
        snr_db: SNR classes of the test.
        train_snr_db: Ratios of training and validation.
        noise_classes: Classes of the test: types of noise that training has, and that it has not.
        n_train: Training items; None: every segment at every ratio.
        n_valid: Validation items; None likewise.
        n_test: Segments in each cell of the test; None: all there are.
        sample_rate: Hz.
        seed: Of everything.
    """

    seconds: float = 3.0
    snr_db: tuple[float, ...] = (-10, -5, 0, 5, 10, 15, 20)
    train_snr_db: tuple[float, ...] = (-10, -5, 0, 5, 10, 15, 20)
    noise_classes: tuple[str, ...] = NOISE_CLASSES
    n_train: int | None = None
    n_valid: int | None = None
    n_test: int | None = None
    sample_rate: int = 16000
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ValueError: Says which field, what it must be and what it is.
        """
        limits = {"seconds": (0.1, 600.0), "sample_rate": (8000, 48000)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                value = getattr(self, name)
                raise ValueError(f"{name} must lie between {low:g} and {high:g}; got {value!r}")
        for name in ("snr_db", "train_snr_db"):
            values = getattr(self, name)
            bounded = all(abs(value) <= 60 for value in values)  # which NaN is not
            if not values or len(set(values)) < len(values) or not bounded:
                raise ValueError(f"{name} must be distinct ratios within 60 dB; got {values!r}")
        if not self.noise_classes or not set(self.noise_classes) <= set(NOISE_CLASSES):
            names = ", ".join(NOISE_CLASSES)
            raise ValueError(f"noise_classes must be some of {names}; got {self.noise_classes!r}")
        for name in ("n_train", "n_valid", "n_test"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, or left out; got {value!r}")

    @property
    def samples(self) -> int:
        """Samples of a segment."""
        return round(self.seconds * self.sample_rate)


@dataclass(frozen=True)
class ArrayPlan:
    """One array to be made."""

    info: ArrayInfo
    items: tuple[AdditivePlan, ...]


@dataclass(frozen=True)
class Segment:
    """A part of a recording of clean speech; ``pair`` is the mixture it belongs to, if any."""

    name: str
    speech: Path
    start: int
    n_samples: int
    speaker: str | None
    transcript: str | None
    pair: Mixture | None = None


def cut_segments(length: int, config: ArrayConfig) -> Iterator[tuple[int, int]]:
    """Yield start and length of the segments of a recording, one after the other."""
    for start in range(0, length, config.samples):
        n_samples = min(config.samples, length - start)
        if start == 0 or n_samples >= SHORTEST_S * config.sample_rate:
            yield start, n_samples


def choose(segments: Sequence[Segment], config: ArrayConfig) -> list[Segment]:
    """Return the segments of the test: all, or as many as requested."""
    if config.n_test is None or config.n_test >= len(segments):
        return list(segments)
    kept = set(rank([segment.name for segment in segments], config.seed, "test")[: config.n_test])
    return [segment for segment in segments if segment.name in kept]


def refuse_missing(missing: Sequence[str], part: str) -> None:
    """Raise `DataError` if the test lacks classes of noise."""
    if missing:
        what = (
            f"the test has no {part} of class {' or '.join(missing)}; give a corpus (or a listing "
            f"with splits) that has, or ask for the others alone with --noise_classes"
        )
        raise DataError("noise", [Problem(0, missing[0], what)])


def build_plan(
    out: Path, split: str, items: Sequence[AdditivePlan], config: ArrayConfig
) -> ArrayPlan:
    """Return the plan of one array, with what is known before its audio is made."""
    axes: dict[str, Any] = {}
    shape: tuple[int, ...] = (len(items), 2, config.samples)
    if split == "test":
        axes = {"noise_class": list(config.noise_classes), "snr_db": list(config.snr_db)}
        cells = len(config.noise_classes) * len(config.snr_db)
        shape = (len(config.noise_classes), len(config.snr_db), len(items) // cells, *shape[1:])
    digest = hashlib.sha256(json.dumps([config.samples, config.sample_rate, config.seed]).encode())
    for item in items:
        files = [path.name if path else None for path in (item.speech, item.noise, item.mixture)]
        description = [item.id, *files, item.start, item.n_samples, item.snr_db]
        digest.update(json.dumps(description).encode())
    columns = {
        name: [getattr(item, name) for item in items]
        for name in ("speaker", "noise_type", "seen", "transcript")
    }
    ids = tuple(item.id for item in items)
    made_of = digest.hexdigest()[:32]
    info = ArrayInfo(out / f"{split}.npy", shape, config.sample_rate, ids, columns, axes, made_of)
    return ArrayPlan(info, tuple(items))
