"""Steps of a network, in training and inference, and their comparison with Asteroid's network.

Both networks have the same weights and get the same input, in one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asteroid.losses import singlesrc_neg_sisdr

from .limits import ADAM, FORWARD, limit_of
from .row import Goal, Row, row_of
from .timing import peak_memory, timed

__all__ = [
    "MEMORY_GOAL",
    "Pair",
    "compare_inference",
    "compare_training",
    "inference",
    "outputs_differ",
    "training_step",
]

#: Of a training step: most that ours may take of the anchor's.
MEMORY_GOAL = 0.7
LONG_S = 4.0
Step = Callable[[], Tensor]


class Pair(NamedTuple):
    """Both networks with the same weights, what they are given, and how long that lasts.

    ``audio_s``: seconds of signal, all mixtures of the batch together.
    """

    ours: nn.Module
    theirs: nn.Module
    inputs: tuple[Tensor, ...]
    audio_s: float


def training_step(network: nn.Module, *inputs: Tensor) -> Step:
    """Return a function that trains by one step and gives the output before it.

    The loss is SI-SDR to a fixed random target, the optimiser Adam with a step so small that the
    weights stay what they are.
    """
    on_gpu = inputs[0].is_cuda
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-12, fused=on_gpu)
    generator = torch.Generator().manual_seed(1)
    target: list[Tensor] = []

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        output: Tensor = network(*inputs)
        if not target:
            target.append(torch.randn(output.shape, generator=generator).to(output.device))
        flat = (signal.reshape(-1, signal.shape[-1]) for signal in (output, target[0]))
        singlesrc_neg_sisdr(*flat).mean().backward()
        optimizer.step()
        return output.detach()

    return step


def inference(network: nn.Module, *inputs: Tensor) -> Step:
    """Return a function that gives the network's output without gradients."""

    @torch.inference_mode()
    def step() -> Tensor:
        output: Tensor = network(*inputs)
        return output

    return step


def outputs_differ(ours: Step, theirs: Step) -> float:
    """Return how far the outputs of both lie apart, relative to the largest sample."""
    mine, other = ours(), theirs()
    return ((mine - other).abs().max() / other.abs().max()).item()


def compare_training(case: str, pair: Pair, options: argparse.Namespace, faster: float) -> Row:
    """Return the row of a training step; the goals are ``faster`` and `MEMORY_GOAL`."""
    row = _compare(case, training_step, pair, options)
    assert row.faster is not None
    assert row.memory is not None
    goals = [Goal("times faster", row.faster, faster)]
    if row.anchor_memory:
        goals.append(Goal("memory, ratio", row.memory / row.anchor_memory, MEMORY_GOAL, True))
    return replace(row, goals=tuple(goals))


def compare_inference(case: str, pair: Pair, options: argparse.Namespace) -> Row:
    """Return the row of an inference, with its real-time factor in the note."""
    row = _compare(case, inference, pair, options)
    return replace(row, note=f"real-time factor {row.seconds / pair.audio_s:.3f}; {row.note}")


def _compare(case: str, make: Callable[..., Step], pair: Pair, options: argparse.Namespace) -> Row:
    """Run both twice before they are timed: to compare the outputs, and to see the memory.

    Long steps are timed at least twice, others at least three times.
    """
    trains = make is training_step
    for network in (pair.ours, pair.theirs):
        network.train(trains)
    steps = {"ours": make(pair.ours, *pair.inputs), "anchor": make(pair.theirs, *pair.inputs)}
    apart = outputs_differ(*steps.values())
    began = time.perf_counter()
    memory = {name: peak_memory(step, options.device) for name, step in steps.items()}
    least = 2 if time.perf_counter() - began > LONG_S else 3
    times = timed(steps, options, 1 / 2, least=1 if options.quick else least, warm_up=0)
    limit = limit_of(
        steps["ours"],
        options.device,
        clock=options.clock,
        parameters=pair.ours.parameters(),
        passes=ADAM if trains else FORWARD,
        inputs=pair.inputs,
    )
    note = f"outputs differ by {apart:.0e} of the largest sample"
    return row_of(case, times, memory, anchor="Asteroid 0.7.0", limit=limit, note=note)
