"""What the operations of a :class:`.FrameProgram` do, compiled for this processor.

The functions are compiled by numba (some seconds once; the result is kept in ``__pycache__``) and
work on five flat arrays: parameters, memory, running statistics in float64, gathered columns,
products. Their first argument is an operation, whose numbers each function names. ``frame`` counts
from 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .frame_program import APPLY, AVERAGE, FINISH, GATES, GATHER, MEMORY, MULTIPLY, TAPS

try:
    import scipy.linalg.cython_blas  # noqa: F401  (the matrix product of numba)
    from numba import njit
except ModuleNotFoundError as error:  # pragma: no cover
    raise ModuleNotFoundError("compiled streams need numba: pip install numba") from error

__all__ = ["run"]

Floats = NDArray[np.float32]
Operation = Any  # an array of 16 integers; numba knows
# sums may be reordered, so that they run on vectors; NaN and infinity keep their meaning
compiled = njit(cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")


@compiled
def gather(op: Operation, frame: int, memory: Floats, columns: Floats) -> None:
    """Copy ``taps`` rows around each ``stride``-th row of a map side by side."""
    offset, size, frames, delay, rows, channels = op[1], op[2], op[3], op[4], op[5], op[6]
    stride, dilation, taps, column, width = op[7], op[8], op[9], op[10], op[11]
    start = offset + ((frame - delay) % frames) * size
    for out in range(rows // stride):
        to, row = column + out * width, out * stride - taps // 2 * dilation
        if row >= 0 and dilation == 1 and row + taps <= rows:
            begin = start + row * channels
            for i in range(taps * channels):
                columns[to + i] = memory[begin + i]
        else:
            for _tap in range(taps):
                inside = row >= 0 and row < rows
                begin = start + row * channels
                for i in range(channels):
                    columns[to + i] = memory[begin + i] if inside else np.float32(0)
                to += channels
                row += dilation


@compiled
def multiply(
    op: Operation, weights: Floats, memory: Floats, columns: Floats, products: Floats
) -> None:
    """Multiply gathered columns, or a part of memory, by a matrix."""
    rows, width, n_out, start, source = op[1], op[2], op[3], op[4], op[5]
    matrix = columns[: rows * width] if source < 0 else memory[source : source + rows * width]
    weight = weights[start : start + width * n_out].reshape((width, n_out))
    np.dot(matrix.reshape((rows, width)), weight, products[: rows * n_out].reshape((rows, n_out)))


@compiled
def finish(
    op: Operation,
    frame: int,
    weights: Floats,
    memory: Floats,
    totals: NDArray[np.float64],
    columns: Floats,
    products: Floats,
) -> None:
    """Add the bias, normalise, apply the PReLU."""
    start = op[1] + (frame % op[3]) * op[2]
    rows, parts, channels, first, width = op[4], op[5], op[6], op[7], op[8]
    n = parts * channels
    for i in range(n):
        columns[i] = 0
    for row in range(rows):
        at, bias = start + row * n, first + row % (width // n) * n
        for i in range(n):
            value = products[row * n + i] + weights[bias + i]
            memory[at + i] = value
            columns[i] += value
    first += width
    find_scale(op, frame, first, start, weights, memory, totals, columns)
    slope = first + 1 + 2 * n
    for row in range(rows):
        at = start + row * n
        for i in range(n):
            value = memory[at + i] * columns[i] + columns[n + i]
            memory[at + i] = value if value > 0 else value * weights[slope + i]


@compiled
def find_scale(
    op: Operation,
    frame: int,
    first: int,
    start: int,
    weights: Floats,
    memory: Floats,
    totals: NDArray[np.float64],
    columns: Floats,
) -> None:
    """Turn the sums in ``columns`` into the factor and the shift of each channel."""
    rows, parts, channels, kind, total = op[4], op[5], op[6], op[9], op[10]
    n, count = parts * channels, rows * channels
    for part in range(parts):
        begin = part * channels
        mean = 0.0
        for i in range(begin, begin + channels):
            mean += np.float64(columns[i])
        mean /= count
        near, variance = np.float32(mean), 0.0
        for i in range(begin, begin + channels):
            columns[n + i] = 0
        for row in range(rows):
            for i in range(begin, begin + channels):
                distance = memory[start + row * n + i] - near
                columns[n + i] += distance * distance
        for i in range(begin, begin + channels):
            variance += np.float64(columns[n + i])
        variance = variance / count - (mean - near) ** 2
        if kind == 1:
            power, at = variance + mean * mean, total + 2 * part
            totals[at] += mean
            totals[at + 1] += power
            mean = totals[at] / (frame + 1)
            variance = max(totals[at + 1] / (frame + 1) - mean * mean, 0.0)
        scale = np.float32(1 / np.sqrt(variance + weights[first]))
        if kind == 0:
            scale, mean = np.float32(1), 0.0
        near = np.float32(mean)
        for i in range(begin, begin + channels):
            columns[i] = scale * weights[first + 1 + i]
            columns[n + i] = weights[first + 1 + n + i] - near * columns[i]


@compiled
def average(op: Operation, memory: Floats, columns: Floats) -> None:
    """Take the mean over the rows of a map."""
    start, rows, channels = op[1], op[2], op[3]
    for i in range(channels):
        columns[i] = 0
    for row in range(rows):
        for i in range(channels):
            columns[i] += memory[start + row * channels + i]
    for i in range(channels):
        columns[i] /= np.float32(rows)


@compiled
def take(memory: Floats, line: int, place: int, size: int) -> None:
    """Move what a filter gives at this frame to ``place``, and clear it for a frame to come."""
    for i in range(size):
        memory[place + i] = memory[line + i]
        memory[line + i] = 0


@compiled
def average_recent(memory: Floats, ring: int, slot: int, place: int, size: int) -> None:
    """Replace ``place`` by the mean of the last frames, which ``ring`` holds."""
    for i in range(size):
        memory[ring + slot * size + i] = memory[place + i]
        memory[place + i] = 0
    for start in range(ring, ring + MEMORY * size, size):
        for i in range(size):
            memory[place + i] += memory[start + i]
    for i in range(size):
        memory[place + i] /= np.float32(MEMORY)


@compiled
def gates(op: Operation, frame: int, weights: Floats, memory: Floats, products: Floats) -> None:
    """Two filters over time, a moving average between them, ReLU and sigmoid.

    A filter adds what a frame contributes to the outputs to come, each in its slot of a ring.
    """
    size, first_bias, first, recent, later, place = op[1], op[2], op[3], op[4], op[5], op[6]
    second, second_bias, now = first_bias + 2, first_bias + 2 + 2 * TAPS, frame % TAPS * size
    for tap in range(TAPS):
        to = first + (frame + tap) % TAPS * size
        for i in range(size):
            memory[to + i] += products[i * TAPS + tap]
    take(memory, first + now, place, size)
    if recent >= 0:
        average_recent(memory, recent, frame % MEMORY, place, size)
    for i in range(size):
        value = memory[place + i] + weights[first_bias + i % 2]
        memory[place + i] = np.float32(0) if value < 0 else value
    for tap in range(TAPS):
        to = later + (frame + tap) % TAPS * size
        for i in range(size):
            memory[to + i] += memory[place + i] * weights[second + 2 * tap + i % 2]
    take(memory, later + now, place, size)
    for i in range(size):
        value = memory[place + i] + weights[second_bias + i % 2]
        memory[place + i] = np.float32(1) / (np.float32(1) + np.exp(-value))


@compiled
def apply(op: Operation, frame: int, memory: Floats) -> None:
    """Multiply by the gates like a complex number by a complex one, and add a map."""
    start, rows, channels, time, freq = op[1], op[2], op[3], op[4], op[5]
    added, place = op[6] + frame % op[8] * op[7], op[9] + frame % op[11] * op[10]
    for row in range(rows):
        to = freq + 4 * row
        re_re, re_im = memory[time] * memory[to], memory[time + 1] * memory[to + 1]
        im_re, im_im = memory[time + 2] * memory[to + 2], memory[time + 3] * memory[to + 3]
        at = row * 2 * channels
        for i in range(at, at + channels):
            re, im = memory[start + i], memory[start + channels + i]
            memory[place + i] = re * re_re - im * im_im + memory[added + i]
            value = re * re_im + im * im_re + memory[added + channels + i]
            memory[place + channels + i] = value


@compiled
def run(
    code: NDArray[np.int64],
    frame: int,
    weights: Floats,
    memory: Floats,
    totals: NDArray[np.float64],
    columns: Floats,
    products: Floats,
) -> None:
    """Compute one frame."""
    for i in range(code.shape[0]):
        op = code[i]
        kind = op[0]
        if kind == GATHER:
            gather(op, frame, memory, columns)
        elif kind == MULTIPLY:
            multiply(op, weights, memory, columns, products)
        elif kind == FINISH:
            finish(op, frame, weights, memory, totals, columns, products)
        elif kind == AVERAGE:
            average(op, memory, columns)
        elif kind == GATES:
            gates(op, frame, weights, memory, products)
        elif kind == APPLY:
            apply(op, frame, memory)
