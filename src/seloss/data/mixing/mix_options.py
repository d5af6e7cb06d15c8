"""Options of mixing while training: rooms, several noises, colours, narrow bands, clipping.

They stand beside ``speech`` and ``noise`` in lists of sources, each of them optional::

    {"room_probability": 0.4, "target": "early", "noise_by": "seconds",
     "noise_counts": [0.7, 0.2, 0.1], "extra_noise_db": {"from": -10, "to": 0},
     "noise_speed": {"probability": 0.5, "from": 0.5, "to": 2},
     "equalise_db": {"probability": 0.3, "from": 2, "to": 8},
     "band_limit_hz": {"probability": 0.1, "from": 3000, "to": 7000},
     "clip_db": {"probability": 0.1, "from": 1, "to": 12}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .responses import TARGETS

__all__ = ["Chance", "MixOptions", "Span", "read_mix_options", "read_span"]

Span = tuple[float, float]
NOISE_BY = ("type", "file", "seconds")
_CHANCES = {
    "noise_speed": (0.25, 4.0),
    "equalise_db": (0.0, 40.0),
    "band_limit_hz": (100.0, math.inf),
    "clip_db": (0.0, 60.0),
}


@dataclass(frozen=True)
class Chance:
    """Something that happens to a share of the items, in a strength drawn from a range."""

    probability: float
    low: float
    high: float

    def draw(self, generator: np.random.Generator) -> float | None:
        """Return how strong it is for an item; None: the item is spared."""
        if generator.random() >= self.probability:
            return None
        return float(generator.uniform(self.low, self.high))


@dataclass(frozen=True)
class MixOptions:
    """How mixtures are made of their sources.

    Attributes:
        room_probability: Share of the items whose speech is in a room.
        target: Their target: ``dry``, ``early`` (with the reflections of the first 50 ms) or
            ``reverberant`` speech; what the mixture has beside it counts as noise.
        noise_by: What is drawn evenly: each ``type`` of noise, each ``file``, or each of their
            ``seconds``.
        noise_counts: Probabilities of one, two, three noises.
        extra_noise_db: Level of the second and third one, relative to the first.
        noise_speed: How many times faster a noise is played, its pitch rising.
        equalise_db: Most that a frequency of the speech (target too) and of the noise is changed.
        band_limit_hz: Highest frequency of mixture and target.
        clip_db: How far below its peak the mixture, not the target, is cut off.
    """

    room_probability: float = 0.0
    target: str = "early"
    noise_by: str = "type"
    noise_counts: tuple[float, ...] = (1.0,)
    extra_noise_db: Span = (-10.0, 0.0)
    noise_speed: Chance | None = None
    equalise_db: Chance | None = None
    band_limit_hz: Chance | None = None
    clip_db: Chance | None = None


def read_span(value: Any, name: str, limits: Span, *others: str) -> Span:
    """Return the ends of ``{"from": .., "to": ..}``.

    Raises:
        ValueError: It has other keys (than ``others``), or leaves the limits.
    """
    keys = {*others, "from", "to"}
    if not isinstance(value, dict) or value.keys() != keys:
        expected = ", ".join(f"'{key}': .." for key in (*others, "from", "to"))
        raise ValueError(f"{name!r} must be {{{expected}}}; got {value!r}")
    low, high = limits
    if not low <= value["from"] <= value["to"] <= high:
        raise ValueError(f"{name!r} must lie between {low:g} and {high:g}; got {value!r}")
    return float(value["from"]), float(value["to"])


def _probability(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{name!r} must be a probability from 0 to 1; got {value!r}")
    return float(value)


def _choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"{name!r} must be one of {', '.join(choices)}; got {value!r}")
    return str(value)


def _counts(value: Any) -> tuple[float, ...]:
    good = isinstance(value, list) and 1 <= len(value) <= 3
    shares = [_probability(share, "noise_counts") for share in value] if good else []
    if not good or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ValueError(
            "'noise_counts' must list the probabilities of one, two and three noises, which add up "
            f"to 1; got {value!r}"
        )
    return tuple(shares)


def _chance(spec: Mapping[str, Any], name: str) -> Chance | None:
    if name not in spec:
        return None
    low, high = read_span(spec[name], name, _CHANCES[name], "probability")
    return Chance(_probability(spec[name]["probability"], name), low, high)


def read_mix_options(spec: Mapping[str, Any]) -> MixOptions:
    """Return the options that lists of sources hold.

    Raises:
        ValueError: One of them is wrong; names it.
    """
    default = MixOptions()
    has_rooms = bool(spec.get("rooms"))
    probability = _probability(spec.get("room_probability", float(has_rooms)), "room_probability")
    if probability and not has_rooms:
        raise ValueError("'room_probability' needs 'rooms', a list of {'path': ...}")
    extra = spec.get("extra_noise_db", {"from": -10, "to": 0})
    return MixOptions(
        room_probability=probability,
        target=_choice(spec.get("target", default.target), "target", TARGETS),
        noise_by=_choice(spec.get("noise_by", default.noise_by), "noise_by", NOISE_BY),
        noise_counts=_counts(spec.get("noise_counts", [1])),
        extra_noise_db=read_span(extra, "extra_noise_db", (-60.0, 20.0)),
        **{name: _chance(spec, name) for name in _CHANCES},
    )
