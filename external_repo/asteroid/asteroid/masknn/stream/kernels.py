"""Kernels of a :class:`.FrameProgram`'s operations, compiled for this processor.

The functions are compiled by numba (some seconds once; the result is kept in ``__pycache__``) and
work on five flat arrays: parameters, memory, running statistics in float64, gathered columns,
products. Their first argument is an operation of :mod:`.program`. ``frame`` counts from 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import NDArray

from .compiled import FAST_MATH, Floats, compiled, source_key
from .gate_kernels import apply, average, gates, sum_rows
from .program import (
    NORM_KINDS,
    OPERATIONS,
    Apply,
    Average,
    Finish,
    Gates,
    Gather,
    Multiply,
)

__all__ = ["run"]

# numba takes numbers for constants, but neither types nor dictionaries
GATHER, GATHER_PARTS, MULTIPLY, FINISH, AVERAGE, GATES, APPLY = range(len(OPERATIONS))
N_GATHER, _, N_MULTIPLY, N_FINISH, N_AVERAGE, N_GATES, N_APPLY = (
    len(each._fields) for each in OPERATIONS
)
first_of: Any = to_fixed_tuple  # (array, how many): its first numbers as a tuple
NOT_NORMED, CUMULATIVE = NORM_KINDS[None], NORM_KINDS["cumulative"]


@compiled
def gather(op: Gather, frame: int, memory: Floats, columns: Floats) -> None:
    """Copy ``taps`` rows around each ``stride``-th row of a map side by side."""
    rows, channels = op.rows, op.channels
    start = op.offset + ((frame - op.delay) % op.frames) * op.size
    for out in range(rows // op.stride):
        to, row = op.column + out * op.width, out * op.stride - op.taps // 2 * op.dilation
        if row >= 0 and op.dilation == 1 and row + op.taps <= rows:
            begin = start + row * channels
            for i in range(op.taps * channels):
                columns[to + i] = memory[begin + i]
        else:
            for _tap in range(op.taps):
                inside = row >= 0 and row < rows
                begin = start + row * channels
                for i in range(channels):
                    columns[to + i] = memory[begin + i] if inside else np.float32(0)
                to += channels
                row += op.dilation


@compiled
def gather_parts(op: Gather, frame: int, memory: Floats, columns: Floats) -> None:
    """Copy likewise the real parts, the imaginary parts and their sums, to a matrix each."""
    rows, channels = op.rows, op.channels
    start = op.offset + ((frame - op.delay) % op.frames) * op.size
    matrix = rows // op.stride * op.width
    for out in range(rows // op.stride):
        to, row = op.column + out * op.width, out * op.stride - op.taps // 2 * op.dilation
        for _tap in range(op.taps):
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
            row += op.dilation


@compiled
def multiply(
    op: Multiply, weights: Floats, memory: Floats, columns: Floats, products: Floats
) -> None:
    """Multiply gathered columns, or a part of memory, by a matrix."""
    rows, width, n_out = op.rows, op.width, op.n_out
    end = op.start + rows * width
    flat = memory[op.start : end] if op.in_memory else columns[op.start : end]
    weight = weights[op.weight : op.weight + width * n_out].reshape((width, n_out))
    product = products[op.to : op.to + rows * n_out].reshape((rows, n_out))
    np.dot(flat.reshape((rows, width)), weight, product)


@compiled
def add_bias(op: Finish, start: int, weights: Floats, memory: Floats, products: Floats) -> None:
    """Put the product and its bias where it belongs, from three products too."""
    rows, channels = op.rows, op.channels
    n, repeats = 2 * channels, rows // op.product_rows
    matrix = rows * channels
    for row in range(rows):
        at, bias = start + row * n, op.parameters + row % repeats * n
        if op.three:
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
    op: Finish,
    frame: int,
    weights: Floats,
    memory: Floats,
    totals: NDArray[np.float64],
    columns: Floats,
    products: Floats,
) -> None:
    """Add the bias, normalise, apply the PReLU."""
    start = op.offset + (frame % op.frames) * op.size
    rows, n = op.rows, 2 * op.channels
    add_bias(op, start, weights, memory, products)
    sum_rows(memory, start, rows, n, columns)
    first = op.parameters + rows // op.product_rows * n  # behind the bias
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
    op: Finish,
    frame: int,
    first: int,
    start: int,
    weights: Floats,
    memory: Floats,
    totals: NDArray[np.float64],
    columns: Floats,
) -> None:
    """Turn the sums in ``columns`` into the factor and the shift of each channel."""
    rows, channels = op.rows, op.channels
    n, count = 2 * channels, rows * channels
    for part in range(2):
        begin = part * channels
        mean = 0.0
        for i in range(begin, begin + channels):
            mean += np.float64(columns[i])
        mean /= count
        # Distances from a number near the mean lose no digits in float32; what it is off is
        # taken away below.
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
        if op.norm == CUMULATIVE:
            power, at = variance + mean * mean, op.total + 2 * part
            totals[at] += mean
            totals[at + 1] += power
            mean = totals[at] / (frame + 1)
            variance = max(totals[at + 1] / (frame + 1) - mean * mean, 0.0)
        scale = np.float32(1 / np.sqrt(variance + weights[first]))
        if op.norm == NOT_NORMED:
            scale, mean = np.float32(1), 0.0
        near = np.float32(mean)
        for i in range(begin, begin + channels):
            columns[i] = scale * weights[first + 1 + i]
            columns[n + i] = weights[first + 1 + n + i] - near * columns[i]


@compiled
def operate(
    line: NDArray[np.int64],
    frame: int,
    weights: Floats,
    memory: Floats,
    totals: NDArray[np.float64],
    columns: Floats,
    products: Floats,
) -> None:
    """Carry out an operation: its kind, then its fields."""
    kind, fields = line[0], line[1:]
    if kind == GATHER:
        gather(Gather(*first_of(fields, N_GATHER)), frame, memory, columns)
    elif kind == GATHER_PARTS:
        gather_parts(Gather(*first_of(fields, N_GATHER)), frame, memory, columns)
    elif kind == MULTIPLY:
        product = Multiply(*first_of(fields, N_MULTIPLY))
        multiply(product, weights, memory, columns, products)
    elif kind == FINISH:
        ending = Finish(*first_of(fields, N_FINISH))
        finish(ending, frame, weights, memory, totals, columns, products)
    elif kind == AVERAGE:
        average(Average(*first_of(fields, N_AVERAGE)), memory, columns)
    elif kind == GATES:
        gates(Gates(*first_of(fields, N_GATES)), frame, weights, memory, products)
    elif kind == APPLY:
        apply(Apply(*first_of(fields, N_APPLY)), frame, memory)


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
