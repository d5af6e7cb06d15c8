"""Waiting times of training steps for their batches: does a loader keep up with a GPU?

Batches are those of the recipes, from workers as many as cores: excerpts of 3 s, 15 at a time, of a
manifest of WAV files, of an array (.npy) and mixed on the fly, for DCCRN; and of four microphones,
4 s, 2 at a time, for FaSNet-TAC. A step takes its batch and then lets the loader's processes have
the cores, as one that runs on a GPU does. On a GPU it is the network's training step; else it
sleeps for as long as a GPU of 9.75e12 products a second (an A100's peak in float32; no step on it
is shorter) needs for the products of the network's training step, counted here. With a GPU a thread
of the loader takes the batches off the workers and pins them; else a thread of ours takes them.

Share of waiting: time until a batch is there over time of everything, once the workers run; goal:
below 5 %. The first batch of an epoch, which nobody could make before, is reported by
itself: epochs are short here. "time" is that of an item when nothing is done with the batches; the
anchor is nothing but reading the same samples, in this process, times the workers. Files are in the
system's cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile as sf
import torch
from torch import nn

from asteroid.models import DCCRN, FasNetTAC
from evaluation.work.cli import available_cpus
from seloss.data import open_dataset
from seloss.data.formats.array import ArrayInfo
from seloss.data.formats.array_writer import ArrayWriter
from seloss.data.formats.batch import SizedDataset
from seloss.data.load.loader import build_loader
from tests.data import SAMPLE_RATE, make_manifest, noise_like, speech_like

from .command import run_benchmark
from .fasnet import SMALL
from .limits import bandwidth, count_pairs
from .loader_time import epoch_time, waiting
from .networks import training_step
from .row import Goal, Limit, Row, row_of
from .timing import Times

GPU_PAIRS_PER_S = 9.75e12
SHARE_GOAL = 5.0
ITEM_S = 4.5
TURNS = 10


class Kind(NamedTuple):
    """A data set, the batches a recipe makes of it, and the network that they are for."""

    name: str
    path: Path
    batch: int
    seconds: float
    mics: int
    network: str
    plainly: Callable[[Path, int], object]


def _write_waves(folder: Path, count: int, mics: int) -> Path:
    """Write a manifest that names every file `TURNS` times: an epoch is not over at once."""
    path = make_manifest(folder, n_items=-(-count // TURNS), n_mics=mics, seconds=ITEM_S)
    entries = json.loads(path.read_text(encoding="utf-8"))
    spec = [{**item, "id": f"{item['id']}-{turn}"} for turn in range(TURNS) for item in entries]
    path.write_text(json.dumps(spec[:count]), encoding="utf-8")
    return path


def write_lists(folder: Path, n_speech: int, n_noise: int, seconds: float, **options: Any) -> Path:
    """Write utterances, noises, and the file of lists that mixtures are made of on the fly."""
    spec: dict[str, Any] = {"sample_rate": SAMPLE_RATE, **options}
    folder.mkdir(exist_ok=True)
    for part, count, make in (("speech", n_speech, speech_like), ("noise", n_noise, noise_like)):
        paths = [folder / f"{part}{index}.wav" for index in range(count)]
        for index, path in enumerate(paths):
            sf.write(path, make(seconds, seed=index), SAMPLE_RATE, subtype="PCM_16")
        spec[part] = [
            {"path": str(path), "id": path.stem, "noise_type": f"type {index % 4}"}
            for index, path in enumerate(paths)
        ]
    (folder / "lists.json").write_text(json.dumps(spec), encoding="utf-8")
    return folder / "lists.json"


def _write_array(folder: Path, count: int) -> Path:
    samples = round(ITEM_S * SAMPLE_RATE)
    ids = tuple(f"item{index}" for index in range(count))
    pairs, speech = [], [speech_like(ITEM_S, seed=index) for index in range(10)]
    for index in range(count):
        clean = np.roll(speech[index % len(speech)], index)
        pairs.append(np.stack([clean + 0.1 * np.roll(clean, 999), clean]))
    with ArrayWriter(ArrayInfo(folder / "a.npy", (count, 2, samples), SAMPLE_RATE, ids)) as writer:
        writer.write(pairs, [{"snr_db": 20.0}] * count)
        writer.finish()
    return folder / "a.npy"


def _read_waves(manifest: Path, samples: int) -> None:
    """Read the first samples of every file that a manifest's items need."""
    for entry in json.loads(manifest.read_text(encoding="utf-8")):
        mics = sorted(key for key in entry if key.isdecimal())
        files = [entry[mic]["mixture"] for mic in mics]
        for name in [*files, entry["1"]["speech"], entry["1"]["noise"]]:
            sf.read(manifest.parent / name, frames=samples, dtype="float32")


def _read_array(path: Path, samples: int) -> None:
    for row in np.load(path, mmap_mode="r"):
        row[:, :samples].copy()


def _read_lists(path: Path, samples: int) -> None:
    """Read an utterance and as much of a noise for each item."""
    spec = json.loads(path.read_text(encoding="utf-8"))
    for index, entry in enumerate(spec["speech"] * spec["repeats"]):
        noise = spec["noise"][index % len(spec["noise"])]
        for recording in (entry, noise):
            sf.read(recording["path"], frames=samples, dtype="float32")


