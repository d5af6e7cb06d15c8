"""Speed of simulating rooms: the making of mixtures against pyroomacoustics alone, times the cores.

The anchor of the first row is the same shoebox written out with pyroomacoustics. That of the others
is what pyroomacoustics alone takes for the very rooms of the mixtures, in as many processes, which
run already; half of it is run before, half after ours. Ours starts its processes, reads speech and
noise, simulates, convolves, scales and writes the files of all microphones besides. The goal "at
the speed of pyroomacoustics times the cores" is taken as at most 1.10 times its time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pyroomacoustics as pra
import soundfile as sf

from evaluation.work.cli import available_cpus
from seloss.data.draw import generator
from seloss.data.mixing.make_mixtures import make_mixtures, plan_mixtures, read_corpora
from seloss.data.mixing.room_plan import MixingConfig
from seloss.data.mixing.rooms import GEOMETRIES, Scene, draw_scene, simulate
from tests.data import SAMPLE_RATE, noise_like, speech_like

from .command import run_benchmark
from .row import Goal, Row, row_of
from .timing import peak_memory, ratio, timed

GOAL = 1.10


def by_pyroomacoustics(scene: Scene) -> object:
    """Return the room responses of a scene, with nothing of ours."""
    material = pra.Material(scene.absorption)
    room = pra.ShoeBox(scene.size, fs=SAMPLE_RATE, materials=material, max_order=scene.max_order)
    room.add_microphone_array(scene.microphones.T)
    room.add_source(scene.speech)
    room.add_source(scene.noises[0])
    room.compute_rir()
    return room.rir


def write_corpora(folder: Path) -> tuple[Path, Path]:
    """Write six speakers with two utterances each, and noise of three kinds."""
    for speaker in range(6):
        for number in range(2):
            path = folder / "speech" / f"s{speaker}" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, speech_like(4.0, seed=10 * speaker + number), SAMPLE_RATE)
    for kind in ("pink", "white", "hum"):
        for number in range(3):
            path = folder / "noise" / kind / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, noise_like(6.0, seed=number, kind=kind), SAMPLE_RATE)
    return folder / "speech", folder / "noise"


def scenes_of(config: MixingConfig, keys: Sequence[tuple[object, ...]]) -> list[Scene]:
    """Return the rooms that mixtures of these keys are made in."""
    low, high = config.n_mics or GEOMETRIES[config.geometry].n_mics
    scenes = []
    for key in keys:
        draw = generator(config.seed, *key, "room")
        n_mics = int(draw.integers(low, high + 1))
        scene = draw_scene(
            draw,
            config.geometry,
            n_mics=n_mics,
            rt60_s=config.rt60_s,
            distance_m=config.distance_m,
            front_deg=config.front_deg,
        )
        scenes.append(scene)
    return scenes


def alone(options: argparse.Namespace) -> Row:
    """Return the row of one room on one core."""
    draw = np.random.default_rng(0)
    rt60_s = (0.15, 0.2) if options.quick else (0.3, 0.4)
    scene = draw_scene(draw, "binaural", n_mics=4, rt60_s=rt60_s, distance_m=(0.7, 2.0))
    steps: dict[str, Callable[[], object]] = {
        "ours": lambda: simulate(scene, SAMPLE_RATE),
        "anchor": lambda: by_pyroomacoustics(scene),
    }
    times = timed(steps, options, 1 / 2)
    memory = {name: peak_memory(step, options.device) for name, step in steps.items()}
    goal = Goal("times its time", 1 / ratio(times["ours"], times["anchor"]), GOAL, at_most=True)
    case = f"one room, {scene.rt60_s:.2f} s, 4 microphones, 2 sources, 1 core"
    return row_of(case, times, memory, anchor="pyroomacoustics", goals=(goal,))


def mixtures(geometry: str, folder: Path, options: argparse.Namespace) -> Row:
    """Return the row of mixtures made by all processes."""
    rt60_s = (0.15, 0.2) if options.quick else MixingConfig().rt60_s
    config = MixingConfig(geometry=geometry, rt60_s=rt60_s)
    corpora = read_corpora(*write_corpora(folder / "corpora"))
    count = 4 if options.quick else options.mixtures
    plans, _ = plan_mixtures(config, {"train": count}, corpora)
    scenes = scenes_of(config, [plan.key for plan in plans])

    def time_of(work: Callable[[], object]) -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    one_thread = partial(pra.constants.set, "num_threads", 1)
    with ProcessPoolExecutor(options.jobs, initializer=one_thread) as pool:

        def anchor(part: Sequence[Scene]) -> None:
            for _ in pool.map(by_pyroomacoustics, part):  # raises what any of them raises
                pass

        anchor(scenes[: options.jobs])  # starts the processes
        spent = time_of(lambda: anchor(scenes[::2]))
        jobs = {"jobs": options.jobs, "progress": False}
        ours = time_of(
            lambda: make_mixtures(folder / geometry, config, {"train": count}, corpora, **jobs)
        )
        spent += time_of(lambda: anchor(scenes[1::2]))
    ours, theirs = ours / count, spent / count
    written = sum(path.stat().st_size for path in (folder / geometry).rglob("*.wav"))
    return Row(
        f"{count} mixtures, {geometry}, {options.jobs} processes, each",
        ours,
        ours,
        anchor=f"pyroomacoustics, {options.jobs} processes",
        anchor_seconds=theirs,
        faster=theirs / ours,
        goals=(Goal("times its time", ours / theirs, GOAL, at_most=True),),
        note=f"with start, {written / count / 1e6:.1f} MB of files each",
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for a room and for each geometry."""
    pra.constants.set("num_threads", 1)
    yield alone(options)
    with tempfile.TemporaryDirectory() as folder:
        for geometry in ("binaural",) if options.quick else ("binaural", "adhoc"):
            yield mixtures(geometry, Path(folder), options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the number of mixtures and of processes."""
    cores = available_cpus()
    parser.add_argument("--mixtures", type=int, default=40, help="of each geometry (40)")
    parser.add_argument("--jobs", type=int, default=cores, help=f"processes ({cores})")


if __name__ == "__main__":
    sys.exit(run_benchmark(rows, __doc__, add_arguments=add_arguments))
