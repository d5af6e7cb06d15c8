"""Complex convolution with three real ones.

With ``W = A + iB`` and ``h = x + iy``: ``p = A * (x + y)``, ``q = (B - A) * x``, ``r = (A+B) * y``
give ``W * h = (p - r) + i(p + q)``: three quarters of the multiplications for some additions. Only
the input is kept for the backward pass; sums of its parts, and the concatenation of several inputs,
are made again there.

Measured on a CPU core with AVX-512, forward and backward of one layer against one real convolution
of twice the channels: 1.2 to 1.3 times faster where both sides have 64 channels, 1.1 at 16 and 32,
not below.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asteroid.utils.fast_path import on_fast_path

from .geometry import Geometry, layout

__all__ = ["convolve", "pays"]

FEWEST_CHANNELS = 16  # of the narrower side, complex


def pays(x: Tensor, in_channels: int, out_channels: int) -> bool:
    """Whether three products are faster than one block product."""
    return on_fast_path(x) and min(in_channels, out_channels) >= FEWEST_CHANNELS


def convolve(
    maps: tuple[Tensor, ...], re: Tensor, im: Tensor, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """Convolve the concatenation of complex maps ``(batch, 2 * channels, freq, frames)``.

    Args:
        maps: Concatenated along their complex channels.
        re: Real part of the weight, in the order of torch's (transposed) convolution.
        im: Imaginary part.
        bias: ``(2 * out_channels,)``, real parts first, or None.
        geometry: Where the kernel goes.
    """
    result: Tensor = _ThreeProducts.apply(geometry, re, im, bias, *maps)
    return result


class _ThreeProducts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, geometry: Geometry, re: Tensor, im: Tensor, bias: Tensor | None, *maps: Tensor
    ) -> Tensor:
        ctx.save_for_backward(re, im, *maps)
        ctx.geometry, ctx.has_bias = geometry, bias is not None
        first = _convolve(_piece(maps, "sum"), re, geometry)
        width = first.shape[1]
        shape = (first.shape[0], 2 * width, *first.shape[2:])
        result = torch.empty(shape, dtype=first.dtype, memory_format=layout(maps[0]))
        # Each piece is made when it is needed, and gone when the next one is.
        second = _convolve(_piece(maps, "imaginary"), re + im, geometry)
        torch.sub(first, second, out=result[:, :width])
        del second
        third = _convolve(_piece(maps, "real"), im - re, geometry)
        torch.add(first, third, out=result[:, width:])
        return result if bias is None else result.add_(bias[:, None, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        """Differentiate ``p - r + i(p + q)`` with a gradient ``g + ih``.

        ``p`` gets ``g + h``, ``q`` gets ``h`` and ``r`` gets ``-g``. So ``A`` gets what ``p``'s
        weight does, minus ``q``'s, plus ``r``'s; ``B`` gets ``q``'s plus ``r``'s; ``x`` gets what
        the inputs of ``p`` and ``q`` do, ``y`` what those of ``p`` and ``r`` do. Below, what
        belongs to ``r`` is computed from ``g`` and so is subtracted.
        """
        re, im, *maps = ctx.saved_tensors
        needs_maps = any(ctx.needs_input_grad[4:])
        of_bias = grad.sum(dim=(0, 2, 3)) if ctx.has_bias else None
        like = layout(maps[0])

        def of(part: str, of_result: str, weight: Tensor) -> tuple[Tensor, Tensor]:
            grad_piece, piece = _piece((grad,), of_result, like), _piece(tuple(maps), part)
            return _backward(grad_piece, piece, weight, ctx.geometry, [needs_maps, True, False])

        of_both, first = of("sum", "sum", re)
        of_x, second = of("real", "imaginary", im - re)
        of_y, third = of("imaginary", "real", re + im)
        of_re, of_im = first - second - third, second - third
        if not needs_maps:
            return None, of_re, of_im, of_bias, *[None] * len(maps)
        return None, of_re, of_im, of_bias, *_split(of_both, of_x, of_y, maps)


def _piece(maps: tuple[Tensor, ...], part: str, like: torch.memory_format | None = None) -> Tensor:
    """Real or imaginary parts, or their sum, of the concatenated maps ``x + iy``, in one piece."""
    n_batch, _, *size = maps[0].shape
    shape = (n_batch, sum(each.shape[1] for each in maps) // 2, *size)
    like = layout(maps[0]) if like is None else like
    piece = torch.empty(shape, dtype=maps[0].dtype, memory_format=like)
    first = 0
    for each in maps:
        re, im = each.chunk(2, dim=1)
        into = piece[:, first : first + re.shape[1]]
        if part == "sum":
            torch.add(re, im, out=into)
        else:
            into.copy_(re if part == "real" else im)
        first += re.shape[1]
    return piece


def _split(of_both: Tensor, of_x: Tensor, of_y: Tensor, maps: list[Tensor]) -> list[Tensor]:
    """Gradients of the maps from those of what the three products are of."""
    first, grads = 0, []
    for each in maps:
        grad = torch.empty_like(each)
        re, im = grad.chunk(2, dim=1)
        of = slice(first, first + re.shape[1])
        torch.add(of_both[:, of], of_x[:, of], out=re)
        torch.sub(of_both[:, of], of_y[:, of], out=im)
        grads.append(grad)
        first += re.shape[1]
    return grads


def _convolve(x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    stride, padding, dilation, transposed, output_padding, (first, last) = geometry
    y = torch.convolution(
        x, weight, None, stride, padding, dilation, transposed, output_padding, groups=1
    )
    return y[..., first : y.shape[-1] - last]


def _backward(
    grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, mask: list[bool]
) -> tuple[Tensor, Tensor]:
    stride, padding, dilation, transposed, output_padding, trim = geometry
    if trim != (0, 0):
        grad = torch.nn.functional.pad(grad, trim)
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(
        grad, x, weight, None, stride, padding, dilation, transposed, output_padding, 1, mask
    )
    return of_x, of_weight
