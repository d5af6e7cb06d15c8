"""Steps that are timed of a network: a training step, from forward to optimiser; an inference."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from asteroid.losses import singlesrc_neg_sisdr

__all__ = ["inference", "outputs_differ", "training_step"]

Step = Callable[[], Tensor]


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
        flat = (one.reshape(-1, one.shape[-1]) for one in (output, target[0]))
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
