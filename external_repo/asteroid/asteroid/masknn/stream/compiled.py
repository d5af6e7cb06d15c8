"""Compilation of the operations of a :class:`.FrameProgram`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  (numba's matrix product)
from numba import njit
from numpy.typing import NDArray

__all__ = ["FAST_MATH", "Floats", "compiled", "source_key"]

Floats = NDArray[np.float32]
# sums may be reordered, so that they run on vectors; NaN and infinity keep their meaning
FAST_MATH = {"reassoc", "contract"}
compiled = njit(fastmath=FAST_MATH, error_model="numpy")


def source_key() -> int:
    """Return a number that changes with any of the files that the compiled code comes from."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")
