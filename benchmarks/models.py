"""Time and memory of DCUnet and DCCRN: ours against Asteroid 0.7.0's, in one process.

    python -m benchmarks.models --networks DCCRN DCUnet-10 --threads 1 --clock cpu

Both networks have the same weights and get the same input; their training steps (forward, loss,
backward, optimiser) take turns, and so do their inferences, so that other load on the machine meets
both alike. The limit counts the products that our step does; the note says what those of four real
convolutions for each complex one, which Asteroid does, would take at the same rate.

What is left is convolution, three quarters of DCCRN's step and nine tenths of DCUnet's, at 50 G
products/s where large matrix products reach 46: its three products alone take 2.2 s of DCCRN's
2.3 s that would be twice as fast as Asteroid. That goal is out of reach by this method; what would
reach it are kernels that transform, multiply and sum in cache, and so a compiler. README.md lists
what was tried. Of the memory of
DCCRN's step, 455 MiB are tensors, two thirds of Asteroid's 679; some 300 MiB are oneDNN's, in both.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn

from asteroid.models import DCCRN, DCCRNet, DCUNet, DCUnet
from asteroid.utils.fast_path import VARIABLE

from .command import run_benchmark
from .limits import matrix_rate
from .networks import Pair, Step, compare_inference, compare_training, inference, training_step
from .row import Row, row_of
from .timing import timed

UNETS = ("DCUnet-10", "DCUnet-16", "DCUnet-20", "Large-DCUnet-20")
NAMES = ("DCCRN", *UNETS)
GOAL = {"cpu": 2.0, "cuda": 3.0}


class Case(NamedTuple):
    """Asteroid's network and ours with the same weights, and the size of a batch."""

    theirs: nn.Module
    ours: nn.Module
    batch: int
    seconds: float


def build(name: str) -> Case:
    """Build both networks of a case."""
    torch.manual_seed(0)
    theirs: nn.Module
    ours: DCCRN | DCUnet
    if name == "DCCRN":
        theirs, ours = DCCRNet("DCCRN-CL"), DCCRN(variant="asteroid")
        size = (2, 3.0)
    else:
        theirs = DCUNet(name.replace("Unet", "UNet"), fix_length_mode="pad")
        ours = DCUnet(name, edges="asteroid")
        size = (1, 2.0)
    ours.load_asteroid(theirs.state_dict())
    return Case(theirs, ours, *size)


def count_products(network: nn.Module, mixture: Tensor) -> float:
    """Real multiplications and additions of a network's complex convolutions, in 1e9 pairs."""
    pairs = 0

    def count(layer: nn.Module, maps: tuple[Tensor, ...], y: Tensor) -> None:
        part = layer.re_module
        assert isinstance(part, nn.Conv2d | nn.ConvTranspose2d)
        weight, transposed = part.weight, isinstance(part, nn.ConvTranspose2d)
        pixels = (maps[0] if transposed else y)[:, 0].numel()
        nonlocal pairs
        pairs += 4 * pixels * weight.numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(getattr(layer, "re_module", None), nn.Conv2d | nn.ConvTranspose2d)
    ]
    network.eval()  # batch norms must not learn from it: Asteroid's do not see it
    inference(network, mixture)()
    for hook in hooks:
        hook.remove()
    return pairs / 1e9


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for training and one for inference of each network."""
    if options.fast_paths:
        yield from compare_fast_paths(options)
        return
    device = options.device
    rate = matrix_rate(device, options.clock, torch.get_num_threads())
    for name in ["DCUnet-10"] if options.quick else options.networks:
        case = build(name)
        seconds = 0.5 if options.quick else case.seconds
        generator = torch.Generator().manual_seed(0)
        mixture = 0.1 * torch.randn(case.batch, int(seconds * 16000), generator=generator)
        mixture = mixture.to(device)
        ours, theirs = case.ours.to(device), case.theirs.to(device)
        four_s = 1e9 * count_products(ours, mixture) / rate
        pair = Pair(ours, theirs, (mixture,), case.batch * seconds)
        size, goal = f"{case.batch} x {seconds:g} s", GOAL[device.type]
        # Inference first: training changes what batch norms remember, of the one that runs more.
        inferred = compare_inference(f"{name}, {size}, inference", pair, options)
        trained = compare_training(f"{name}, {size}, training step", pair, options, goal)
        for row, passes in ((trained, 3), (inferred, 1)):
            note = f"{row.note}; four real convolutions for each: {passes * four_s:.2f} s"
            yield replace(row, note=note)


def compare_fast_paths(options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each fast path: a training step with it, its anchor the plain formulas."""
    for name in options.networks:
        for norm in ("parts", "whitening"):  # the second has a fast path of its own
            torch.manual_seed(0)
            network: nn.Module = DCCRN(norm=norm) if name == "DCCRN" else DCUnet(name, norm=norm)
            seconds = 0.5 if options.quick else 2.0
            mixture = torch.randn(1, 1, int(seconds * 16000)) / 10
            fast = training_step(network, mixture)

            def plain(fast: Step = fast) -> Tensor:
                with mock.patch.dict(os.environ, {VARIABLE: "0"}):
                    return fast()

            times = timed({"ours": fast, "anchor": plain}, options)
            case = f"{name}, {norm}, 1 x {seconds:g} s, training step"
            yield row_of(case, times, anchor=f"{VARIABLE}=0")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which networks."""
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=NAMES,
        default=NAMES[:4],
        help="which (all but the large one)",
    )
    parser.add_argument(
        "--fast_paths", action="store_true", help="our training steps with and without fast paths"
    )


if __name__ == "__main__":
    sys.exit(run_benchmark(rows, __doc__, add_arguments=add_arguments))
