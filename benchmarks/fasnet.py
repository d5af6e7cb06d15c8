"""Time and memory of FaSNet-TAC: ours against Asteroid 0.7.0's, in one process.

Both networks have the same weights and get the same input; their steps take turns, so that other
load on the machine meets both alike. Each training row is one batch: four microphones; four padded
to six, as Asteroid's TAC recipe feeds every mixture; a batch of arrays of two to six microphones,
one each, of a quarter the length.

On a CPU these steps are then timed again as the engine trains: the process keeps the memory that it
frees. As that cannot be undone, the anchor's times are those of before, not of turns; the note says
what the anchor takes when its memory is kept as well.

    python -m benchmarks.fasnet --threads 1 --clock cpu

Where a step's time goes (one core, default sizes, four microphones of 4 s, 3.3 s with memory kept):
57 % LSTMs in oneDNN, at three quarters of the rate of a large matrix product, and 25 % other matrix
products. Nothing else reaches 4 %, so three times the anchor's speed on padded arrays would take
nearly the rate of a large product from start to end. README.md lists what was tried.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.abc import InspectLoader
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asteroid.models import FasNetTAC
from asteroid.utils.allocator import keep_freed_memory

from .command import run_benchmark
from .networks import Pair, compare_inference, compare_training, training_step
from .row import Goal, Row
from .table import format_seconds
from .timing import Times, timed

WHEEL = "external_repo/asteroid/.cache/asteroid-0.7.0-py3-none-any.whl"
#: Name -> microphones of each array, those of the padded batch, part of the length, goal on a CPU.
CASES = {
    "4 microphones": ((4,), 4, 1.0, 1.5),
    "4 of 6": ((4,), 6, 1.0, 3.0),
    "2 to 6 of 6": ((2, 3, 4, 5, 6), 6, 0.25, 3.0),
}
GPU_GOAL = 3.0
SMALL = {"enc_dim": 8, "feature_dim": 8, "hidden_dim": 8, "n_layers": 1}


def upstream_fasnet() -> type[nn.Module]:
    """Return the unmodified network of the pinned release, read from its wheel.

    Raises:
        FileNotFoundError: The wheel is neither where the assembly keeps it nor where
            ``SELOSS_ASTEROID_WHEEL`` says.
    """
    kept = Path(__file__).resolve().parent.parent / WHEEL
    wheel = Path(os.environ.get("SELOSS_ASTEROID_WHEEL", kept))
    if not wheel.is_file():
        raise FileNotFoundError(f"{wheel}: install the project again to fetch it")
    name = "asteroid.models._upstream_fasnet"
    spec = importlib.util.spec_from_loader(name, _WheelLoader(wheel))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    network: type[nn.Module] = module.FasNetTAC
    return network


class _WheelLoader(InspectLoader):
    """Loads ``fasnet.py`` from a wheel as a sibling of the installed models."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel

    def is_package(self, fullname: str) -> bool:
        return False

    def get_source(self, fullname: str) -> str:
        with zipfile.ZipFile(self.wheel) as archive:
            return archive.read("asteroid/models/fasnet.py").decode("utf-8")


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each batch, and one for inference."""
    device, generator = options.device, torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    sizes: dict[str, Any] = SMALL if options.quick else {}
    seconds = 0.5 if options.quick else options.seconds
    ours = FasNetTAC(n_src=2, **sizes).to(device)
    theirs = upstream_fasnet()(n_src=2, **sizes).to(device)
    theirs.load_state_dict(ours.state_dict())
    timed = []
    for name, (counts, padded, part, goal) in CASES.items():
        valid_mics = torch.tensor(counts * options.batch)
        shape = (len(valid_mics), padded, int(seconds * part * 16000))
        mixture = 0.1 * torch.randn(shape, generator=generator)
        for array, count in zip(mixture, valid_mics, strict=True):
            array[count:] = 0
        pair = Pair(ours, theirs, (mixture.to(device), valid_mics), len(mixture) * seconds * part)
        goal = GPU_GOAL if device.type == "cuda" else goal
        row = compare_training(f"{name}, training step", pair, options, goal)
        timed.append((row, pair))
        yield row
        if padded == 4:
            yield compare_inference(f"{name}, inference", pair, options)
    if device.type == "cpu" and keep_freed_memory():
        for row, pair in timed:
            yield _as_trained(row, pair, options)


def _as_trained(row: Row, pair: Pair, options: argparse.Namespace) -> Row:
    """Time our step of a row again, now that the process keeps the memory that it frees."""
    pair.ours.train()

    def time_of(network: nn.Module, least: int) -> Times:
        steps = {"step": training_step(network, *pair.inputs)}
        return timed(steps, options, 1 / 4, least=1 if options.quick else least)["step"]

    times, theirs = time_of(pair.ours, 3), time_of(pair.theirs, 1)
    assert row.anchor_seconds is not None
    faster = row.anchor_seconds / times.median
    return replace(
        row,
        case=f"{row.case}, freed memory kept",
        seconds=times.median,
        best=times.best,
        memory=None,
        anchor_memory=None,
        faster=faster,
        goals=(Goal("times faster", faster, row.goals[0].bound),),
        note="as the engine trains; the anchor as it is, timed before; with its freed memory kept "
        f"too it takes {format_seconds(theirs.best)}, {theirs.best / times.median:.2f} times ours",
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the size of a batch."""
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the mixtures (4)")
    parser.add_argument("--batch", type=int, default=1, help="mixtures in a batch (1)")


if __name__ == "__main__":
    sys.exit(run_benchmark(rows, __doc__, add_arguments=add_arguments))
