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
from functools import singledispatch
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from asteroid.utils.files import atomic_path

__all__ = ["FrameProgram", "Map", "Operation", "write_program"]

FIELDS = 16  # numbers of an operation, its kind first
NORM_KINDS = {None: 0, "cumulative": 1, "frame": 2}
TAPS, MEMORY = 17, 32  # frames of the attention's filters and of its moving average


class Gather(NamedTuple):
    """Copy ``taps`` rows around each ``stride``-th row of a map side by side, as columns.

    Attributes:
        offset: Of the map's ring in memory.
        size: Numbers of a frame.
        frames: Frames of the ring.
        delay: Which frame to read: so many ago.
        rows: Of the map.
        channels: Of the map; of one part for :class:`GatherParts`.
        stride: Rows from one output to the next.
        dilation: Rows from one tap to the next.
        taps: Rows of the kernel.
        column: Where the copy starts in a row of the matrix.
        width: Numbers of a row of the matrix.
    """

    offset: int
    size: int
    frames: int
    delay: int
    rows: int
    channels: int
    stride: int
    dilation: int
    taps: int
    column: int
    width: int


class GatherParts(Gather):
    """Copy likewise the real parts, the imaginary parts and their sums, to a matrix each."""


class Multiply(NamedTuple):
    """Multiply a matrix ``(rows, width)`` by a weight ``(width, n_out)``.

    Attributes:
        rows: Of the matrix.
        width: Numbers of its rows.
        n_out: Numbers of the product's rows.
        weight: Where the weight starts.
        start: Where the matrix starts, in the gathered columns or in memory.
        to: Where the product starts.
        in_memory: 1 if the matrix lies in memory.
    """

    rows: int
    width: int
    n_out: int
    weight: int
    start: int
    to: int
    in_memory: int


class Finish(NamedTuple):
    """Add the bias to a product, normalise each part, apply the PReLU, put it into a map.

    Attributes:
        offset: Of the map's ring in memory.
        size: Numbers of a frame.
        frames: Frames of the ring.
        rows: Of the map.
        channels: Of one part.
        product_rows: Of the product; the map has as many or a multiple.
        parameters: Where bias, eps, gain, shift and slope start, one behind the other.
        norm: A value of ``NORM_KINDS``.
        total: Where the running statistics start.
        three: 1 if the product consists of the three products of a complex one.
    """

    offset: int
    size: int
    frames: int
    rows: int
    channels: int
    product_rows: int
    parameters: int
    norm: int
    total: int
    three: int


class Average(NamedTuple):
    """Take the mean over the rows of a map, to where gathered columns lie."""

    offset: int
    rows: int
    channels: int


class Gates(NamedTuple):
    """Two filters over time, a moving average between them, ReLU and sigmoid.

    Attributes:
        size: Gates: of two attentions for two parts of every row.
        parameters: Where the first bias, the second filter and its bias start.
        first: Ring of the outputs to come of the first filter.
        recent: Ring of the moving average; -1 if there is none.
        later: Ring of the outputs to come of the second filter.
        place: Where the gates are put.
    """

    size: int
    parameters: int
    first: int
    recent: int
    later: int
    place: int


class Apply(NamedTuple):
    """Multiply a complex map by its gates like a complex number, and add another map.

    Attributes:
        offset: Of the map.
        rows: Its rows.
        channels: Its channels of one part.
        time: Where the time gates are.
        freq: Where the frequency gates are.
        added_offset: Of the ring of the map that is added; the next two as for :class:`Gather`.
        added_size: Numbers of its frames.
        added_frames: Frames of its ring.
        to_offset: Of the ring of the result; likewise.
        to_size: Numbers of its frames.
        to_frames: Frames of its ring.
    """

    offset: int
    rows: int
    channels: int
    time: int
    freq: int
    added_offset: int
    added_size: int
    added_frames: int
    to_offset: int
    to_size: int
    to_frames: int


Operation = Gather | Multiply | Finish | Average | Gates | Apply
#: An operation's kind in a program is its place here.
OPERATIONS: tuple[type[Operation], ...] = (
    *(Gather, GatherParts, Multiply, Finish, Average, Gates, Apply),
)


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
        code: ``(operations, 16)``: the kind of each, a place in ``OPERATIONS``, then its fields.
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

    @classmethod
    def encode(cls, operations: list[Operation]) -> NDArray[np.int64]:
        """Return the code of operations."""
        code = np.zeros((len(operations), FIELDS), np.int64)
        for line, operation in zip(code, operations, strict=True):
            # Fields beyond the operation's own stay 0.
            line[: 1 + len(operation)] = OPERATIONS.index(type(operation)), *operation
        return code

    def operations(self) -> list[Operation]:
        """Return the operations of the code."""
        kinds = [OPERATIONS[line[0]] for line in self.code]
        return [
            kind(*map(int, line[1 : 1 + len(kind._fields)]))
            for kind, line in zip(kinds, self.code, strict=True)
        ]

    def save(self, path: str | Path) -> None:
        """Write to one file (``.npz``), for implementations on other hardware.

        ``code`` and ``weights`` are the arrays; ``sizes`` is JSON: the other attributes by name,
        each map with its offset, rows, channels and frames. What the operations do is in
        :mod:`.kernels` and :mod:`.gate_kernels`, line by line. Around the program belong the
        network's STFT, compression and level before it, mask and expansion behind it
        (``enhance`` of the network).
        """
        sizes = {name: getattr(self, name) for name in ("memory", "totals", "columns", "products")}
        maps = {name: asdict(place) for name, place in self.results.items()}
        text = json.dumps({**sizes, "source": asdict(self.source), "results": maps})
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, code=self.code, weights=self.weights, sizes=text)


@singledispatch
def write_program(network: nn.Module) -> FrameProgram:
    """Write a network out for one frame at a time, between its spectra.

    A network's own writer is registered for its class.

    Raises:
        ValueError: There is no such form of this network.
    """
    raise ValueError(f"{type(network).__name__} cannot be compiled frame by frame")
