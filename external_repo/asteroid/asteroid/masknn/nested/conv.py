"""Convolutions of the nested U-Nets: causal in time, on real or on complex feature maps.

``parts`` is 1 for real feature maps ``(batch, channels, freq, frames)`` and 2 for complex ones
``(batch, 2 * channels, freq, frames)``, the real parts of all channels first. Channel counts are of
one part.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.masknn.complex.conv import ComplexConv2d, ComplexConvTranspose2d
from asteroid.masknn.stream.state import StreamState, with_past

from .causal_norm import MapNorm

__all__ = ["ConvNormAct", "PartsPReLU", "build_conv", "build_conv_transpose", "join", "subpixel"]

KERNEL = (3, 2)  # rows and frames of every convolution with a past
Pair = tuple[int, int]


def build_conv(
    parts: int, n_in: int, n_out: int, kernel: Pair, *, stride: Pair = (1, 1), dilation: int = 1
) -> nn.Module:
    """Return a real or complex convolution that pads frequency only.

    Args:
        parts: 1 or 2.
        n_in: Channels in.
        n_out: Channels out.
        kernel: Rows and frames.
        stride: Rows and frames.
        dilation: Of both axes.
    """
    kind = nn.Conv2d if parts == 1 else ComplexConv2d
    # Rows stay as many; the past of time comes from with_past.
    padding = (dilation * (kernel[0] // 2), 0)
    return kind(n_in, n_out, kernel, stride, padding, dilation)


def build_conv_transpose(parts: int, n_in: int, n_out: int) -> nn.Module:
    """Return a transposed convolution that doubles the rows, kernel ``(3, 1)``."""
    kind = nn.ConvTranspose2d if parts == 1 else ComplexConvTranspose2d
    return kind(n_in, n_out, (3, 1), (2, 1), (1, 0), (1, 0))


def join(maps: list[Tensor], parts: int) -> Tensor:
    """Concatenate feature maps along their channels, part by part."""
    if parts == 1:
        return torch.cat(maps, dim=1)
    return torch.cat([each.unflatten(1, (parts, -1)) for each in maps], dim=2).flatten(1, 2)


def subpixel(x: Tensor) -> Tensor:
    """Turn pairs of channels into pairs of rows: ``(2 * c + n, f)`` goes to ``(c, 2 * f + n)``."""
    pairs: Tensor = x.unflatten(1, (-1, 2))
    return pairs.transpose(2, 3).flatten(2, 3)


class PartsPReLU(nn.Module):
    """PReLU with one slope per part, or one per channel."""

    def __init__(self, channels: int, parts: int, *, per_channel: bool = False) -> None:
        super().__init__()
        self.repeats = 1 if per_channel else channels
        self.weight = nn.Parameter(torch.full((parts * channels // self.repeats,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to ``(batch, parts * channels, freq, frames)``."""
        weight = self.weight.to(x.dtype)
        if self.repeats > 1:
            weight = weight[:, None].expand(-1, self.repeats).flatten()
        return F.prelu(x, weight)


class ConvNormAct(nn.Module):
    """Causal convolution, normalisation and PReLU: the step of every path of a nested U-Net.

    Args:
        n_in: Channels in.
        n_out: Channels out.
        parts: 1 or 2.
        norm: Kind of :class:`MapNorm`.
        kind: ``point``: a 1 x 1 convolution. ``down``: 3 rows and 2 frames, every second row.
            ``up``: 3 rows and 2 frames to twice the channels, which become twice the rows.
        eps: Of the normalisation.
    """

    def __init__(
        self, n_in: int, n_out: int, parts: int, norm: str, *, kind: str, eps: float
    ) -> None:
        super().__init__()
        self.up, self.past = kind == "up", 0 if kind == "point" else KERNEL[1] - 1
        kernel = (1, 1) if kind == "point" else KERNEL
        stride = (2, 1) if kind == "down" else (1, 1)
        self.conv = build_conv(parts, n_in, n_out * (1 + self.up), kernel, stride=stride)
        self.norm = MapNorm(n_out, parts, norm, eps)
        self.activation = PartsPReLU(n_out, parts)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """Map ``(batch, parts * n_in, freq, frames)`` to as many frames."""
        y = self.conv(with_past(x, self.past, self, state))
        result: Tensor = self.activation(self.norm(subpixel(y) if self.up else y, state))
        return result
