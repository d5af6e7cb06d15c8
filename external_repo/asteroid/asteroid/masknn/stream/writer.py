"""Writer of a network as a :class:`.FrameProgram`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .program import (
    MEMORY,
    NORM_KINDS,
    TAPS,
    Apply,
    Average,
    Finish,
    FrameProgram,
    Gates,
    Gather,
    GatherParts,
    Map,
    Multiply,
    Operation,
)

__all__ = ["FrameWriter", "Product", "Source"]

FEWEST_PRODUCTS = 30_000  # of complex numbers, from where three real products are faster than four


@dataclass(frozen=True)
class Source:
    """What a complex convolution sees of a map ``delay`` frames ago.

    Attributes:
        map: Its channels are the real parts, then the imaginary parts.
        delay: Frames.
        re: Real part of the weight, ``(out, in, taps)``; taps are rows.
        im: Imaginary part.
    """

    map: Map
    delay: int
    re: Tensor
    im: Tensor


class Product(NamedTuple):
    """A matrix product that :meth:`FrameWriter.finish` has to take up next.

    Attributes:
        rows: Its rows.
        three: Whether it consists of the three products of a complex one: ``(X + Y) A``,
            ``X (B - A)``, ``Y (A + B)``.
    """

    rows: int
    three: bool


@dataclass
class FrameWriter:
    """Collects the operations of a network."""

    operations: list[Operation] = field(default_factory=list)
    weights: list[NDArray[np.float32]] = field(default_factory=list)
    memory: int = 0
    totals: int = 0
    columns: int = 1
    products: int = 1
    _n_weights: int = 0

    def finished(self, source: Map, results: dict[str, Map]) -> FrameProgram:
        """Return the program."""
        return FrameProgram(
            FrameProgram.encode(self.operations),
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

    def convolve(
        self, sources: Sequence[Source], stride: int = 1, dilation: int = 1, repeats: int = 1
    ) -> Product:
        """Convolve over rows, with zeros around them, and add up what the sources give.

        Large products are three real ones instead of four (Gauss).

        Args:
            sources: All of as many rows.
            stride: Rows from one output to the next.
            dilation: Rows from one tap to the next.
            repeats: The outputs are groups that :meth:`finish` makes rows of: parts go by group.
        """
        rows = sources[0].map.rows // stride
        width, n_out = sum(each.re[0].numel() for each in sources), len(sources[0].re)
        three = rows * width * n_out >= FEWEST_PRODUCTS
        # Block weights act on both parts side by side, three products on one at a time.
        column, used = 0, width if three else 2 * width
        for each in sources:
            place, taps = each.map, each.re.shape[2]
            channels = place.channels // 2 if three else place.channels
            seen = (*place.ring, each.delay, place.rows, channels)
            kind = GatherParts if three else Gather
            self.operations.append(kind(*seen, stride, dilation, taps, column, used))
            column += channels * taps
        self.columns = max(self.columns, rows * used * (3 if three else 1))
        if three:
            re, im = (
                torch.cat([part.transpose(1, 2).flatten(1) for part in parts], dim=1)
                for parts in zip(*((each.re, each.im) for each in sources), strict=True)
            )
            for i, weight in enumerate((re, im - re, re + im)):
                # The gathered matrices lie in the order real, imaginary, sum.
                self.multiply(rows, weight, (2, 0, 1)[i] * rows * width, i * rows * n_out)
        else:
            blocks = [_block(each.re, each.im, repeats) for each in sources]
            flat = [each.transpose(1, 2).flatten(1) for each in blocks]
            self.multiply(rows, torch.cat(flat, dim=1))
        return Product(rows, three)

    def multiply(
        self, rows: int, weight: Tensor, start: int = 0, to: int = 0, *, memory: bool = False
    ) -> None:
        """Multiply ``(rows, width)`` by the transpose of ``weight`` ``(out, width)``.

        Args:
            rows: Rows of the matrix.
            weight: Stored transposed.
            start: Where the matrix lies in the gathered columns.
            to: Where the product is put.
            memory: It lies in the memory instead.
        """
        n_out, width = weight.shape
        where = (self.store(weight.t()), start, to, int(memory))
        self.operations.append(Multiply(rows, width, n_out, *where))
        self.products = max(self.products, to + rows * n_out)

    def finish(
        self,
        product: Product,
        place: Map,
        bias: Tensor,
        *,
        norm: str | None = None,
        eps: float = 0.0,
        affine: tuple[Tensor, Tensor] | None = None,
        slope: Tensor | None = None,
    ) -> Map:
        """Add a bias to the product, normalise each part, apply a PReLU, put it at ``place``.

        Args:
            product: What :meth:`convolve` returned.
            place: As many numbers as the product has; its rows are the product's times ``repeats``.
            bias: One for each number of a row of the product, ``(repeats, 2, channels)``.
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
        shape = (place.rows, place.channels // 2, product.rows)
        rest = (start, kind, self.totals, int(product.three))
        self.operations.append(Finish(*place.ring, *shape, *rest))
        # Sums of mean and power, for two parts.
        self.totals += 4 if norm == "cumulative" else 0
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
        self.operations.append(Gates(4 * rows, start, first, average, later, place.offset))
        return place

    def average(self, place: Map) -> None:
        """Put the mean over rows where gathered columns lie."""
        self.operations.append(Average(place.offset, place.rows, place.channels))
        self.columns = max(self.columns, place.channels)

    def apply(self, gated: Map, time: Map, freq: Map, added: Map, place: Map) -> Map:
        """Multiply a complex map by its gates, add another map, and put the result at ``place``."""
        inputs = (gated.offset, gated.rows, gated.channels // 2, time.offset, freq.offset)
        self.operations.append(Apply(*inputs, *added.ring, *place.ring))
        return place


def _block(re: Tensor, im: Tensor, repeats: int) -> Tensor:
    """``[[A, -B], [B, A]]`` for each group of outputs."""
    re, im = (each.unflatten(0, (repeats, -1)) for each in (re, im))
    return torch.stack([torch.cat([re, -im], 2), torch.cat([im, re], 2)], 1).flatten(0, 2)
