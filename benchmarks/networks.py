"""A network of ours against Asteroid's: same weights, same input, one process."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .limits import ADAM, FORWARD, limit_of
from .row import Goal, Row
from .steps import inference, outputs_differ, training_step
from .timing import CLOCKS, alternate, peak_memory, ratio

__all__ = ["MEMORY_GOAL", "Pair", "compare_inference", "compare_training"]

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


def compare_training(case: str, pair: Pair, options: argparse.Namespace, faster: float) -> Row:
    """Return the row of a training step; the goals are ``faster`` and `MEMORY_GOAL`."""
    for network in (pair.ours, pair.theirs):
        network.train()
    steps = [training_step(network, *pair.inputs) for network in (pair.ours, pair.theirs)]
    row = _compare(case, steps, pair, options, ADAM)
    assert row.faster is not None
    assert row.memory is not None
    goals = [Goal("times faster", row.faster, faster)]
    if row.anchor_memory:
        goals.append(Goal("memory, ratio", row.memory / row.anchor_memory, MEMORY_GOAL, True))
    return Row(**{**vars(row), "goals": tuple(goals)})


def compare_inference(case: str, pair: Pair, options: argparse.Namespace) -> Row:
    """Return the row of an inference, with its real-time factor in the note."""
    for network in (pair.ours, pair.theirs):
        network.eval()
    steps = [inference(network, *pair.inputs) for network in (pair.ours, pair.theirs)]
    row = _compare(case, steps, pair, options, FORWARD)
    factor = f"real-time factor {row.seconds / pair.audio_s:.3f}; {row.note}"
    return Row(**{**vars(row), "note": factor})


def _compare(
    case: str, steps: Iterable[Step], pair: Pair, options: argparse.Namespace, passes: int
) -> Row:
    """Run both twice before they are timed: to compare the outputs, and to see the memory.

    Long steps are timed at least twice, others at least three times.
    """
    device: torch.device = options.device
    ours, theirs = steps
    apart = outputs_differ(ours, theirs)
    began = time.perf_counter()
    memory = [peak_memory(step, device) for step in (ours, theirs)]
    long = time.perf_counter() - began > LONG_S
    times = alternate(
        {"ours": ours, "theirs": theirs},
        device,
        clock=CLOCKS[options.clock],
        budget_s=options.budget / 2,
        least=1 if options.quick else 2 if long else 3,
        warm_up=0,
    )
    limit = limit_of(
        ours,
        device,
        clock=options.clock,
        parameters=pair.ours.parameters(),
        passes=passes,
        inputs=pair.inputs,
    )
    return Row(
        case,
        times["ours"].median,
        times["ours"].best,
        memory[0],
        "Asteroid 0.7.0",
        times["theirs"].median,
        memory[1],
        ratio(times["ours"], times["theirs"]),
        limit=limit,
        note=f"outputs differ by {apart:.0e} of the largest sample",
    )
