"""Effects on recordings: other colours, narrower bands, clipping.

Draws come from the generator that is given, so that they follow from its key.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = ["clip", "equalise", "limit_band"]

Samples = NDArray[np.float32]
#: Gains are drawn at so many frequencies, evenly spread over octaves from ``LOW_HZ`` up.
KNOTS, LOW_HZ = 8, 100.0
#: How far above the limit a band ends, as a ratio.
SLOPE = 1.1


def _frequencies(n_samples: int, sample_rate: int) -> NDArray[np.float64]:
    return np.asarray(scipy.fft.rfftfreq(n_samples, 1 / sample_rate))


def equalise(
    signal: Samples, gain_db: float, sample_rate: int, draw: np.random.Generator
) -> Samples:
    """Return a signal ``(samples,)`` with a random smooth colour of the same energy.

    Args:
        signal: What is coloured.
        gain_db: Each of some frequencies is raised or lowered by up to so many dB.
        sample_rate: Hz.
        draw: Generator.

    Source: random filters for speech and noise of Valin, "A hybrid DSP/deep learning approach to
        real-time full-band speech enhancement", MMSP 2018.
    """
    spectrum = scipy.fft.rfft(signal)
    knots = np.geomspace(LOW_HZ, sample_rate / 2, KNOTS)
    gains = draw.uniform(-gain_db, gain_db, KNOTS)
    # Below the lowest knot the gain stays that of the knot.
    octaves = np.log2(np.maximum(_frequencies(len(signal), sample_rate), LOW_HZ))
    curve_db = np.interp(octaves, np.log2(knots), gains)
    coloured = scipy.fft.irfft(spectrum * (10 ** (curve_db / 20)).astype(np.float32), len(signal))
    before, after = (float(np.sum(np.square(x, dtype=np.float64))) for x in (signal, coloured))
    gain = np.sqrt(before / after) if after else 1.0
    return np.asarray(gain * coloured, dtype=np.float32)


def limit_band(signals: Samples, highest_hz: float, sample_rate: int) -> Samples:
    """Return signals ``(n, samples)`` without what is above ``highest_hz``, by linear phase."""
    n_samples = signals.shape[-1]
    frequencies = _frequencies(n_samples, sample_rate)
    # From 0 at the limit to 1 where the band ends, with half a cosine between.
    place = (frequencies / highest_hz - 1) / (SLOPE - 1)
    gain = 0.5 + 0.5 * np.cos(np.pi * np.clip(place, 0, 1))
    limited = scipy.fft.irfft(scipy.fft.rfft(signals) * gain.astype(np.float32), n_samples)
    return np.asarray(limited, dtype=np.float32)


def clip(signal: Samples, below_peak_db: float) -> Samples:
    """Return a signal cut off so many dB (positive) below its largest sample."""
    limit = float(np.abs(signal).max(initial=0.0)) * 10 ** (-below_peak_db / 20)
    return np.clip(signal, -limit, limit)
