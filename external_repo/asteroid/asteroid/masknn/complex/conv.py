"""Complex convolutions and linear layers on real tensors, one real operation each.

A complex feature map of ``C`` channels is a real tensor ``(batch, 2 * C, freq, frames)``: the real
parts of all channels first, then their imaginary parts. With ``W = A + iB`` and ``h = x + iy``,
``W * h = (A * x - B * y) + i(B * x + A * y)``, which is one real convolution of ``[x; y]`` with the
block weight ``[[A, -B], [B, A]]``: as many multiplications as four real convolutions, without
their copies and sums. Wide layers take three convolutions instead where that is faster
(:mod:`.three_products`). ``A`` and ``B`` are kept under the names that Asteroid's complex layers
give them (``re_module.weight``, ``im_module.weight``), so that their checkpoints load.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .geometry import Geometry
from .three_products import convolve, pays

__all__ = ["ComplexConv2d", "ComplexConvTranspose2d", "ComplexLinear", "concatenate"]

Pair = int | tuple[int, int]


def concatenate(*maps: Tensor) -> Tensor:
    """Concatenate complex feature maps ``(batch, 2 * channels, ...)`` along their channels."""
    parts = [each.chunk(2, dim=1) for each in maps]
    return torch.cat([re for re, _ in parts] + [im for _, im in parts], dim=1)


class _ComplexLayer(nn.Module):
    """Two real layers whose parameters are the real and imaginary parts of one complex layer.

    A bias adds ``(b_re - b_im) + i(b_re + b_im)``, as two pairs of real layers with a bias each do.
    """

    re_module: Any  # both are torch.nn.Conv2d, ConvTranspose2d or Linear
    im_module: Any

    def __init__(self, re_module: nn.Module, im_module: nn.Module, groups: int = 1) -> None:
        super().__init__()
        self.re_module, self.im_module, self.groups = re_module, im_module, groups

    def _bias(self) -> Tensor | None:
        re, im = self.re_module.bias, self.im_module.bias
        # As if both layers, each with its bias, met both parts.
        return None if re is None else torch.cat([re - im, re + im])

    def _convolve(self, maps: tuple[Tensor, ...], geometry: Geometry) -> Tensor:
        re, im, bias = self.re_module.weight, self.im_module.weight, self._bias()
        if self.groups == 1 and pays(maps[0], *re.shape[:2]):
            return convolve(maps, re, im, bias, geometry)
        if self.groups == 1 and maps[0].device.type == "cpu":
            return _sum_of_maps(maps, re, im, bias, geometry)
        x = _by_group(maps[0] if len(maps) == 1 else concatenate(*maps), self.groups)
        # [[A, -B], [B, A]]; a transposed convolution has its inputs in the rows
        weight = _block(re, -im if geometry.transposed else im, self.groups)
        if bias is not None:
            bias = _by_group(bias[None], self.groups)[0]
        return _by_part(_real(x, weight, bias, geometry, self.groups), self.groups)


class ComplexConv2d(_ComplexLayer):
    """Complex two-dimensional convolution.

    Args:
        in_channels: Complex channels in.
        out_channels: Complex channels out.
        kernel_size: ``(freq, time)``, or one number for both; so are those below.
        stride: Steps of the kernel.
        padding: Zeros on either side.
        dilation: Distance of the kernel's taps.
        groups: Complex groups; must divide both channel counts.
        bias: Adds a complex number to each channel.
        causal: Pad time on the left only, by the kernel's reach: frame ``t`` of the output knows
            nothing behind frame ``t * stride`` of the input. ``padding`` counts in frequency alone.

    Raises:
        ValueError: As ``torch.nn.Conv2d`` does.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        causal: bool = False,
    ) -> None:
        sizes = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        super().__init__(nn.Conv2d(*sizes), nn.Conv2d(*sizes), groups)
        self.causal = causal

    def forward(self, *maps: Tensor) -> Tensor:
        """Convolve ``(batch, 2 * in_channels, freq, frames)``.

        Several maps are concatenated along their complex channels first.
        """
        conv = self.re_module
        # Frames before the present one that the kernel reaches.
        padding, past = conv.padding, conv.dilation[1] * (conv.kernel_size[1] - 1)
        if self.causal:
            maps = tuple(F.pad(each, (past, 0)) for each in maps)
            padding = (padding[0], 0)
        geometry = Geometry(conv.stride, padding, conv.dilation, False, (0, 0), (0, 0))
        return self._convolve(maps, geometry)