def kinds(folder: Path, quick: bool) -> list[Kind]:
    """Write the data sets and return them."""
    count, batch = (6, 2) if quick else (300, 15)
    waves = _write_waves(folder / "wav", count, 1)
    arrays = _write_waves(folder / "mics", count // 2, 4)
    fly = {"snr_db": [0, 5, 10, 15], "repeats": TURNS}
    lists = write_lists(folder / "fly", -(-count // TURNS), 8, ITEM_S, **fly)
    array = _write_array(folder, -(-2 * count // 3))
    return [
        Kind("WAV files", waves, batch, 3.0, 1, "DCCRN", _read_waves),
        Kind("array", array, batch, 3.0, 1, "DCCRN", _read_array),
        Kind("mixed on the fly", lists, batch, 3.0, 1, "DCCRN", _read_lists),
        Kind("WAV files, 4 microphones", arrays, 2, 4.0, 4, "FaSNet-TAC", _read_waves),
    ]


def _network(kind: Kind, quick: bool) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Return a network and an input of one second for it."""
    samples = SAMPLE_RATE
    if kind.network == "DCCRN":
        return DCCRN(), (torch.randn(kind.batch, samples),)
    sizes: dict[str, Any] = SMALL if quick else {}
    mics = torch.full((kind.batch,), kind.mics)
    return FasNetTAC(n_src=2, **sizes), (torch.randn(kind.batch, kind.mics, samples), mics)


def gpu_step(
    kind: Kind, device: torch.device, quick: bool, counted: dict[str, float]
) -> tuple[Callable[[], object], float]:
    """Return what a step does while it needs no core, and how long that takes.

    Products grow with the length and the batch, so they are counted for one second of one mixture;
    ``counted`` keeps them for the next data set.
    """
    single = kind._replace(batch=1) if device.type == "cpu" else kind
    network, inputs = _network(single, quick)
    if device.type == "cuda":
        network, inputs = network.to(device), tuple(each.to(device) for each in inputs)
        inputs = (inputs[0].repeat_interleave(round(kind.seconds), -1), *inputs[1:])
        train = training_step(network, *inputs)

        def step() -> None:
            train()
            torch.cuda.synchronize(device)

        step()
        began = time.perf_counter()
        step()
        return step, time.perf_counter() - began
    if kind.network not in counted:
        counted[kind.network] = count_pairs(training_step(network, *inputs))
    seconds = counted[kind.network] * kind.batch * kind.seconds / GPU_PAIRS_PER_S
    return lambda: time.sleep(seconds), seconds


def batch_cost(dataset: SizedDataset, kind: Kind) -> float:
    """Return the processor time of a batch in seconds, made in this process."""
    loader = _loader(dataset, kind, 0)
    epoch_time(loader, 0.0)  # opens what is opened once
    began = time.process_time()
    epoch_time(loader, 0.0)
    return (time.process_time() - began) / len(loader)


def _loader(dataset: SizedDataset, kind: Kind, workers: int) -> Any:
    return build_loader(dataset, kind.batch, shuffle=True, num_workers=workers)


def measure(kind: Kind, options: argparse.Namespace, counted: dict[str, float]) -> Row:
    """Return the row of a data set."""
    workers = options.workers
    dataset = open_dataset(
        kind.path, sample_rate=SAMPLE_RATE, segment_s=kind.seconds, max_mics=kind.mics
    )
    samples = round(kind.seconds * SAMPLE_RATE)
    loader = _loader(dataset, kind, workers)
    epoch_time(loader, 0.0)  # starts the workers
    ours, plain = Times(), Times()
    rounds = 1 if options.quick else 3
    for _ in range(rounds):
        ours.seconds.append(epoch_time(loader, options.budget / 20) / len(dataset))
        began = time.perf_counter()
        kind.plainly(kind.path, samples)
        plain.seconds.append((time.perf_counter() - began) / len(dataset) / max(workers, 1))
    step, step_s = gpu_step(kind, options.device, options.quick, counted)
    waits = waiting(loader, step, options.budget / 2)
    share, cost_s = 100 * waits.waited / waits.whole, batch_cost(dataset, kind)
    busy = 100 * cost_s / (step_s * max(workers, 1))
    size = 4 * samples * (kind.mics + 2)
    return row_of(
        f"{kind.name}: {workers} workers, {kind.batch} x {kind.seconds:g} s",
        {"ours": ours, "anchor": plain},
        anchor="reading alone x workers",
        goals=(Goal("waiting, %,", share, SHARE_GOAL, at_most=True),),
        limit=Limit(0.0, 2.0 * size, 0.0, 2.0 * size / options.bytes_per_s),
        note=f"{1 / ours.median:.0f} items/s; {waits.steps} steps of {kind.network}, "
        f"{'measured' if options.device.type == 'cuda' else 'simulated'}, of "
        f"{1000 * step_s:.0f} ms each waited for {1000 * waits.waited / waits.steps:.2f} ms, "
        f"the first of an epoch for {1000 * waits.first:.0f} ms; a batch costs "
        f"{1000 * cost_s:.1f} ms of processor time, {busy:.0f} % of the workers' in a step",
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each kind of data set."""
    torch.manual_seed(0)
    options.bytes_per_s = bandwidth(torch.device("cpu"), "wall", torch.get_num_threads())
    counted: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds(Path(folder), options.quick):
            yield measure(kind, options, counted)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the number of workers."""
    cores = available_cpus()
    parser.add_argument("--workers", type=int, default=cores, help=f"of the loader ({cores})")


if __name__ == "__main__":
    sys.exit(run_benchmark(rows, __doc__, add_arguments=add_arguments))
