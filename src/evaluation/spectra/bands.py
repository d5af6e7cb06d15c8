"""Energies in one-third-octave bands, of phone classes too. Source: IEC 61260-1."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from asteroid.dsp.stft import Stft
from evaluation.phonemes.segments import ClassedPhone

__all__ = ["ALL", "Array", "band_energies", "class_energies", "third_octaves"]

Array = NDArray[np.float64]

ALL = "all"
WINDOW_S = 0.064
LOWEST_HZ = 100.0


def third_octaves(sample_rate: float) -> tuple[Array, Array]:
    """Return centres ``(bands,)`` and edges ``(bands + 1,)`` in Hz, from 100 Hz to half the rate.

    Centres are 1000 Hz times powers of 2^(1/3); the last band ends at or below half the rate.
    """
    order = np.arange(-12, 20)  # from 63 Hz to 80 kHz
    centres = 1000.0 * 2.0 ** (order / 3)
    # 0.9: the nominal 100 Hz band is centred on 99.2 Hz
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
    # -1: digitize numbers the bands from 1 on; bins below the first edge become -1.
    band_of = np.digitize(np.arange(power.shape[1]) * sample_rate / window, edges) - 1
    bands = np.stack([power[:, band_of == band].sum(1) for band in range(len(centres))], axis=1)
    return bands, np.arange(bands.shape[2]) * hop / sample_rate, power.sum((1, 2))


def class_energies(bands: Array, times: Array, phones: Iterable[ClassedPhone]) -> dict[str, Array]:
    """Sum energies ``(..., bands, frames)`` over all frames and over those of each phone class.

    A frame belongs to the phone in which its centre lies. Phones without a class do not count.
    """
    energies = {ALL: bands.sum(-1)}
    for start, end, _, name in phones:
        if name:
            inside = (times >= start) & (times < end)
            energies[name] = energies.get(name, 0.0) + bands[..., inside].sum(-1)
    return energies
