"""Kernels of a :class:`.FrameProgram`'s operations for the attention over time and frequency.

As in :mod:`.kernels`.
"""

from __future__ import annotations

import numpy as np

from .compiled import Floats, compiled
from .program import MEMORY, TAPS, Apply, Average, Gates

__all__ = ["apply", "average", "gates", "sum_rows"]


@compiled
def sum_rows(memory: Floats, start: int, rows: int, size: int, columns: Floats) -> None:
    """Add up the rows of a map."""
    for i in range(size):
        columns[i] = 0
    for row in range(rows):
        y = memory[start + row * size : start + (row + 1) * size]
        for i in range(size):
            columns[i] += y[i]


@compiled
def average(op: Average, memory: Floats, columns: Floats) -> None:
    """Take the mean over the rows of a map."""
    sum_rows(memory, op.offset, op.rows, op.channels, columns)
    for i in range(op.channels):
        columns[i] /= np.float32(op.rows)


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
def gates(op: Gates, frame: int, weights: Floats, memory: Floats, products: Floats) -> None:
    """Two filters over time, a moving average between them, ReLU and sigmoid.

    A filter adds what a frame contributes to the outputs to come, each in its slot of a ring.
    """
    size, place, first_bias = op.size, op.place, op.parameters
    second, second_bias, now = first_bias + 2, first_bias + 2 + 2 * TAPS, frame % TAPS * size
    for tap in range(TAPS):
        to = op.first + (frame + tap) % TAPS * size
        for i in range(size):
            memory[to + i] += products[i * TAPS + tap]
    take(memory, op.first + now, place, size)
    if op.recent >= 0:
        average_recent(memory, op.recent, frame % MEMORY, place, size)
    for i in range(size):
        value = memory[place + i] + weights[first_bias + i % 2]
        # ReLU, in which NaN stays NaN.
        memory[place + i] = np.float32(0) if value < 0 else value
    for tap in range(TAPS):
        to = op.later + (frame + tap) % TAPS * size
        for i in range(size):
            memory[to + i] += memory[place + i] * weights[second + 2 * tap + i % 2]
    take(memory, op.later + now, place, size)
    for i in range(size):
        value = memory[place + i] + weights[second_bias + i % 2]
        memory[place + i] = np.float32(1) / (np.float32(1) + np.exp(-value))


@compiled
def apply(op: Apply, frame: int, memory: Floats) -> None:
    """Multiply by the gates like a complex number by a complex one, and add a map."""
    start, channels, time = op.offset, op.channels, op.time
    added = op.added_offset + frame % op.added_frames * op.added_size
    place = op.to_offset + frame % op.to_frames * op.to_size
    for row in range(op.rows):
        to = op.freq + 4 * row
        re_re, re_im = memory[time] * memory[to], memory[time + 1] * memory[to + 1]
        im_re, im_im = memory[time + 2] * memory[to + 2], memory[time + 3] * memory[to + 3]
        at = row * 2 * channels
        y = memory[start + at : start + at + 2 * channels]
        plus = memory[added + at : added + at + 2 * channels]
        out = memory[place + at : place + at + 2 * channels]
        for i in range(channels):
            re, im = y[i], y[channels + i]
            out[i] = re * re_re - im * im_im + plus[i]
            out[channels + i] = re * re_im + im * im_re + plus[channels + i]
