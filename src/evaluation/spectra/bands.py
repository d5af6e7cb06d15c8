"""Energies in one-third-octave bands. Source: IEC 61260-1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from asteroid.dsp.stft import Stft

__all__ = ["Array", "band_energies", "third_octaves"]

Array = NDArray[np.float64]

WINDOW_S = 0.064
LOWEST_HZ = 100.0


def third_octaves(sample_rate: float) -> tuple[Array, Array]:
    """Return centres ``(bands,)`` and edges ``(bands + 1,)`` in Hz, from 100 Hz to half the rate.

    Centres are 1000 Hz times powers of 2^(1/3); the last band ends at or below half the rate.
    """
    order = np.arange(-12, 20)
    centres = 1000.0 * 2.0 ** (order / 3)
    # 0.9: the band called 100 Hz is centred on 99.2 Hz
    fits = (centres > LOWEST_HZ * 0.9) & (centres * 2 ** (1 / 6) <= sample_rate / 2)
    centres = centres[fits]
    return centres, np.append(centres * 2 ** (-1 / 6), centres[-1] * 2 ** (1 / 6))


def band_energies(signals: Tensor, sample_rate: int) -> tuple[Array, Array, Array]:
    """Return the energies of signals ``(signals, samples)`` over bands and time.

    Returns:
        Energies ``(signals, bands, frames)``, the frames' centres in seconds ``(frames,)``, and the
        energy of all frequencies ``(signals,)``.
    """
    window = round(WINDOW_S * sample_rate)
    hop = window // 4
    power = Stft(window, hop)(signals).abs().square().numpy()
    centres, edges = third_octaves(sample_rate)
    band_of = np.digitize(np.arange(power.shape[1]) * sample_rate / window, edges) - 1
    bands = np.stack([power[:, band_of == band].sum(1) for band in range(len(centres))], axis=1)
    return bands, np.arange(bands.shape[2]) * hop / sample_rate, power.sum((1, 2))