class ComplexConvTranspose2d(_ComplexLayer):
    """Complex two-dimensional transposed convolution.

    Args:
        in_channels: Complex channels in.
        out_channels: Complex channels out.
        kernel_size: ``(freq, time)``, or one number for both; so are those below.
        stride: Steps of the output from one input to the next.
        padding: Rows and frames taken away on either side of the full output.
        output_padding: Rows and frames added at the end.
        groups: Complex groups; must divide both channel counts.
        bias: Adds a complex number to each channel.
        dilation: Distance of the kernel's taps.
        causal: Give ``stride`` frames for each input frame and take none away on the left: frame
            ``t`` of the output knows nothing behind frame ``t // stride`` of the input.
        trim: Frames to take from the start and the end of the full output. With it or ``causal``,
            ``padding`` and ``output_padding`` count in frequency alone.

    Raises:
        ValueError: As ``torch.nn.ConvTranspose2d`` does, or ``causal`` and the kernel reaches less
            than a stride in time.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        *,
        causal: bool = False,
        trim: tuple[int, int] | None = None,
    ) -> None:
        sizes = (in_channels, out_channels, kernel_size, stride, padding, output_padding)
        re, im = (nn.ConvTranspose2d(*sizes, groups, bias, dilation) for _ in range(2))
        super().__init__(re, im, groups)
        # The full output is reach - stride frames longer than stride for each input frame.
        reach, stride = re.dilation[1] * (re.kernel_size[1] - 1) + 1, re.stride[1]
        if causal and reach < stride:
            raise ValueError(
                f"a causal kernel must reach over its stride in time, {stride} frames; it reaches "
                f"{reach}"
            )
        self.trim = (0, reach - stride) if causal else trim

    def forward(self, *maps: Tensor) -> Tensor:
        """Convolve ``(batch, 2 * in_channels, freq, frames)``.

        Several maps are concatenated along their complex channels first.
        """
        conv = self.re_module
        padding, more = conv.padding, conv.output_padding
        if self.trim is not None:
            padding, more = (padding[0], 0), (more[0], 0)
        trim = self.trim or (0, 0)
        return self._convolve(maps, Geometry(conv.stride, padding, conv.dilation, True, more, trim))


class ComplexLinear(_ComplexLayer):
    """Complex linear layer on ``(..., 2 * features)``, the real parts first.

    Args:
        in_features: Complex features in.
        out_features: Complex features out.
        bias: Adds a complex number to each feature.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        re, im = (nn.Linear(in_features, out_features, bias) for _ in range(2))
        super().__init__(re, im)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., 2 * in_features)`` to ``(..., 2 * out_features)``."""
        return F.linear(x, _block(self.re_module.weight, self.im_module.weight, 1), self._bias())


def _sum_of_maps(
    maps: tuple[Tensor, ...], re: Tensor, im: Tensor, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """Convolve each map by its own part of the weight: on a CPU, faster than concatenating them."""
    transposed = geometry.transposed
    sizes = [each.shape[1] // 2 for each in maps]
    parts = (each.split(sizes, dim=0 if transposed else 1) for each in (re, im))
    weights = [_block(a, -b if transposed else b, 1) for a, b in zip(*parts, strict=True)]
    # The bias once, with the first.
    y = _real(maps[0], weights[0], bias, geometry)
    for x, weight in zip(maps[1:], weights[1:], strict=True):
        y = y + _real(x, weight, None, geometry)
    return y


def _real(
    x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int = 1
) -> Tensor:
    stride, padding, dilation, transposed, output_padding, (first, last) = geometry
    if transposed:
        y = F.conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)
    else:
        y = F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    return y[..., first : y.shape[-1] - last]


def _block(re: Tensor, im: Tensor, groups: int) -> Tensor:
    """``[[A, -B], [B, A]]`` of weights ``(out, in / groups, ...)``, group by group."""
    re, im = (each.unflatten(0, (groups, -1)) for each in (re, im))
    rows = torch.cat([re, -im], dim=2), torch.cat([im, re], dim=2)
    return torch.cat(rows, dim=1).flatten(0, 1)


def _by_group(x: Tensor, groups: int) -> Tensor:
    """Reorder channels from part by part to group by group, each group's real parts first."""
    if groups == 1:
        return x
    parts: Tensor = x.unflatten(1, (2, groups, -1))
    return parts.transpose(1, 2).flatten(1, 3)


def _by_part(x: Tensor, groups: int) -> Tensor:
    """Undo :func:`_by_group`."""
    if groups == 1:
        return x
    # A grouped convolution leaves each group's parts side by side.
    by_group: Tensor = x.unflatten(1, (groups, 2, -1))
    return by_group.transpose(1, 2).flatten(1, 3)
