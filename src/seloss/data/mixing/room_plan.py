"""Plans of mixtures in rooms: settings, and recordings, SNR and level of each mixture.

Everything about mixture ``i`` of a split is drawn from ``(seed, split, i)``, so it does not depend
on how many there are or who makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asteroid.utils.registry import check_choice
from seloss.data.corpus.recording import Recording
from seloss.data.draw import generator
from seloss.data.formats.mixture import DataError, Problem

from .rooms import GEOMETRIES, Scene, draw_scene

__all__ = ["MixingConfig", "Plan", "draw_plan"]


@dataclass(frozen=True)
class MixingConfig:
    """How mixtures are made; ranges are (lowest, highest), drawn from uniformly.

    Attributes:
        geometry: ``binaural``, ``adhoc`` or ``circular``.
        n_mics: Number of microphones; None: the geometry's own.
        seconds: Length of training mixtures; utterances of one speaker are strung together to fill
            it.
        max_seconds: Longest mixture for validation and test, which hold one utterance each.
        rt60_s: Reverberation time.
        snr_db: Signal-to-noise ratio at the reference microphone.
        distance_m: Of talker and noise from the array.
        front_deg: How far to either side of straight ahead the talker may be; None: the geometry's
            own, 60 for ``binaural``, anywhere for the others.
        speed: Factor by which the speech of a training mixture is played faster, which moves pitch
            and formants too and so makes more voices of few (Ko et al., "Audio augmentation for
            speech recognition", Interspeech 2015).
        level_db: Level of the mixture at the reference microphone in dB of full scale, less where
            it would clip.
        sample_rate: In Hz.
        seed: Of everything.
    """

    geometry: str = "binaural"
    n_mics: tuple[int, int] | None = None
    seconds: float = 4.0
    max_seconds: float = 10.0
    rt60_s: tuple[float, float] = (0.15, 0.5)
    snr_db: tuple[float, float] = (-5.0, 10.0)
    distance_m: tuple[float, float] = (0.7, 2.0)
    front_deg: float | None = None
    speed: tuple[float, float] = (1.0, 1.0)
    level_db: tuple[float, float] = (-32.0, -22.0)
    sample_rate: int = 16000
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field, so that a wrong one is refused at once.

        Raises:
            ValueError: Says which field, what it must be and what it is.
        """
        check_choice("geometry", self.geometry, GEOMETRIES)
        least, most = GEOMETRIES[self.geometry].limits
        limits = {
            "n_mics": (least, most),
            "rt60_s": (0.05, 3.0),
            "snr_db": (-40.0, 40.0),
            "distance_m": (0.1, 6.0),
            "speed": (0.5, 2.0),
            "level_db": (-60.0, -6.0),
            "front_deg": (0.0, 180.0),
            "seconds": (0.5, 600.0),
            "max_seconds": (0.5, 600.0),
            "sample_rate": (8000, 48000),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            bounds = value if isinstance(value, tuple) else (value, value)
            if value is not None and not low <= bounds[0] <= bounds[1] <= high:
                raise ValueError(
                    f"{name} must lie between {low:g} and {high:g}, lowest first; got {value!r}"
                )

    def draw_scene(self, draw: np.random.Generator, n_noises: int = 1) -> Scene:
        """Draw the number of microphones, a room and the places in it."""
        low, high = self.n_mics or GEOMETRIES[self.geometry].n_mics
        return draw_scene(
            draw,
            self.geometry,
            n_mics=int(draw.integers(low, high + 1)),
            rt60_s=self.rt60_s,
            distance_m=self.distance_m,
            front_deg=self.front_deg,
            n_noises=n_noises,
        )


@dataclass(frozen=True)
class Plan:
    """What one mixture is made of, before any audio is read."""

    split: str
    index: int
    utterances: tuple[Recording, ...]
    noise: Recording
    responses: tuple[Recording, Recording] | None
    snr_db: float
    level_db: float

    @property
    def id(self) -> str:
        """Name of the mixture, of its folder and in the manifest."""
        return f"{self.split}-{self.index:05d}"

    @property
    def key(self) -> tuple[str, int]:
        """What its draws depend on, beside the seed."""
        return (self.split, self.index)


def _pick_group(pool: Sequence[Recording], draw: np.random.Generator) -> list[Recording]:
    """Draw a speaker or noise type, with a weight that is the root of how much there is of it."""
    groups: dict[str, list[Recording]] = {}
    for recording in pool:
        groups.setdefault(recording.group, []).append(recording)
    names = sorted(groups)
    weights = np.sqrt([sum(recording.seconds for recording in groups[name]) for name in names])
    return groups[names[int(draw.choice(len(names), p=weights / weights.sum()))]]


def _pick_responses(
    pool: Sequence[Recording], draw: np.random.Generator
) -> tuple[Recording, Recording]:
    """Draw two responses of one room with equally many channels."""
    rooms: dict[tuple[str, int], list[Recording]] = {}
    for recording in pool:
        rooms.setdefault((recording.group, recording.channels), []).append(recording)
    usable = [rooms[room] for room in sorted(rooms) if len(rooms[room]) > 1]
    if not usable:
        what = "no room has two responses (talker, noise) with equally many channels"
        raise DataError("rir", [Problem(0, "room", what)])
    room = usable[int(draw.integers(len(usable)))]
    first, second = draw.choice(len(room), 2, replace=False)
    return room[int(first)], room[int(second)]


def draw_plan(
    config: MixingConfig,
    split: str,
    index: int,
    *,
    speech: Sequence[Recording],
    noise: Sequence[Recording],
    rir: Sequence[Recording] = (),
) -> Plan:
    """Draw what mixture ``index`` of a split is made of, from the pools of that split."""
    draw = generator(config.seed, split, index, "plan")
    mine = _pick_group(speech, draw)
    chosen = [mine[int(draw.integers(len(mine)))]]
    while split == "train" and sum(recording.seconds for recording in chosen) < config.seconds:
        chosen.append(mine[int(draw.integers(len(mine)))])
    kind = _pick_group(noise, draw)
    return Plan(
        split,
        index,
        tuple(chosen),
        kind[int(draw.integers(len(kind)))],
        _pick_responses(rir, draw) if rir else None,
        float(draw.uniform(*config.snr_db)),
        float(draw.uniform(*config.level_db)),
    )
