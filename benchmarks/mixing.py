"""Speed of mixing while training: seconds of audio made in a second of one core.

Excerpts of 2 s of one microphone, of recordings that are in memory already: an utterance and a
noise; in a room besides (a response of 0.5 s, the early reflections as the target); and with all
options in every item (a room, three noises, colours of speech and noise, a narrower band,
clipping), which no training asks for; goal: 200 s. Excerpts of four microphones in simulated
rooms with one noise; goal: 60 s. Processor time of one process.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf

from seloss.data import open_dataset
from seloss.data.formats.batch import SizedDataset
from tests.data import SAMPLE_RATE

from .command import run_benchmark
from .data import write_lists
from .row import Goal, Row, row_of
from .timing import Times

GOAL, ARRAY_GOAL = 200.0, 60.0
SEGMENT_S, FILE_S, RESPONSE_S = 2.0, 4.0, 0.5
FILES = 12


def write_rooms(folder: Path) -> None:
    """Write the response of one microphone, and those of four for a talker and a noise."""
    draw = np.random.default_rng(0)
    times = np.arange(round(RESPONSE_S * SAMPLE_RATE)) / SAMPLE_RATE
    # 60 dB down after RESPONSE_S.
    decay = 10 ** (-3 * times / RESPONSE_S)
    taps = 0.1 * draw.standard_normal(len(times)) * decay
    taps[0] = 1.0
    sf.write(folder / "room.wav", taps, SAMPLE_RATE, subtype="FLOAT")
    for place in ("talker", "noise"):
        late = 0.1 * draw.standard_normal((4, len(times))) * decay
        late[:, :4] += np.eye(4)
        sf.write(folder / f"{place}.wav", late.T, SAMPLE_RATE, subtype="FLOAT")


def _always(low: float, high: float) -> dict[str, float]:
    return {"probability": 1.0, "from": low, "to": high}


def cases(folder: Path) -> Iterator[tuple[str, SizedDataset, float]]:
    """Yield the data sets by name, with their goals."""
    write_rooms(folder)
    levels = {"snr_db": {"from": -5, "to": 20}, "level_db": {"from": -36, "to": -16}}
    path = write_lists(folder, FILES, FILES, FILE_S, **levels)
    lists = json.loads(path.read_text(encoding="utf-8"))
    room = {"rooms": [{"path": str(folder / "room.wav")}], "target": "early"}
    everything = {
        **{"noise_counts": [0, 0, 1], "equalise_db": _always(2, 8)},
        **{"band_limit_hz": _always(3400, 7000), "clip_db": _always(1, 8)},
    }
    array = [{"path": str(folder / f"{place}.wav"), "room": "a"} for place in ("talker", "noise")]
    for name, options, goal in (
        ("speech and noise", {}, GOAL),
        ("in a room", room, GOAL),
        ("all options in every item", room | everything, GOAL),
        ("four microphones in a room", {"arrays": array}, ARRAY_GOAL),
    ):
        path.write_text(json.dumps(lists | options), encoding="utf-8")
        yield name, open_dataset(path, sample_rate=SAMPLE_RATE, segment_s=SEGMENT_S), goal


def measure(name: str, dataset: SizedDataset, needed: float, budget_s: float) -> Row:
    """Return the row of a data set."""
    for index in range(len(dataset)):  # decodes what is decoded once
        dataset[(0, index)]
    times, epoch, began = Times(), 0, time.process_time()
    while not epoch or time.process_time() - began < budget_s:
        epoch += 1
        start = time.process_time()
        samples = sum(dataset[(epoch, i)].mixture.shape[-1] for i in range(len(dataset)))
        spent = time.process_time() - start
        times.seconds.append(spent * SAMPLE_RATE / samples)  # of a second of audio
    goal = Goal("s of audio a second", 1 / times.median, needed)
    return row_of(name, {"ours": times}, goals=(goal,), note="time of one second of audio")


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each way to mix."""
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(Path(folder)):
            yield measure(*case, 0.0 if options.quick else options.budget / 4)


if __name__ == "__main__":
    sys.exit(run_benchmark(rows, __doc__))
