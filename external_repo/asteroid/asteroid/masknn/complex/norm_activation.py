"""Batch norm and leaky ReLU in one step of the graph, on CPUs.

Only the input of the norm is kept for the backward pass: what the activation needs to know, the
normalised values, is one multiplication and one addition away from it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["batch_norm_leaky", "fuses"]


def fuses(x: Tensor) -> bool:
    """Whether the fused step may be used: not in lower precision, nor while a graph is traced."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
    )


def leaky(x: Tensor, slope: Tensor | float) -> Tensor:
    """Bend what is negative, by one slope or one for each channel."""
    if isinstance(slope, Tensor):
        return F.prelu(x, slope.to(x.dtype))
    return F.leaky_relu(x, slope)


def batch_norm_leaky(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    slope: Tensor | float,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """Normalise ``(batch, channels, freq, frames)`` and bend what is negative.

    Args:
        x: Input.
        mean: Running mean ``(channels,)``; changed in place when training.
        variance: Running variance, likewise.
        weight: Scale after the norm.
        bias: Shift after the norm.
        slope: Of negative values: a number, or a tensor of one or of ``(channels,)``.
        training: Normalise by the statistics of ``x`` instead of the running ones.
        momentum: Share of ``x`` in the running statistics.
        eps: Added to variances.
    """
    if not fuses(x):
        y = F.batch_norm(x, mean, variance, weight, bias, training, momentum, eps)
        return leaky(y, slope)
    result: Tensor = _BatchNormLeaky.apply(
        x, weight, bias, slope, mean, variance, training, momentum, eps
    )
    return result


class _BatchNormLeaky(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        slope: Tensor | float,
        mean: Tensor,
        variance: Tensor,
        training: bool,
        momentum: float,
        eps: float,
    ) -> Tensor:
        y, batch_mean, inverse = torch.native_batch_norm(
            x, weight, bias, mean, variance, training, momentum, eps
        )
        if not training:
            batch_mean, inverse = mean, (variance + eps).rsqrt()
        slopes = [slope] if isinstance(slope, Tensor) else []
        ctx.save_for_backward(x, weight, bias, batch_mean, inverse, *slopes)
        ctx.training, ctx.eps, ctx.slope = training, eps, None if slopes else slope
        return F.prelu(y, slope) if isinstance(slope, Tensor) else F.leaky_relu_(y, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        x, weight, bias, mean, inverse, *slopes = ctx.saved_tensors
        scale = weight * inverse
        shift = bias - mean * scale
        y = torch.addcmul(shift[:, None, None], x, scale[:, None, None])
        of_slope = None
        if slopes:
            grad, of_slope = _prelu_backward(grad, y, slopes[0])
        else:
            grad = torch.ops.aten.leaky_relu_backward(grad, y, ctx.slope, False)
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, mean, inverse.pow(-2), mean, inverse, ctx.training, 0.0, [True] * 3
        )
        return of_x, of_weight, of_bias, of_slope, None, None, None, None, None


def _prelu_backward(grad: Tensor, y: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of PReLU's input and slope; several times as fast as torch's own on CPUs."""
    above = torch.ops.aten.threshold_backward(grad, y, 0)
    below = grad - above
    of_slope = y.mul_(below).sum(dim=(0, 2, 3))
    if slope.numel() == 1:
        return above.addcmul_(below, slope), of_slope.sum().view(1)
    return above.addcmul_(below, slope[:, None, None]), of_slope
