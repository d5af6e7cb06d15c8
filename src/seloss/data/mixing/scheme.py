"""Schemes of speakers, noises and ratios, like that of Voice Bank + DEMAND.

A scheme is a YAML file (``configs/voicebank_demand.yml``): speakers, noises and ratios of training
and test, which have none in common, and the speakers kept for validation::

    train: {speakers: [p226, ...], noises: [DKITCHEN, ...], snr_db: [15, 10, 5, 0]}
    test: {speakers: [p232, p257], noises: [TBUS, ...], snr_db: [17.5, 12.5, 7.5, 2.5]}
    valid_speakers: [p226, p287]
    artificial: [babble, ssn]
    artificial_seconds: 120
    repeats: {train: 1, valid: 1, test: 1}

``augment: {speed: [0.9, 1.1], level_db: [-35, -20]}`` holds for training mixed on the fly.

Every utterance meets ``repeats`` conditions (noise and ratio); a speaker's utterances share all
conditions evenly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seloss.data.corpus.splits import SPLITS
from seloss.data.formats.mixture import DataError, Problem

from .artificial import ARTIFICIAL

__all__ = ["NoiseScheme", "Part", "read_scheme"]


@dataclass(frozen=True)
class Part:
    """Speakers, noises and ratios of training or of the test."""

    speakers: tuple[str, ...]
    noises: tuple[str, ...]
    snr_db: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("speakers", "noises", "snr_db"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must be distinct and at least one; got {list(values)}")


@dataclass(frozen=True)
class NoiseScheme:
    """A scheme; every noise and speaker is in training or in the test, never in both."""

    train: Part
    test: Part
    valid_speakers: tuple[str, ...]
    artificial: tuple[str, ...] = ("babble", "ssn")
    artificial_seconds: float = 120.0
    repeats: Mapping[str, int] = field(default_factory=dict)
    augment: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        trained = {*self.train.noises, *self.artificial}
        for what, shared in (
            ("noise", trained & set(self.test.noises)),
            ("speaker", set(self.train.speakers) & set(self.test.speakers)),
        ):
            if shared:
                names = ", ".join(sorted(shared))
                raise ValueError(f"a {what} must not be in training and in the test; got {names}")
        if not self.valid_speakers or not set(self.valid_speakers) < set(self.train.speakers):
            raise ValueError("valid_speakers must be some, not all, of the training speakers")
        unknown = set(self.artificial) - ARTIFICIAL.keys()
        if unknown:
            names = ", ".join(ARTIFICIAL)
            raise ValueError(f"artificial must be some of {names}; got {', '.join(unknown)}")
        for split, count in self.repeats.items():
            if split not in SPLITS or not isinstance(count, int) or count < 1:
                raise ValueError(
                    f"repeats must be train, valid, test: 1 or more; got {split}: {count}"
                )

    def speakers(self, split: str) -> list[str]:
        """Return the speakers of a split."""
        if split == "test":
            return list(self.test.speakers)
        kept = set(self.valid_speakers)
        return [
            speaker for speaker in self.train.speakers if (speaker in kept) == (split == "valid")
        ]


def read_scheme(path: str | Path) -> NoiseScheme:
    """Return the scheme that a YAML file holds.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it cannot be used; says why.
    """
    path = Path(path)
    try:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        parts = {name: _part(spec, name) for name in ("train", "test")}
        fields = set(NoiseScheme.__dataclass_fields__)
        if set(spec) - fields:
            raise ValueError(
                f"the keys are {', '.join(sorted(fields))}; got {sorted(set(spec) - fields)}"
            )
        return NoiseScheme(
            **parts,
            valid_speakers=tuple(spec.get("valid_speakers") or ()),
            artificial=tuple(spec.get("artificial", ("babble", "ssn")) or ()),
            artificial_seconds=float(spec.get("artificial_seconds", 120)),
            repeats=spec.get("repeats") or {},
            augment={name: tuple(span) for name, span in (spec.get("augment") or {}).items()},
        )
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise DataError(str(path), [Problem(0, "scheme", str(error))]) from None


def _part(spec: Any, name: str) -> Part:
    keys = {"speakers", "noises", "snr_db"}
    if not isinstance(spec, dict) or not isinstance(spec.get(name), dict):
        raise ValueError(f"must hold '{name}' with {', '.join(sorted(keys))}")
    if spec[name].keys() != keys:
        raise ValueError(f"'{name}' must hold {', '.join(sorted(keys))}; got {list(spec[name])}")
    for key, value in spec[name].items():
        kind, words = ((int, float), "numbers") if key == "snr_db" else (str, "names")
        if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
            raise ValueError(f"'{name}.{key}' must be a list of {words}; got {value!r}")
    return Part(**{key: tuple(spec[name][key]) for key in keys})
