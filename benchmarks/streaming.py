"""Speed of causal networks on a stream, on one core: time of a step and real-time factor.

    python -m benchmarks.streaming --clock cpu --networks CNUNet-TB

A step takes a piece of one or more frames. "time" is its median, the least in brackets, the 95th
percentile and the longest stand below. The real-time factor is the median over what the piece
lasts; its goal is 1, frame by frame. The latency is the age of the oldest sample that a step
completes: the piece, and what frames overlap. All on one thread, unless on a GPU.

Where a network has a compiled engine (one call a frame), the anchor is the other one, which runs
the network's modules; they do not take turns, since each would push the other's weights out of the
cache, and "times faster" is the ratio of their medians. The limit is the products of a step, four
for a complex one, and its parameters, read once. The published CNUNet-TB takes 1.67 s of processor
time for 1 s of signal, NUNet-TLS 1.36 s, both on whole utterances, one thread.

README.md lists what was tried. Of what is left, two thirds are matrix products, at three quarters
of the rate of a large one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from asteroid.models import CNUNet, NUNetTLS
from asteroid.models.framed import FramedModel
from asteroid.models.streaming import WaveStream

from .command import run_benchmark
from .limits import limit_of
from .row import Goal, Row
from .timing import Times, peak_memory, timed

NETWORKS: dict[str, Callable[[], FramedModel]] = {
    "CNUNet-TB": CNUNet,
    "CNUNet-SB": lambda: CNUNet(branch="mask"),
    "NUNet-TLS": NUNetTLS,
    "small CNUNet": lambda: CNUNet(channels=8, inner_channels=4, depths=(3, 3, 2, 2)),
}
FRAMES = 200  # steps that are timed at most


class Case(NamedTuple):
    """A network, its engine, and the frames of a piece."""

    network: str
    engine: str
    frames: int


CASES = (
    Case("CNUNet-TB", "auto", 1),
    Case("CNUNet-TB", "torch", 4),
    Case("CNUNet-TB", "torch", 16),
    Case("CNUNet-SB", "auto", 1),
    Case("small CNUNet", "auto", 1),
    Case("NUNet-TLS", "auto", 1),
    Case("NUNet-TLS", "torch", 16),
)


def measure(case: Case, options: argparse.Namespace) -> Row:
    """Measure one case."""
    torch.manual_seed(0)
    network = NETWORKS[case.network]().eval().to(options.device)
    piece = 0.1 * torch.randn(1, case.frames * network.hop_length, device=options.device)
    stream, modules = network.stream(engine=case.engine), network.stream(engine="torch")
    limit = limit_of(
        lambda: modules.step(piece),
        options.device,
        clock=options.clock,
        parameters=network.parameters(),
    )

    def time_of(stream: WaveStream) -> Times:
        step = {"step": lambda: stream.step(piece)}
        return timed(step, options, 1 / 2, most=FRAMES, warm_up=2)["step"]

    times = time_of(stream)
    duration = piece.shape[1] / network.sample_rate
    factor, slow = times.median / duration, np.quantile(times.seconds, 0.95)
    latency = stream.latency_samples(case.frames) / network.sample_rate
    row = Row(
        f"{case.network}, {1e3 * duration:.0f} ms a step, {stream.engine}",
        times.median,
        times.best,
        peak_memory(lambda: stream.step(piece), options.device),
        goals=(Goal("real-time factor", factor, 1.0, at_most=True),) if case.frames == 1 else (),
        limit=limit,
        note=f"real-time factor {factor:.2f}; latency {1e3 * latency:.0f} ms; 95 % of "
        f"{len(times.seconds)} steps within {1e3 * slow:.1f} ms, the longest "
        f"{1e3 * max(times.seconds):.1f} ms",
    )
    if stream.engine == "torch":
        return row
    anchor = time_of(modules).median
    return replace(row, anchor="torch", anchor_seconds=anchor, faster=anchor / times.median)


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each case of the requested networks."""
    torch.set_num_threads(1)
    for case in CASES:
        if case.network in options.networks and not (options.quick and case.frames > 1):
            yield measure(case, options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which networks."""
    names = list(NETWORKS)
    parser.add_argument("--networks", nargs="+", choices=names, default=names, help="(all)")


if __name__ == "__main__":
    sys.exit(run_benchmark(rows, __doc__, add_arguments=add_arguments))
