r"""STOI's and ESTOI's intermediate correlations, with the moments they belong to.

Both measures look at 15 one-third-octave bands in frames of 25.6 ms that advance by 12.8 ms,
without the frames in which the speech is silent. With x, y the band magnitudes of the clean and the
processed speech in the window m of 30 frames (384 ms):

* STOI: d(j, m) is the correlation over the 30 frames of band j between x and the level-matched,
  clipped y; the measure is the mean over bands and windows. A window belongs to the phone that lies
  at its centre, since a correlation along time has no part that belongs to one frame: a phone's
  STOI tells of 0.19 s to both sides as well, and the first and last 0.19 s of an utterance are
  centre of no window.
* ESTOI: rows, then columns of x and y are normalised, and d(m, n) is the inner product of the
  columns of frame n: the correlation over the *bands*. It belongs to the phone in which frame n
  lies, whichever of the up to 30 windows it was normalised in, so ESTOI is sharper in time.

Means over everything are STOI and ESTOI as pystoi gives them. Source: Taal, Hendriks, Heusdens and
Jensen, IEEE TASLP 19(7), 2011, eq. 1 to 6; Jensen and Taal, IEEE/ACM TASLP 24(11), 2016, eq. 3 to
7.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from asteroid.utils.optional import needed_for

from .metric import Rows
from .perceptual import unit_power
from .pooling_units import Units

__all__ = ["STOI", "estoi_correlations", "stoi_correlations"]

WINDOW = 30  # frames
FRAME, N_FFT, N_BANDS = 256, 512, 15
RATE, LOWEST_HZ = 10000, 150
RANGE_DB = 40.0
# STOI clips y at this lower bound of the signal-to-distortion ratio.
CLIP_DB = -15.0
EPS = float(np.finfo(np.float64).eps)
TOO_SHORT = "fewer than 30 frames (0.397 s) of active speech"

_Array = NDArray[np.float64]


def stoi_correlations(target: _Array, estimate: _Array, sample_rate: int) -> tuple[_Array, _Array]:
    """Return STOI's d(j, m) ``(bands, windows)`` and the windows' centres ``(windows,)`` in s.

    Signals are ``(samples,)``.
    """
    x, y, times = _windows(target, estimate, sample_rate)
    # y at the level of x in each window and band, clipped at -15 dB of distortion.
    gain = np.linalg.norm(x, axis=2, keepdims=True) / (
        np.linalg.norm(y, axis=2, keepdims=True) + EPS
    )
    y = np.minimum(y * gain, x * (1 + 10 ** (-CLIP_DB / 20)))
    correlations = (_unit(x, 2) * _unit(y, 2)).sum(2).T
    # the 16th of a window's 30 frames starts at its centre, half a hop before its own
    return correlations, times[WINDOW // 2 :][: correlations.shape[1]]


def estoi_correlations(
    target: _Array, estimate: _Array, sample_rate: int
) -> tuple[_Array, _Array, _Array]:
    """Return ESTOI's correlations over bands by frame: sums, counts and centres in seconds.

    The sum over the windows that hold frame n, ``(frames,)``, how many they are, ``(frames,)``, and
    where the frame lies; arguments as of ``stoi_correlations``.
    """
    x, y, times = _windows(target, estimate, sample_rate)
    x, y = (_unit(_unit(part, 2), 1) for part in (x, y))
    by_window = (x * y).sum(1)
    sums, counts = np.zeros(len(times)), np.zeros(len(times))
    for place in range(WINDOW if len(by_window) else 0):
        sums[place : place + len(by_window)] += by_window[:, place]
        counts[place : place + len(by_window)] += 1
    return sums, counts, times


def _windows(target: _Array, estimate: _Array, sample_rate: int) -> tuple[_Array, _Array, _Array]:
    """Return band magnitudes ``(windows, bands, 30)`` of both, and the frames' centres in s."""
    with needed_for("STOI"):
        from pystoi import utils

    x, y = (
        signal if sample_rate == RATE else utils.resample_oct(signal, RATE, sample_rate)
        for signal in (target, estimate)
    )
    hop = FRAME // 2
    window = np.hanning(FRAME + 2)[1:-1]  # without its two zeros, as pystoi
    starts = np.arange(0, len(x) - FRAME, hop)
    loudness = np.array([np.linalg.norm(window * x[at : at + FRAME]) for at in starts])
    decibels = 20 * np.log10(loudness + EPS)
    # what utils.remove_silent_frames keeps, which does not tell
    kept = starts[decibels.max(initial=-np.inf) - RANGE_DB - decibels < 0]
    if len(kept) <= WINDOW:
        nothing = np.zeros((0, N_BANDS, WINDOW))
        return nothing, nothing, np.zeros(0)
    x, y = utils.remove_silent_frames(x, y, RANGE_DB, FRAME, hop)
    bands, _ = utils.thirdoct(RATE, N_FFT, N_BANDS, LOWEST_HZ)
    magnitudes = [
        np.sqrt(bands @ np.square(np.abs(utils.stft(signal, FRAME, N_FFT, overlap=2))).T)
        for signal in (x, y)
    ]
    times = (kept[: magnitudes[0].shape[1]] + FRAME / 2) / RATE
    over_x, over_y = (
        np.ascontiguousarray(sliding_window_view(one, WINDOW, axis=1).transpose(1, 0, 2))
        for one in magnitudes
    )
    return over_x, over_y, times


def _unit(values: _Array, axis: int) -> _Array:
    """Remove the mean and scale to norm 1; what is constant becomes 0."""
    centred = values - values.mean(axis, keepdims=True)
    scaled: _Array = centred / (np.linalg.norm(centred, axis=axis, keepdims=True) + EPS)
    return scaled


def _units(rows: Rows, *, extended: bool) -> Units:
    # A mean square of 1, as for pystoi itself.
    signals = (unit_power(rows.target)[0], unit_power(rows.estimate)[0])
    if extended:
        above, below, times = estoi_correlations(*signals, rows.sample_rate)
    else:
        correlations, times = stoi_correlations(*signals, rows.sample_rate)
        above, below = correlations.mean(0), np.ones(correlations.shape[1])
    at, values, counts = (
        torch.from_numpy(np.ascontiguousarray(part))
        for part in (times * rows.sample_rate, above, below)
    )
    return Units("mean", at, values, counts, "" if len(above) else TOO_SHORT)


STOI = {"stoi": partial(_units, extended=False), "estoi": partial(_units, extended=True)}
