"""A PReLU with a single slope, whose backward pass is fast on the CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .piecewise import is_lean

__all__ = ["prelu_backward", "single_prelu"]

_backward = torch.ops.aten.leaky_relu_backward


def single_prelu(x: Tensor, module: nn.Module) -> Tensor:
    """Apply an ``nn.PReLU`` of one slope.

    On the CPU, PyTorch's own backward pass handles one number at a time and writes the share that
    each has in the slope's gradient, ten times slower than a leaky ReLU's and a scalar product.
    """
    slope = module.weight
    assert isinstance(slope, Tensor)
    if not is_lean(x, slope):
        return F.prelu(x, slope)
    y: Tensor = _SinglePReLU.apply(x, slope)
    return y


def prelu_backward(gradient: Tensor, x: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of the input ``x`` and, of shape (), of the slope."""
    to_slope = torch.dot(gradient.flatten(), x.clamp(max=0).flatten())
    return _backward(gradient, x, slope.item(), False), to_slope


class _SinglePReLU(torch.autograd.Function):
    """(...), (1,) -> (...)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return F.leaky_relu(x, slope.item())

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        to_x, to_slope = prelu_backward(gradients[0], x, slope)
        return to_x, to_slope.view_as(slope)
