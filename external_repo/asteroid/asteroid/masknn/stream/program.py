"""A causal network written out as a short list of operations on one frame.

Run module by module, one frame of a nested U-Net is some ten thousand calls on tiny tensors, and
the calls cost many times the arithmetic. Here a network becomes a table of a few kinds of
operations on flat arrays, which :class:`.FrameMachine` runs in one call.

Feature maps are ``(rows, channels)`` with the channels last, real parts before imaginary ones. A
map that is needed later stays in memory for its last ``frames`` frames, in a ring: frame ``t`` lies
at ``offset + t % frames * rows * channels``. Zeros in memory are the past of a signal that begins.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asteroid.utils.files import atomic_path

__all__ = ["FrameProgram", "Map"]

GATHER, GATHER_PARTS, MULTIPLY, FINISH, AVERAGE, GATES, APPLY = range(7)
FIELDS = 16  # numbers of an operation, its kind first
NORM_KINDS = {None: 0, "cumulative": 1, "frame": 2}
TAPS, MEMORY = 17, 32  # frames of the attention's filters and of its moving average


@dataclass(frozen=True)
class Map:
    """Where a feature map lies in memory: ``rows * channels`` numbers, for each of ``frames``."""

    offset: int
    rows: int
    channels: int
    frames: int = 1

    @property
    def size(self) -> int:
        """Numbers of a frame."""
        return self.rows * self.channels

    @property
    def ring(self) -> tuple[int, int, int]:
        """Offset, numbers of a frame, frames."""
        return self.offset, self.size, self.frames


@dataclass(frozen=True)
class FrameProgram:
    """Operations and weights of a network for one frame.

    Attributes:
        code: ``(operations, 16)``; what the numbers mean stands at each operation of
            :mod:`.frame_kernels`.
        weights: All parameters, flat.
        memory: Numbers to remember, feature maps of the present frame included.
        totals: Running statistics, which are kept in float64.
        columns: Numbers of the largest matrix of gathered columns.
        products: Numbers of the largest product.
        source: The map that is filled before a frame is computed.
        results: The maps that hold the results, by name.
    """

    code: NDArray[np.int64]
    weights: NDArray[np.float32]
    memory: int
    totals: int
    columns: int
    products: int
    source: Map
    results: dict[str, Map]

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the matrix products of one frame."""
        products = self.code[self.code[:, 0] == MULTIPLY]
        return int(products[:, 1:4].prod(1).sum())

    def save(self, path: str | Path) -> None:
        """Write to one file (``.npz``), for implementations on other hardware.

        ``code`` and ``weights`` are the arrays; ``sizes`` is JSON: the other attributes by name,
        each map with its offset, rows, channels and frames. What the operations do is in
        :mod:`.frame_kernels` and :mod:`.frame_gates`, line by line. Around the program belong the
        network's STFT, compression and level before it, mask and expansion behind it
        (``enhance`` of the network).
        """
        sizes = {name: getattr(self, name) for name in ("memory", "totals", "columns", "products")}
        maps = {name: asdict(place) for name, place in self.results.items()}
        text = json.dumps({**sizes, "source": asdict(self.source), "results": maps})
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, code=self.code, weights=self.weights, sizes=text)
