"""A causal network written out as a short list of operations on one frame.

Run module by module, one frame of a nested U-Net is some ten thousand calls on tiny tensors, and
the calls cost many times the arithmetic. Here a network becomes a table of a few kinds of
operations on flat arrays, which :class:`.FrameMachine` runs in one call.

Feature maps are ``(rows, channels)`` with the channels last, real parts before imaginary ones. A
map that is needed later stays in memory for its last ``frames`` frames, in a ring: frame ``t`` lies
at ``offset + t % frames * rows * channels``. Zeros in memory are the past of a signal that begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["FrameProgram", "FrameWriter", "Map", "Source"]

GATHER, MULTIPLY, FINISH, AVERAGE, GATES, APPLY = range(6)
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
class Source:
    """What a convolution sees of one map: weights ``(out, channels, rows)`` at ``delay`` frames."""

    map: Map
    delay: int
    weight: Tensor


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


@dataclass
class FrameWriter:
    """Collects the operations of a network."""

    code: list[tuple[int, ...]] = field(default_factory=list)
    weights: list[NDArray[np.float32]] = field(default_factory=list)
    memory: int = 0
    totals: int = 0
    columns: int = 1
    products: int = 1
    _n_weights: int = 0

    def finished(self, source: Map, results: dict[str, Map]) -> FrameProgram:
        """Return the program."""
        code = np.array([line + (0,) * (FIELDS - len(line)) for line in self.code], dtype=np.int64)
        return FrameProgram(
            code,
            np.concatenate(self.weights),
            self.memory,
            self.totals,
            self.columns,
            self.products,
            source,
            results,
        )

    def reserve(self, rows: int, channels: int, frames: int = 1) -> Map:
        """Return a place for a feature map."""
        place = Map(self.memory, rows, channels, frames)
        self.memory += rows * channels * frames
        return place

    def store(self, *parameters: Tensor) -> int:
        """Keep parameters one behind the other; return where they start."""
        start = self._n_weights
        for each in parameters:
            flat = each.detach().float().cpu().reshape(-1).numpy().copy()
            self.weights.append(flat)
            self._n_weights += flat.size
        return start

    def convolve(self, sources: Sequence[Source], stride: int = 1, dilation: int = 1) -> int:
        """Convolve over rows, with zeros around them, and add up; return the rows of the product.

        The product is ``(rows / stride, out)``; :meth:`finish` has to follow.
        """
        width = sum(each.map.channels * each.weight.shape[2] for each in sources)
        column = 0
        for each in sources:
            place, taps = each.map, each.weight.shape[2]
            seen = (*place.ring, each.delay, place.rows, place.channels)
            self.code.append((GATHER, *seen, stride, dilation, taps, column, width))
            column += place.channels * taps
        weight = torch.cat([each.weight.transpose(1, 2).flatten(1) for each in sources], dim=1)
        rows = sources[0].map.rows // stride
        self.columns = max(self.columns, rows * width)
        self.multiply(rows, weight)
        return rows

    def multiply(self, rows: int, weight: Tensor, source: int = -1) -> None:
        """Multiply ``(rows, width)`` by ``weight`` ``(out, width)``.

        Args:
            rows: Rows of the matrix.
            weight: Its transpose is stored.
            source: Where in memory the matrix lies; -1: it is the gathered columns.
        """
        n_out, width = weight.shape
        self.code.append((MULTIPLY, rows, width, n_out, self.store(weight.t()), source))
        self.products = max(self.products, rows * n_out)

    def finish(
        self,
        place: Map,
        bias: Tensor,
        parts: int,
        *,
        norm: str | None = None,
        eps: float = 0.0,
        affine: tuple[Tensor, Tensor] | None = None,
        slope: Tensor | None = None,
    ) -> Map:
        """Add a bias to the product, normalise, apply a PReLU, and put the result at ``place``.

        Args:
            place: As many numbers as the product has; its rows may be a multiple of the product's.
            bias: One for each number of a row of the product.
            parts: Parts that are normalised each by itself.
            norm: ``cumulative``, ``frame`` or None.
            eps: Added to the variance.
            affine: Weight and bias of the normalisation.
            slope: Of the PReLU, one per channel.
        """
        ones = torch.ones(place.channels)
        gain, shift = affine or (ones, 0 * ones)
        slope = ones if slope is None else slope
        start = self.store(bias, torch.tensor([eps]), gain, shift, slope)
        kind = NORM_KINDS[norm]
        split = (place.rows, parts, place.channels // parts)
        self.code.append((FINISH, *place.ring, *split, start, len(bias), kind, self.totals))
        self.totals += 2 * parts if norm == "cumulative" else 0
        self.columns = max(self.columns, 2 * place.channels)
        return place

    def gates(self, rows: int, first_bias: Tensor, second: Tensor, second_bias: Tensor) -> Map:
        """Turn the product ``(2 * rows, 2 * 17)`` into the gates of two attentions for two parts.

        The product holds what a frame adds to this and the 16 outputs to come of a filter over
        time. With more than one row a moving average follows; then bias, ReLU, a second filter and
        a sigmoid.

        Args:
            rows: Rows of gates.
            first_bias: Of both attentions.
            second: Taps ``(2, 17)``, the latest frame's first.
            second_bias: Of both attentions.
        """
        start = self.store(first_bias, second.t(), second_bias)
        first, later = (self.reserve(rows, 4, TAPS).offset for _ in range(2))
        average = self.reserve(rows, 4, MEMORY).offset if rows > 1 else -1
        place = self.reserve(rows, 4)
        self.code.append((GATES, 4 * rows, start, first, average, later, place.offset))
        return place

    def average(self, place: Map) -> None:
        """Put the mean over rows where gathered columns lie."""
        self.code.append((AVERAGE, place.offset, place.rows, place.channels))
        self.columns = max(self.columns, place.channels)

    def apply(self, gated: Map, time: Map, freq: Map, added: Map, place: Map) -> Map:
        """Multiply a complex map by its gates, add another map, and put the result at ``place``."""
        inputs = (gated.offset, gated.rows, gated.channels // 2, time.offset, freq.offset)
        self.code.append((APPLY, *inputs, *added.ring, *place.ring))
        return place
