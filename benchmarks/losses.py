"""Speed and memory of the losses: forward and backward of a batch.

The frequency-weighted SI-SDR against the published way of computing, restated plainly: the filter
bank rebuilt row by row at every transform, a Python loop over the batch, float64 (CPU only). PMSQE
against Asteroid's, fed by Asteroid's own STFT as its documentation says. LMS against filters built
again at every call, as published. The others against nothing but the STFTs that they need.

What the goal compares with, for all that have any, are those STFTs, by torch.stft and autograd: one
with a gradient and those of target and noise without.

    python -m benchmarks.losses --batch 4 --seconds 4 --threads 2
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asteroid.losses import LOSSES, NegSISDRLoss, build_loss

from .command import run_benchmark
from .limits import limit_of
from .loss_anchors import (
    SAMPLE_RATE,
    Loss,
    Transform,
    as_published,
    asteroid_pmsqe,
    bare_stfts,
    plain_lms,
)
from .row import Goal, Row, row_of
from .timing import peak_memory, ratio, timed

FLOOR_GOAL = 1.5
PMSQE_GOAL = 2.0
CASES = [
    ("critical", 18, "speech_norm"),
    ("critical", 18, "softmax_log"),
    ("critical", 25, "speech_norm"),
    ("mel", 18, "speech_norm"),
    ("mel", 18, "softmax_log"),
    ("linear", -1, "speech_norm"),
    ("linear", -1, "softmax_log"),
]
#: What each loss transforms at its default settings; one that is not here transforms nothing.
TRANSFORMS = {
    "mse_spectrum": [Transform(1024, 256, 1024, still=0)],
    "lms": [Transform(512, 100, 400)],
    "multi_scale_stft": [Transform(n, n // 4, n) for n in (2048, 1024, 512, 256, 128, 64)],
    "compressed_spectrum": [Transform(512, 256, 512)],
}


class Case(NamedTuple):
    """A loss, what it is compared with, and the STFTs it needs."""

    name: str
    ours: Loss
    anchor: str = ""
    theirs: Loss | None = None
    floor: Loss | None = None
    least: float | None = None


def _of(module: nn.Module, targets: Tensor) -> Loss:
    """Return a loss of ours as the anchors are called; its targets are stacked beforehand."""

    def loss(estimate: Tensor, speech: Tensor, noise: Tensor) -> Tensor:
        value: Tensor = module(estimate, targets)
        return value

    return loss


def weighted_cases(options: argparse.Namespace, signals: list[Tensor]) -> Iterator[Case]:
    """Yield the frequency-weighted SI-SDR at each scale, with and without a look at the noise."""
    device, sizes = signals[0].device, (options.n_fft, options.hop_length)
    targets = torch.stack(signals[1:], 1)
    for scale, n_bins, weighting in CASES[:1] if options.quick else CASES:
        module = NegSISDRLoss(scale, *sizes, n_bins, weighting).to(device)
        still = 2 if weighting == "softmax_log" else 1
        yield Case(
            " ".join([scale, *([str(n_bins)] if n_bins > 0 else []), weighting]),
            _of(module, targets),
            "as published" if device.type == "cpu" else "",
            as_published(scale, n_bins, weighting, *sizes) if device.type == "cpu" else None,
            bare_stfts([Transform(*sizes, sizes[0], still)], device),
        )


def other_cases(options: argparse.Namespace, signals: list[Tensor]) -> Iterator[Case]:
    """Yield the other losses at their default settings."""
    device, targets = signals[0].device, torch.stack(signals[1:], 1)
    names = ["lms", "pmsqe"] if options.quick else LOSSES.names()
    for name in names:
        if name == "neg_sisdr":
            continue
        ours = _of(build_loss(name).to(device), targets)
        transforms = TRANSFORMS.get(name)
        floor = bare_stfts(transforms, device) if transforms else None
        if name == "pmsqe":
            for how, fft in (("its own STFT", False), ("torch.stft", True)):
                anchor = f"Asteroid 0.7.0's, fed by {how}"
                goal = None if fft else PMSQE_GOAL
                yield Case(name, ours, anchor, asteroid_pmsqe(fft, device), least=goal)
        elif name == "lms":
            yield Case(name, ours, "filters built at every call", plain_lms(device), floor)
        else:
            yield Case(name, ours, floor=floor)


def measure(case: Case, signals: list[Tensor], options: argparse.Namespace) -> Row:
    """Time a case's loss, its anchor and its floor in turns."""
    device = signals[0].device

    def step(loss: Loss) -> None:
        signals[0].grad = None
        loss(*signals).backward()

    losses = {"ours": case.ours, "anchor": case.theirs, "floor": case.floor}
    steps = {name: partial(step, loss) for name, loss in losses.items() if loss is not None}
    times = timed(steps, options, 1 / 3, least=3 if options.quick else 9)
    memory: dict[str, float | None] = {n: peak_memory(s, device) for n, s in steps.items()}
    goals, note = [], ""
    anchor = case.anchor
    if case.floor is not None:
        floor = times["floor"]
        goals.append(Goal("times its STFTs", 1 / ratio(times["ours"], floor), FLOOR_GOAL, True))
        if anchor:
            note = f"its STFTs alone: {1000 * floor.median:.1f} ms"
        else:
            anchor, times["anchor"], memory["anchor"] = "its STFTs alone", floor, memory["floor"]
    if case.least is not None:
        goals.append(Goal("times faster", ratio(times["ours"], times["anchor"]), case.least))
    limit = limit_of(steps["ours"], device, clock=options.clock, inputs=signals)
    return row_of(
        case.name, times, memory, anchor=anchor, goals=tuple(goals), limit=limit, note=note
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each loss."""
    generator = torch.Generator().manual_seed(0)
    batch, seconds = (1, 1.0) if options.quick else (options.batch, options.seconds)
    shape = (batch, int(seconds * SAMPLE_RATE))
    speech, noise = (0.1 * torch.randn(shape, generator=generator) for _ in range(2))
    signals = [(speech + 0.3 * noise), speech, noise]
    signals = [signal.to(options.device) for signal in signals]
    signals[0].requires_grad_()
    for cases in (weighted_cases, other_cases):
        for case in cases(options, signals):
            yield measure(case, signals, options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes of a batch and of the weighted losses' transform."""
    parser.add_argument("--batch", type=int, default=4, help="utterances (4)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each (4)")
    parser.add_argument("--n_fft", type=int, default=1024, help="samples (1024)")
    parser.add_argument("--hop_length", type=int, default=256, help="samples (256)")


if __name__ == "__main__":
    sys.exit(run_benchmark(rows, __doc__, add_arguments=add_arguments))
