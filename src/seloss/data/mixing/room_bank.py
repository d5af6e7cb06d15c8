"""Bank of simulated room responses: drawn once, met in thousands of mixtures while training."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seloss.data.corpus.listing import write_listing
from seloss.data.draw import generator
from seloss.data.formats.audio import write_audio
from seloss.data.formats.preparation import claim_folder, progress_bar

from .process_pool import run_tasks
from .room_plan import MixingConfig
from .rooms import simulate

__all__ = ["make_room_bank"]

_LISTING = "rir.csv"
#: Peak of a room's loudest response, of full scale.
_PEAK = 0.9


def _make_room(
    index: int, config: MixingConfig, n_noises: int, folder: Path
) -> list[dict[str, Any]]:
    """Simulate a room, write its files where they are missing, return their listing."""
    draw = generator(config.seed, "room", index)
    scene = config.draw_scene(draw, n_noises)
    names = ["talker.flac", *(f"noise{number}.flac" for number in range(n_noises))]
    if not all((folder / name).is_file() for name in names):
        responses = simulate(scene, config.sample_rate)
        longest = max(len(taps) for source in responses for taps in source)
        signals = np.zeros((len(responses), len(scene.microphones), longest))
        for source, microphone in np.ndindex(signals.shape[:2]):
            taps = responses[source][microphone]
            signals[source, microphone, : len(taps)] = taps
        signals *= _PEAK / np.abs(signals).max()
        folder.mkdir(exist_ok=True)
        for name, signal in zip(names, signals, strict=True):
            write_audio(folder / name, signal, config.sample_rate, subtype="PCM_24")
    facts = {"room": folder.name, "rt60_s": round(scene.rt60_s, 4)}
    facts |= {"distance_m": round(scene.distance_m, 3)}
    return [{"path": f"{folder.name}/{name}", **facts} for name in names]


def make_room_bank(
    out: str | Path,
    config: MixingConfig,
    n_rooms: int,
    n_noises: int,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Path:
    """Make the rooms that are not there yet and list them in ``rir.csv``.

    A room is a folder with ``talker.flac`` and ``noise0.flac``, ``noise1.flac`` and so on, a
    channel for each microphone. Room i depends on the seed and i alone: more rooms change none.

    Args:
        out: Folder.
        config: Geometry, ranges, sampling rate and seed; nothing else of it matters.
        n_rooms: How many rooms.
        n_noises: Places of noises in each.
        jobs: Processes; None: one per core.
        overwrite: Whether rooms made with other settings are replaced.
        progress: Whether to show a progress bar; by default on a terminal.

    Returns:
        The listing.

    Raises:
        ValueError: A number is not positive, or no room fits the ranges.
        DataError: ``out`` holds rooms of other settings.
    """
    if n_rooms < 1 or n_noises < 1:
        raise ValueError(f"rooms and noises must be 1 or more; got {n_rooms} and {n_noises}")
    out = Path(out)
    names = [f"room{index:05d}" for index in range(n_rooms)]
    geometry = ("geometry", "n_mics", "rt60_s", "distance_m", "front_deg", "sample_rate", "seed")
    settings = {name: asdict(config)[name] for name in geometry} | {"noises": n_noises}
    tasks = {
        name: partial(_make_room, index, config, n_noises, out / name)
        for index, name in enumerate(names)
    }
    with (
        claim_folder(out, settings, [*names, _LISTING], overwrite=overwrite),
        progress_bar("rooms", "room", n_rooms, progress) as bar,
    ):
        rooms = run_tasks(tasks, out, jobs, bar)
        write_listing(out / _LISTING, (row for name in names for row in rooms[name]))
    return out / _LISTING
