"""Simulated rooms with microphones, a talker and noises in them (image sources).

Nothing shades a microphone: all geometries are free-field, the binaural one too. It has the
positions of the microphones of two hearing aids but no head between them; measured responses
(``rir`` of the mixing) have one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asteroid.utils.optional import needed_for
from asteroid.utils.registry import check_choice

with needed_for("a simulated room"):
    import pyroomacoustics as pra

__all__ = ["GEOMETRIES", "Geometry", "Scene", "draw_scene", "measured_rt60", "simulate"]

Array = NDArray[np.float64]
#: Lowest and highest length, width and height of a room in metres: from an office to a seminar
#: room.
ROOM_M = ((3.0, 8.0), (3.0, 7.0), (2.4, 3.6))
#: Height of heads and arrays in metres: people who sit or stand.
HEIGHT_M = (1.1, 1.8)
#: Least distance in metres of anything from a wall.
MARGIN_M = 0.3
#: Least distance in metres of a source from any microphone.
NEAR_M = 0.1
#: Least angle between talker and noise, seen from the microphones.
APART_DEG = 30.0
#: How far to either side of where the wearer looks the talker of the binaural geometry may be.
FRONT_DEG = 60.0
#: Lowest microphone of an ad-hoc array: one that lies on a table.
TABLE_M = 0.7
EAR_DISTANCE_M = 0.16
#: Between the front and the rear microphone of one hearing aid.
AID_SPACING_M = 0.010
CIRCLE_RADIUS_M = 0.05
_TRIES = 400


class Pose(NamedTuple):
    """Where an array stands: the room's size, the array's centre (metres) and the way it looks."""

    size: Array
    centre: Array
    yaw: float


def _turn(positions: Array, pose: Pose) -> Array:
    """Return relative positions (n, 3) turned about the vertical and moved to their place."""
    cos, sin = np.cos(pose.yaw), np.sin(pose.yaw)
    # Positions are rows, so this is the transpose of the usual matrix of a rotation.
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    return np.asarray(pose.centre + positions @ turn)


def _binaural(n_mics: int, pose: Pose, draw: np.random.Generator) -> Array:
    """Front left, front right, rear left, rear right of a wearer who looks along the yaw."""
    ahead, left = AID_SPACING_M / 2, EAR_DISTANCE_M / 2
    aids = np.array([[x, y, 0.0] for x in (ahead, -ahead) for y in (left, -left)])
    return _turn(aids[:n_mics], pose)


def _circular(n_mics: int, pose: Pose, draw: np.random.Generator) -> Array:
    angles = 2 * np.pi * np.arange(n_mics) / n_mics
    ring = [np.cos(angles), np.sin(angles), np.zeros(n_mics)]
    return _turn(CIRCLE_RADIUS_M * np.stack(ring, axis=1), pose)


def _adhoc(n_mics: int, pose: Pose, draw: np.random.Generator) -> Array:
    """The first at the centre, the others anywhere at heights of heads and tables."""
    low, high = np.full(3, MARGIN_M), pose.size - MARGIN_M
    low[2], high[2] = max(low[2], TABLE_M), min(high[2], HEIGHT_M[1])
    return np.concatenate([pose.centre[None], draw.uniform(low, high, (n_mics - 1, 3))])


@dataclass(frozen=True)
class Geometry:
    """An array of microphones.

    Attributes:
        place: Number of microphones, pose and generator -> positions (mics, 3) in metres.
        n_mics: Least and most microphones by default.
        limits: Least and most it can have.
        front_deg: How far from straight ahead the talker may be.
    """

    place: Callable[[int, Pose, np.random.Generator], Array]
    n_mics: tuple[int, int]
    limits: tuple[int, int]
    front_deg: float = 180.0


GEOMETRIES = {
    "binaural": Geometry(_binaural, (4, 4), (2, 4), FRONT_DEG),
    "adhoc": Geometry(_adhoc, (2, 6), (1, 32)),
    "circular": Geometry(_circular, (6, 6), (1, 32)),
}


@dataclass(frozen=True)
class Scene:
    """A room with everything in its place; lengths in metres, positions (n, 3)."""

    size: Array
    rt60_s: float
    absorption: float
    max_order: int
    microphones: Array
    speech: Array
    noises: Array
    distance_m: float


def _around(centre: Array, angle: float, distance: float, draw: np.random.Generator) -> Array:
    """Return a point at a distance, at most 20 degrees above or below."""
    elevation = np.deg2rad(draw.uniform(-20, 20))
    flat = np.cos(elevation) * np.array([np.cos(angle), np.sin(angle)])
    return centre + distance * np.array([*flat, np.sin(elevation)])


def _inside(points: Array, size: Array) -> bool:
    return bool(np.all(points >= MARGIN_M) and np.all(points <= size - MARGIN_M))


def _try_scene(
    draw: np.random.Generator,
    kind: Geometry,
    n_mics: int,
    rt60_s: float,
    distance_m: tuple[float, float],
    front_deg: float,
    n_noises: int,
) -> Scene | None:
    size = np.array([draw.uniform(low, high) for low, high in ROOM_M])
    try:
        absorption, order = pra.inverse_sabine(rt60_s, size)
    except ValueError:  # the room is too large to be that dry
        return None
    centre = np.array([*draw.uniform(MARGIN_M, size[:2] - MARGIN_M), draw.uniform(*HEIGHT_M)])
    yaw = draw.uniform(-np.pi, np.pi)
    microphones = kind.place(n_mics, Pose(size, centre, yaw), draw)
    distance = draw.uniform(*distance_m)
    front, apart = np.deg2rad(front_deg), np.deg2rad(APART_DEG)
    angle = yaw + draw.uniform(-front, front)
    speech = _around(centre, angle, distance, draw)
    noises = [
        _around(
            centre, angle + draw.uniform(apart, 2 * np.pi - apart), draw.uniform(*distance_m), draw
        )
        for _ in range(n_noises)
    ]
    sources = np.stack([speech, *noises])
    gaps = np.linalg.norm(microphones[:, None] - sources, axis=-1)
    if gaps.min() < NEAR_M or not _inside(np.concatenate([microphones, sources]), size):
        return None  # another try: none of it is moved, which would favour some places
    walls = float(absorption), int(order)
    return Scene(size, rt60_s, *walls, microphones, speech, sources[1:], distance)


def draw_scene(
    draw: np.random.Generator,
    geometry: str,
    *,
    n_mics: int,
    rt60_s: tuple[float, float],
    distance_m: tuple[float, float],
    front_deg: float | None = None,
    n_noises: int = 1,
) -> Scene:
    """Draw a room and places in it; the reverberation time is uniform in its range.

    Args:
        draw: Generator.
        geometry: One of `GEOMETRIES`.
        n_mics: Number of microphones.
        rt60_s: Range of the reverberation time in seconds.
        distance_m: Range of the distance of talker and noises from the array (ad-hoc: from its
            first microphone).
        front_deg: How far from straight ahead the talker may be; None: the geometry's own.
        n_noises: Number of noises, each at least ``APART_DEG`` from the talker.

    Raises:
        ValueError: If no room can have that reverberation time and these distances.
    """
    check_choice("geometry", geometry, GEOMETRIES)
    requested = float(draw.uniform(*rt60_s))
    kind = GEOMETRIES[geometry]
    front_deg = kind.front_deg if front_deg is None else front_deg
    for _ in range(_TRIES):
        scene = _try_scene(draw, kind, n_mics, requested, distance_m, front_deg, n_noises)
        if scene is not None:
            return scene
    raise ValueError(
        f"no room of {ROOM_M} m has an RT60 of {requested:.2f} s, {n_mics} microphones "
        f"and sources {distance_m} m away; shorten the distance or lengthen the reverberation"
    )


def simulate(scene: Scene, sample_rate: int) -> list[list[Array]]:
    """Return the responses of a scene, ``[speech, *noises][microphone]``, each (taps,)."""
    room = pra.ShoeBox(
        scene.size,
        fs=sample_rate,
        materials=pra.Material(scene.absorption),
        max_order=scene.max_order,
    )
    room.add_microphone_array(scene.microphones.T)
    places = (scene.speech, *scene.noises)
    for position in places:
        room.add_source(position)
    room.compute_rir()
    return [
        [np.asarray(at_mic[source], dtype=np.float64) for at_mic in room.rir]
        for source in range(len(places))
    ]


def measured_rt60(response: Array, sample_rate: int) -> float:
    """Return the reverberation time in seconds of a response (taps,), from 20 dB of its decay.

    NaN where a response does not decay that far or at once, as an echo or an anechoic one.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        try:
            rt60_s = float(pra.experimental.measure_rt60(response, fs=sample_rate, decay_db=20))
        except (IndexError, ValueError):
            return float("nan")
    return rt60_s if np.isfinite(rt60_s) else float("nan")
