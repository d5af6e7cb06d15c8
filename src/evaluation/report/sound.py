"""Sounds for a page: equal loudness, then compact bytes that every browser plays."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from asteroid.utils.optional import needed_for

__all__ = ["FORMATS", "SoundFormat", "encode", "equal_loudness", "loudness"]

Array = NDArray[np.float64]
SoundFormat = Literal["flac", "mp3", "wav"]

FORMATS: dict[str, tuple[str, str, str]] = {
    # name: (soundfile's format, its subtype, media type)
    "flac": ("FLAC", "PCM_16", "audio/flac"),
    "mp3": ("MP3", "MPEG_LAYER_III", "audio/mpeg"),
    "wav": ("WAV", "PCM_16", "audio/wav"),
}
TARGET_LUFS = -23.0  # EBU R 128's programme loudness: leaves room for peaks
PEAK = 0.99
GATING_BLOCK_S = 0.4  # ITU-R BS.1770: shorter signals have no gated loudness


def loudness(signal: Array, sample_rate: int) -> float:
    """Return the loudness of `(samples,)` in LUFS; -inf for silence.

    Rated at full scale, because the absolute gate (-70 LUFS) takes soft speech for silence. Signals
    shorter than one gating block are rated by their energy alone.

    Source: ITU-R BS.1770-4, by pyloudnorm.
    """
    peak = float(np.abs(signal).max(initial=0.0))
    if peak == 0:
        return -np.inf
    full, level = signal / peak, 20 * np.log10(peak)
    if len(signal) < GATING_BLOCK_S * sample_rate:
        # -0.691 dB: BS.1770's offset, for which a 997 Hz sine at full scale has -3.01 LUFS.
        return float(10 * np.log10(np.mean(full**2)) - 0.691 + level)
    with needed_for("loudness"):
        import pyloudnorm

    with np.errstate(divide="ignore"):
        return float(pyloudnorm.Meter(sample_rate).integrated_loudness(full) + level)


def equal_loudness(
    signals: Mapping[str, Array], sample_rate: int
) -> tuple[dict[str, Array], dict[str, float]]:
    """Bring signals `(samples,)` to one loudness that lets none of them clip.

    The level is that of EBU R 128 (-23 LUFS), or as much lower, for all alike, as the highest peak
    asks for. Silence stays silence. A sample that is not finite is played as zero.

    Returns:
        The signals, and the gain of each in dB (NaN for silence).
    """
    finite = {name: np.nan_to_num(x, posinf=0.0, neginf=0.0) for name, x in signals.items()}
    levels = {name: loudness(x, sample_rate) for name, x in finite.items()}
    gains = {
        name: 10 ** ((TARGET_LUFS - level) / 20) if np.isfinite(level) else np.nan
        for name, level in levels.items()
    }
    # NaN > 0 is False: silence has no gain.
    peaks = [np.abs(x).max() * gains[name] for name, x in finite.items() if gains[name] > 0]
    common = min(1.0, PEAK / max(peaks, default=1.0))
    matched = {
        name: x * (gains[name] * common if gains[name] > 0 else 0.0) for name, x in finite.items()
    }
    return matched, {name: float(20 * np.log10(gain * common)) for name, gain in gains.items()}


def encode(signal: Array, sample_rate: int, sound_format: SoundFormat = "flac") -> bytes:
    """Return `(samples,)` in [-1, 1] as a file's bytes."""
    container, subtype, _ = FORMATS[sound_format]
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, sample_rate, format=container, subtype=subtype)
    return buffer.getvalue()
