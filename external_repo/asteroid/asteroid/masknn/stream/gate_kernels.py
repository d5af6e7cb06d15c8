"""What the operations of a :class:`.FrameProgram` do for the attention over time and frequency.

As in :mod:`.frame_kernels`.
"""

from __future__ import annotations

import numpy as np

from .compiled import Floats, Operation, compiled
from .program import MEMORY, TAPS

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
def average(op: Operation, memory: Floats, columns: Floats) -> None:
    """Take the mean over the rows of a map."""
    start, rows, channels = op[1], op[2], op[3]
    sum_rows(memory, start, rows, channels, columns)
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
        y = memory[start + at : start + at + 2 * channels]
        plus = memory[added + at : added + at + 2 * channels]
        out = memory[place + at : place + at + 2 * channels]
        for i in range(channels):
            re, im = y[i], y[channels + i]
            out[i] = re * re_re - im * im_im + plus[i]
            out[channels + i] = re * re_im + im * im_re + plus[channels + i]
