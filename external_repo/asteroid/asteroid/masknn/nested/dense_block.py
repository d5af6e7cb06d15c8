"""The dilated dense block at the bottom of the nested U-Nets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.masknn.stream.fused_conv import fused
from asteroid.masknn.stream.state import StreamState, with_past

from .causal_norm import MapNorm
from .conv import KERNEL, PartsPReLU, build_conv, join

__all__ = ["ComplexDepthPoint", "DilatedDenseBlock"]


class ComplexDepthPoint(nn.Module):
    """A depthwise convolution and a 1 x 1 convolution that together are the parts of a complex one.

    With ``R = point_re(depth_re(.))`` and ``I = point_im(depth_im(.))`` the output is
    ``R(x) - I(y) + i(R(y) + I(x))`` for the input ``x + iy``. That is not the product of two
    complex convolutions; it is what the published network does. Both kernels of a channel run as
    one grouped convolution, and the four pointwise products as one.

    Args:
        n_in: Complex channels in.
        n_out: Complex channels out.
        kernel: Rows and frames.
        dilation: Of both axes; frequency is padded, time is not.
    """

    def __init__(self, n_in: int, n_out: int, kernel: tuple[int, int], dilation: int) -> None:
        super().__init__()
        self.dilation, self.rows = dilation, dilation * (kernel[0] // 2)
        self.depth_re, self.depth_im = (nn.Conv2d(n_in, n_in, kernel, groups=n_in) for _ in "ri")
        self.point_re, self.point_im = (nn.Conv2d(n_in, n_out, 1) for _ in "ri")

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, 2 * n_in, freq, frames)``."""
        return self.apply_weights(x, self.depth_weights(), self.point_weights())

    def apply_weights(
        self, x: Tensor, depth: tuple[Tensor, Tensor], point: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Compute with weights that were put together before."""
        y = F.conv2d(x, *depth, 1, (self.rows, 0), self.dilation, x.shape[1])
        return F.conv2d(y, *point)

    def depth_weights(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of both depthwise kernels of every channel of both parts."""
        weight = torch.stack([self.depth_re.weight, self.depth_im.weight], dim=1).flatten(0, 1)
        assert self.depth_re.bias is not None
        assert self.depth_im.bias is not None
        bias = torch.stack([self.depth_re.bias, self.depth_im.bias], dim=1).flatten()
        return weight.repeat(2, 1, 1, 1), bias.repeat(2)

    def point_weights(self) -> tuple[Tensor, Tensor]:
        """Weight over (part of the input, channel, kernel), and bias, of the pointwise products."""
        re, im = self.point_re, self.point_im
        zero = torch.zeros_like(re.weight)
        # Columns: kernel re and im of the real part, then of the imaginary part.
        to_re = [torch.stack([re.weight, zero], 2), torch.stack([zero, -im.weight], 2)]
        to_im = [torch.stack([zero, im.weight], 2), torch.stack([re.weight, zero], 2)]
        rows = [torch.cat([each.flatten(1, 2) for each in row], dim=1) for row in (to_re, to_im)]
        assert re.bias is not None
        assert im.bias is not None
        return torch.cat(rows), torch.cat([re.bias - im.bias, re.bias + im.bias])


@fused.register(ComplexDepthPoint)
class _FusedDepthPoint(nn.Module):
    """A :class:`ComplexDepthPoint` whose joint weights are computed once."""

    def __init__(self, block: ComplexDepthPoint) -> None:
        super().__init__()
        self.block = block
        with torch.no_grad():
            self.depth, self.point = block.depth_weights(), block.point_weights()

    def forward(self, x: Tensor) -> Tensor:
        return self.block.apply_weights(x, self.depth, self.point)


class _DepthPoint(nn.Sequential):
    """The real counterpart: grouped by output channel, then 1 x 1."""

    def __init__(self, n_in: int, n_out: int, kernel: tuple[int, int], dilation: int) -> None:
        padding = (dilation * (kernel[0] // 2), 0)
        depth = nn.Conv2d(n_in, n_out, kernel, 1, padding, dilation, groups=n_out)
        super().__init__(depth, nn.Conv2d(n_out, n_out, 1))


class DilatedDenseBlock(nn.Module):
    """Six dilated convolutions, each of which sees all that came before it.

    Args:
        channels: Channels of a part, in and out; half as many inside. Even.
        parts: 1 for real, 2 for complex feature maps.
        norm: Kind of :class:`MapNorm`.
        layers: Dilated convolutions, with dilations 1, 2, 4 ... in both axes.
        per_channel: Whether the last activation has one slope per channel.
        eps: Of the normalisations.

    Attributes:
        reach: Past frames that a frame of the output knows of.
    """

    def __init__(
        self,
        channels: int,
        parts: int,
        norm: str,
        *,
        layers: int = 6,
        per_channel: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        half, self.parts = channels // 2, parts
        block = _DepthPoint if parts == 1 else ComplexDepthPoint
        self.first = build_conv(parts, channels, half, KERNEL)
        self.first_activation = PartsPReLU(half, parts)
        self.dilations = [2**i for i in range(layers)]
        self.convs = nn.ModuleList(
            block((i + 1) * half, half, KERNEL, dilation)
            for i, dilation in enumerate(self.dilations)
        )
        self.norms = nn.ModuleList(MapNorm(half, parts, norm, eps) for _ in self.dilations)
        self.activations = nn.ModuleList(PartsPReLU(half, parts) for _ in self.dilations)
        self.last = build_conv(parts, half, channels, KERNEL)
        self.last_activation = PartsPReLU(channels, parts, per_channel=per_channel)
        # Kernels of 2 frames: one frame each for the first and the last, a dilation each between.
        self.reach = 2 + sum(self.dilations)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """Map ``(batch, parts * channels, freq, frames)`` to the same shape."""
        y = self.first_activation(self.first(with_past(x, 1, self.first, state)))
        seen = [y]
        for conv, norm, activation, dilation in zip(
            self.convs, self.norms, self.activations, self.dilations, strict=True
        ):
            y = conv(with_past(join(seen, self.parts), dilation, conv, state))
            y = activation(norm(y, state))
            # Newest first: the order of the published weights' inputs.
            seen.insert(0, y)
        result: Tensor = self.last_activation(self.last(with_past(y, 1, self.last, state)))
        return result
