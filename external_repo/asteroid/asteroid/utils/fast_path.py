"""Switch between plain formulas and faster computations of the same for CPUs."""

from __future__ import annotations

import os

import torch
from torch import Tensor

__all__ = ["VARIABLE", "on_fast_path"]

VARIABLE = "SELOSS_FAST"  # 0: plain formulas everywhere


def on_fast_path(*tensors: Tensor) -> bool:
    """Whether to compute by a fast path what these tensors are for.

    Fast paths are differentiated by hand, and are for CPUs: a GPU would start many small kernels
    instead. Autocast, tracing and compilation cannot look into them, and none mixes precisions.
    """
    if os.environ.get(VARIABLE) == "0" or torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return False
    on_cpu = all(tensor.device.type == "cpu" for tensor in tensors)
    exact = {tensor.dtype for tensor in tensors} in ({torch.float32}, {torch.float64})
    return on_cpu and exact and not torch.is_autocast_enabled("cpu")
