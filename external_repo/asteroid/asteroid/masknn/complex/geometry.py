"""Geometry of convolutions and memory layout of feature maps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Geometry", "layout"]

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """How a convolution lies; ``trim``: frames taken from the start and the end of its result."""

    stride: Pair
    padding: Pair
    dilation: Pair
    transposed: bool
    output_padding: Pair
    trim: Pair


def layout(x: Tensor) -> torch.memory_format:
    """Whether channels come last in memory."""
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format
