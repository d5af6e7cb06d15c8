"""Time and memory of FaSNet-TAC: ours against Asteroid 0.7.0's, in one process.

Both networks have the same weights and get the same input; their steps take turns, so that other
load on the machine meets both alike. Each training row is one batch: all microphones present, or
fewer in a batch padded to six, which is what Asteroid's TAC recipe feeds.

    python -m benchmarks.fasnet --threads 1 --clock cpu
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import zipfile
from collections.abc import Iterator
from importlib.abc import InspectLoader
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asteroid.models import FasNetTAC

from .command import run_benchmark
from .networks import Pair, compare_inference, compare_training
from .row import Row

WHEEL = "external_repo/asteroid/.cache/asteroid-0.7.0-py3-none-any.whl"
#: Name -> microphones that are present, that the batch has; goal on a CPU. On a GPU it is 3.
CASES = {"4 microphones": (4, 4, 1.5), "4 of 6": (4, 6, 3.0), "2 of 6": (2, 6, 3.0)}
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
        raise FileNotFoundError(f"{wheel}: install external_repo/asteroid again to fetch it")
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
    for name, (present, padded, goal) in CASES.items():
        mixture = torch.randn(options.batch, padded, int(seconds * 16000), generator=generator)
        mixture = 0.1 * mixture
        mixture[:, present:] = 0
        valid_mics = torch.full((options.batch,), present)
        inputs = (mixture.to(device), valid_mics)
        pair = Pair(ours, theirs, inputs, options.batch * seconds)
        goal = GPU_GOAL if device.type == "cuda" else goal
        yield compare_training(f"{name}, training step", pair, options, goal)
        if present == padded:
            yield compare_inference(f"{name}, inference", pair, options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the size of a batch."""
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the mixtures (4)")
    parser.add_argument("--batch", type=int, default=1, help="mixtures in a batch (1)")


if __name__ == "__main__":
    sys.exit(run_benchmark(rows, __doc__, add_arguments=add_arguments))
