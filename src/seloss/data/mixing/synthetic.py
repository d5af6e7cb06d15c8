"""Synthetic noises that belong to nobody: cries and barks, bursts, clicks, sweeps, odd voices.

Recorded noises under free licences are mostly steady; these are voice-like or transient. A noise
repeats one to three events of one type in random intervals, as an animal or a machine does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from seloss.data.draw import generator

from .additive import PEAK
from .effects import equalise

__all__ = ["TYPES", "make_noise", "make_odd_voice"]

Samples = NDArray[np.floating[Any]]
_RMS = 0.05
#: Everything below so many dB of a harmonic's formant curve counts as this.
_FLOOR_DB = -50.0
#: Speech is played so much slower or faster that no talker has such a voice.
_ODD_SPEEDS = ((0.5, 0.65), (1.6, 2.5))


def _curve(length: int, spread: float, draw: np.random.Generator) -> Samples:
    """Return ``(length,)`` of a smooth random curve through knots of up to ``+-spread``."""
    n_knots = int(draw.integers(2, 7))
    knots = draw.uniform(-spread, spread, n_knots)
    return np.interp(np.linspace(0, n_knots - 1, length), np.arange(n_knots), knots)


def _envelope(length: int, sample_rate: int, draw: np.random.Generator) -> Samples:
    """Return ``(length,)`` of an attack of 2 to 80 ms and a fall to zero, by a random power."""
    attack = min(length, max(1, round(sample_rate * draw.uniform(0.002, 0.08))))
    rise = np.minimum(np.arange(1, length + 1) / attack, 1.0)
    fall = 1 - np.arange(length) / length
    return np.asarray(rise * fall ** draw.uniform(0.2, 3.0))


def _formants(draw: np.random.Generator, highest_hz: float) -> Callable[[Samples], Samples]:
    """Return a random gain over frequency (Hz): a slope with two to five resonances."""
    centres = draw.uniform(300, 0.9 * highest_hz, int(draw.integers(2, 6)))
    widths = draw.uniform(0.08, 0.3, len(centres)) * centres
    slope_db = draw.uniform(-12, 0)

    def gain(frequency: Samples) -> Samples:
        peaks = sum(
            np.exp(-(((frequency - c) / w) ** 2)) for c, w in zip(centres, widths, strict=True)
        )
        octaves = np.log2(np.maximum(frequency, 100.0) / 100.0)
        peaks_db = 20 * np.log10(np.maximum(peaks, 10 ** (_FLOOR_DB / 40)))
        return np.asarray(10 ** ((peaks_db + slope_db * octaves) / 20))

    return gain


def _cry(sample_rate: int, draw: np.random.Generator) -> Samples:
    """Return a harmonic sound of 0.08 to 1.5 s with a moving pitch, vibrato, roughness, breath."""
    length = round(sample_rate * np.exp(draw.uniform(np.log(0.08), np.log(1.5))))
    time = np.arange(length) / sample_rate
    vibrato = draw.uniform(0, 0.06) * np.sin(2 * np.pi * draw.uniform(3, 9) * time)
    octaves = _curve(length, draw.uniform(0.05, 0.7), draw) + vibrato
    pitch = np.exp(draw.uniform(np.log(60), np.log(1200))) * 2**octaves
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    gain = _formants(draw, sample_rate / 2)
    voiced = np.zeros(length)
    for harmonic in range(1, 1 + min(60, int(0.5 * sample_rate / pitch.min()))):
        frequency = harmonic * pitch
        # silent from Nyquist up, where it would come back as another frequency
        audible = frequency < sample_rate / 2
        voiced += gain(frequency) * audible * np.sin(harmonic * phase + draw.uniform(0, 2 * np.pi))
    if draw.random() < 0.4:
        voiced *= 1 + draw.uniform(0.2, 1) * np.sin(2 * np.pi * draw.uniform(20, 90) * time)
    breath = _shaped_noise(length, sample_rate, gain, draw) * 10 ** (draw.uniform(-40, 0) / 20)
    return (_unit(voiced) + breath) * _envelope(length, sample_rate, draw)


def _shaped_noise(
    length: int, sample_rate: int, gain: Callable[[Samples], Samples], draw: np.random.Generator
) -> Samples:
    spectrum = np.fft.rfft(draw.standard_normal(length))
    return _unit(np.fft.irfft(spectrum * gain(np.fft.rfftfreq(length, 1 / sample_rate)), length))


def _burst(sample_rate: int, draw: np.random.Generator) -> Samples:
    """Return noise of 0.03 to 0.8 s that starts at once: a sneeze, a cough, a slam."""
    length = round(sample_rate * np.exp(draw.uniform(np.log(0.03), np.log(0.8))))
    noise = _shaped_noise(length, sample_rate, _formants(draw, sample_rate / 2), draw)
    return noise * _envelope(length, sample_rate, draw)


def _click(sample_rate: int, draw: np.random.Generator) -> Samples:
    """Return one to six resonances that ring for 1 to 60 ms: a key, a knock, cutlery."""
    length = round(0.25 * sample_rate)
    time = np.arange(length) / sample_rate
    click = np.zeros(length)
    for _ in range(int(draw.integers(1, 7))):
        frequency = np.exp(draw.uniform(np.log(100), np.log(0.45 * sample_rate)))
        decay = np.exp(-time / np.exp(draw.uniform(np.log(0.001), np.log(0.06))))
        click += draw.uniform(0.2, 1) * decay * np.sin(2 * np.pi * frequency * time)
    return click


def _sweep(sample_rate: int, draw: np.random.Generator) -> Samples:
    """Return a tone of 0.05 to 1.2 s that keeps or glides its frequency: a whistle, an alarm."""
    length = round(sample_rate * np.exp(draw.uniform(np.log(0.05), np.log(1.2))))
    start = draw.uniform(np.log(200), np.log(0.4 * sample_rate))
    glide = draw.choice([0.0, 1.0]) * draw.uniform(-1.5, 1.5)
    # a glide that would pass Nyquist ends below it
    frequency = np.minimum(np.exp(np.linspace(start, start + glide, length)), 0.45 * sample_rate)
    phase = 2 * np.pi * np.cumsum(frequency) / sample_rate
    overtone = draw.uniform(0, 0.5) * (2 * frequency < 0.45 * sample_rate) * np.sin(2 * phase)
    return np.asarray((np.sin(phase) + overtone) * _envelope(length, sample_rate, draw))


TYPES: dict[str, Callable[[int, np.random.Generator], Samples]] = {
    "cry": _cry,
    "burst": _burst,
    "click": _click,
    "sweep": _sweep,
}


def _unit(signal: Samples) -> Samples:
    """Return a signal at the root mean square 1; silence stays silent."""
    rms = float(np.sqrt(np.mean(signal**2)))
    return signal / rms if rms else signal


def _levelled(signal: Samples) -> Samples:
    """Return a signal at the level of all noises, lower where its peak would not fit a file."""
    unit = _unit(signal)
    return unit * min(_RMS, PEAK / float(np.abs(unit).max(initial=PEAK)))


def _scatter(
    events: Sequence[Samples], n_samples: int, gap: float, draw: np.random.Generator
) -> Samples:
    """Return events in random order, levels and intervals (``gap`` samples in the mean)."""
    total = np.zeros(n_samples)
    place = int(draw.uniform(0, gap))
    while place < n_samples:
        event = events[int(draw.integers(len(events)))]
        event = 10 ** (draw.uniform(-8, 0) / 20) * event[: n_samples - place]
        total[place : place + len(event)] += event
        place += len(event) + 1 + int(draw.exponential(gap))
    return total


def _surroundings(signal: Samples, sample_rate: int, draw: np.random.Generator) -> Samples:
    """Return a signal in a diffuse room (two of three) above a low coloured noise (one of two)."""
    n_samples = len(signal)
    if draw.random() < 0.67:
        tail = np.arange(round(0.6 * sample_rate)) / sample_rate
        # 6.9 = ln(1000): 60 dB in the reverberation time
        room = draw.standard_normal(len(tail)) * np.exp(-6.9 * tail / draw.uniform(0.1, 0.7))
        wet = _unit(fftconvolve(signal, room)[:n_samples])
        signal = _unit(signal) + 10 ** (draw.uniform(-18, 0) / 20) * wet
    if draw.random() < 0.5:
        floor = lfilter([1.0], [1.0, -draw.uniform(0, 0.98)], draw.standard_normal(n_samples))
        signal = _unit(signal) + 10 ** (draw.uniform(-45, -12) / 20) * _unit(floor)
    return signal


def make_noise(kind: str, sample_rate: int, seconds: float, seed: int, number: int) -> Samples:
    """Return noise ``number`` of a type, ``(samples,)``; the same for the same arguments.

    Args:
        kind: One of `TYPES`.
        sample_rate: Hz.
        seconds: Its length.
        seed: Of everything random.
        number: Which of the type's noises.

    Raises:
        ValueError: There is no such type, or no length.
    """
    if kind not in TYPES:
        raise ValueError(f"a synthetic noise must be one of {', '.join(TYPES)}; got {kind!r}")
    n_samples = round(seconds * sample_rate)
    if n_samples < 1:
        raise ValueError(f"seconds must be at least one sample; got {seconds!r}")
    draw = generator(seed, kind, number)
    events = [_unit(TYPES[kind](sample_rate, draw)) for _ in range(int(draw.integers(1, 4)))]
    gap = sample_rate * np.exp(draw.uniform(np.log(0.05), np.log(1.0)))
    return _levelled(_surroundings(_scatter(events, n_samples, gap, draw), sample_rate, draw))


def make_odd_voice(speech: Samples, sample_rate: int, seed: int, number: int) -> Samples:
    """Return speech ``(samples,)`` backwards, at half or double the speed or about, coloured.

    It has the sounds of a voice and no words, and pitch and formants of no talker.
    """
    draw = generator(seed, "odd voice", number)
    speed = float(draw.uniform(*_ODD_SPEEDS[int(draw.integers(len(_ODD_SPEEDS)))]))
    odd = soxr.resample(speech[::-1], speed, 1.0, quality="HQ").astype(np.float32)
    return _levelled(equalise(odd, 10.0, sample_rate, draw).astype(np.float64))
