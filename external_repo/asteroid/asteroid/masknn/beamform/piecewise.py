"""When a block keeps nothing it can compute again, and how it takes its input in pieces."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["is_lean", "pieces"]

ROWS = 512  # of a few hundred features at a time: about what stays in a core's cache


def is_lean(*tensors: Tensor) -> bool:
    """Whether to work piece by piece and to differentiate by hand.

    On a CPU that is faster, since every large intermediate costs more to allocate, to write and to
    read than to compute again. A GPU would start many small kernels instead, and autocast, tracing
    and compilation do not look into it.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return False
    on_cpu = all(tensor.device.type == "cpu" for tensor in tensors)
    one_kind = len({tensor.dtype for tensor in tensors}) == 1
    return on_cpu and one_kind and not torch.is_autocast_enabled("cpu")


def pieces(length: int, rows_each: int) -> Iterator[slice]:
    """Cut ``length`` places of ``rows_each`` rows into slices of about ``ROWS`` rows."""
    size = max(1, ROWS // rows_each)
    for start in range(0, length, size):
        yield slice(start, start + size)
