"""Spectrograms for a page: one pixel per cell and 256 colours, so that they stay small."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

__all__ = ["difference_picture", "levels_db", "spectrogram_picture"]

Array = NDArray[np.float64]

WINDOW_S = 0.032
HOP_S = 0.008
RANGE_DB = 70.0
DIFFERENCE_DB = 30.0
LEVELS = "magma"
DIFFERENCES = "RdBu_r"  # red: more than the reference; distinct without seeing red from green


def levels_db(signal: Array, sample_rate: int) -> Array:
    """Return the level of each cell of `(samples,)` in dB re. full scale, `(freq, frames)`.

    Hann windows of 32 ms every 8 ms, frames centred from the first sample to the last.
    """
    length = round(WINDOW_S * sample_rate)
    hop = max(1, round(HOP_S * sample_rate))
    transform = ShortTimeFFT(hann(length, sym=False), hop, sample_rate, scale_to="magnitude")
    padded = np.pad(signal, (0, max(0, length - len(signal))))
    frames = transform.stft(padded, p0=0, p1=max(1, -(-len(signal) // hop)))
    floor = 1e-10  # -200 dB: silence has a level
    # 2: a sine's energy is shared with its negative frequency, so that full scale has 0 dB.
    return np.asarray(20 * np.log10(np.maximum(2 * np.abs(frames), floor)))


def spectrogram_picture(levels: Array, loudest: float) -> bytes:
    """Return levels `(freq, frames)` in dB as a PNG, low frequencies below.

    ``loudest`` is the level of the brightest colour; 70 dB below it is the darkest.
    """
    return _paint((levels - (loudest - RANGE_DB)) / RANGE_DB, LEVELS)


def difference_picture(levels: Array, reference: Array, loudest: float) -> bytes:
    """Return how much louder or softer each cell is than the reference's, as a PNG.

    Cells below the range of the spectrograms count as being at its end, so that what nobody sees
    there makes no colour here. The colours reach to +-30 dB.
    """
    floor = loudest - RANGE_DB
    difference = np.maximum(levels, floor) - np.maximum(reference, floor)
    return _paint((difference / DIFFERENCE_DB + 1) / 2, DIFFERENCES)  # 0 dB in the middle


def _paint(share: Array, colours: str) -> bytes:
    """Return `(rows, columns)` from 0 to 1 as a PNG with a palette, the first row at the bottom."""
    index = np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)
    palette = (matplotlib.colormaps[colours](np.arange(256))[:, :3] * 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(index[::-1]))  # rows of images go down
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
