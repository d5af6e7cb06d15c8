"""What the operations of a :class:`.FrameProgram` do, compiled for this processor.

The functions are compiled by numba (some seconds once; the result is kept in ``__pycache__``) and
work on five flat arrays: parameters, memory, running statistics in float64, gathered columns,
products. Their first argument is an operation, whose numbers each function names. ``frame`` counts
from 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .compiled import FAST_MATH, Floats, Operation, compiled, source_key
from .gate_kernels import apply, average, gates, sum_rows
from .program import APPLY, AVERAGE, FINISH, GATES, GATHER, GATHER_PARTS, MULTIPLY

__all__ = ["run"]


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
def gather_parts(op: Operation, frame: int, memory: Floats, columns: Floats) -> None:
    """Copy likewise the real parts, the imaginary parts and their sums, to a matrix each."""
    offset, size, frames, delay, rows, channels = op[1], op[2], op[3], op[4], op[5], op[6]
    stride, dilation, taps, column, width = op[7], op[8], op[9], op[10], op[11]
    start, matrix = offset + ((frame - delay) % frames) * size, rows // stride * width
    for out in range(rows // stride):
        to, row = column + out * width, out * stride - taps // 2 * dilation
        for _tap in range(taps):
            begin = start + row * 2 * channels
            re_to, im_to = (
                columns[to : to + channels],
                columns[matrix + to : matrix + to + channels],
            )
            both_to = columns[2 * matrix + to : 2 * matrix + to + channels]
            if row >= 0 and row < rows:
                re = memory[begin : begin + channels]
                im = memory[begin + channels : begin + 2 * channels]
                for i in range(channels):
                    re_to[i] = re[i]
                    im_to[i] = im[i]
                    both_to[i] = re[i] + im[i]
            else:
                for i in range(channels):
                    re_to[i] = 0
                    im_to[i] = 0
                    both_to[i] = 0
            to += channels
            row += dilation


@compiled
def multiply(
    op: Operation, weights: Floats, memory: Floats, columns: Floats, products: Floats
) -> None:
    """Multiply gathered columns, or a part of memory, by a matrix."""
    rows, width, n_out, first, start, to = op[1], op[2], op[3], op[4], op[5], op[6]
    end = start + rows * width
    matrix = (memory[start:end] if op[7] else columns[start:end]).reshape((rows, width))
    weight = weights[first : first + width * n_out].reshape((width, n_out))
    np.dot(matrix, weight, products[to : to + rows * n_out].reshape((rows, n_out)))


@compiled
def add_bias(op: Operation, start: int, weights: Floats, memory: Floats, products: Floats) -> None:
    """Put the product and its bias where it belongs, from three products too."""
    rows, channels, product_rows, first, three = op[4], op[5], op[6], op[7], op[10]
    n, repeats = 2 * channels, rows // product_rows
    matrix = rows * channels
    for row in range(rows):
        at, bias = start + row * n, first + row % repeats * n
        if three:
            j = row * channels
            first_product = products[j : j + channels]
            second = products[matrix + j : matrix + j + channels]
            third = products[2 * matrix + j : 2 * matrix + j + channels]
            re, im = memory[at : at + channels], memory[at + channels : at + n]
            bias_re, bias_im = weights[bias : bias + channels], weights[bias + channels : bias + n]
            for i in range(channels):
                re[i] = first_product[i] - third[i] + bias_re[i]
            for i in range(channels):
                im[i] = first_product[i] + second[i] + bias_im[i]
        else:
            for i in range(n):
                memory[at + i] = products[row * n + i] + weights[bias + i]


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
    rows, n = op[4], 2 * op[5]
    add_bias(op, start, weights, memory, products)
    sum_rows(memory, start, rows, n, columns)
    first = op[7] + rows // op[6] * n
    find_scale(op, frame, first, start, weights, memory, totals, columns)
    gain, shift = columns[:n], columns[n : 2 * n]  # in place of the sums
    slope = weights[first + 1 + 2 * n : first + 1 + 3 * n]
    for row in range(rows):
        y = memory[start + row * n : start + (row + 1) * n]
        for i in range(n):
            value = y[i] * gain[i] + shift[i]
            y[i] = value if value > 0 else value * slope[i]


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
    rows, channels, kind, total = op[4], op[5], op[8], op[9]
    n, count = 2 * channels, rows * channels
    for part in range(2):
        begin = part * channels
        mean = 0.0
        for i in range(begin, begin + channels):
            mean += np.float64(columns[i])
        mean /= count
        near, variance = np.float32(mean), 0.0
        squares = columns[n + begin : n + begin + channels]
        for i in range(channels):
            squares[i] = 0
        for row in range(rows):
            at = start + row * n + begin
            y = memory[at : at + channels]
            for i in range(channels):
                distance = y[i] - near
                squares[i] += distance * distance
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
def operate(
    op: Operation,
    frame: int,
    weights: Floats,
    memory: Floats,
    totals: NDArray[np.float64],
    columns: Floats,
    products: Floats,
) -> None:
    """Carry out an operation."""
    kind = op[0]
    if kind == GATHER:
        gather(op, frame, memory, columns)
    elif kind == GATHER_PARTS:
        gather_parts(op, frame, memory, columns)
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


def _build_run(key: int) -> Any:
    """Return the function; numba keeps its code by this file's time and by ``key``."""

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
        if key < 0:  # never; what is mentioned is part of what the code is kept by
            return
        for i in range(code.shape[0]):
            operate(code[i], frame, weights, memory, totals, columns, products)

    try:
        return njit(cache=True, fastmath=FAST_MATH, error_model="numpy")(run)
    except RuntimeError:  # there is no folder to keep the code in
        return compiled(run)


run = _build_run(source_key())
