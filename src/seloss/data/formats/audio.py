"""Audio files as arrays ``(channels, samples)`` at a wanted sampling rate, and back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from asteroid.utils.files import atomic_path

__all__ = ["SUFFIXES", "decode", "read_audio", "write_audio"]

Signal = NDArray[np.float64]
#: Files that are taken for audio when a folder is searched.
SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au", ".w64"})


def _resample(samples: NDArray[np.floating], found: int, wanted: int) -> Signal:
    signal = np.asarray(samples, dtype=np.float64)
    if found != wanted:
        signal = np.asarray(soxr.resample(signal, found, wanted, quality="VHQ"))
    return np.ascontiguousarray(signal.T)


def decode(content: bytes, sample_rate: int, *, raw: bool = False) -> Signal:
    """Return (channels, samples) of a file's content; ``raw``: 16-bit mono without a header."""
    if raw:
        return np.frombuffer(content, dtype="<i2")[None, :] / 32768.0
    samples, found = sf.read(io.BytesIO(content), always_2d=True)
    return _resample(samples, found, sample_rate)


def read_audio(path: str | Path, sample_rate: int) -> Signal:
    """Return (channels, samples) of a file, resampled if it has another rate.

    Raises:
        ValueError: If the file is not readable audio or has no samples.
    """
    try:
        samples, found = sf.read(path, always_2d=True)
    except (sf.LibsndfileError, RuntimeError) as error:
        raise ValueError(f"{path} is not readable audio ({error})") from None
    if not len(samples):
        raise ValueError(f"{path} is empty")
    return _resample(samples, found, sample_rate)


def write_audio(
    path: str | Path, signal: NDArray[np.floating], sample_rate: int, subtype: str = "PCM_16"
) -> None:
    """Write (channels, samples) or (samples,) in one step; the suffix says the format.

    Raises:
        ValueError: If a sample is not finite or, for integer formats, would clip.
    """
    if not np.isfinite(signal).all() or (
        subtype.startswith("PCM") and np.abs(signal).max(initial=0.0) > 1.0
    ):
        raise ValueError(f"{path}: samples must be finite and within [-1, 1] for {subtype}")
    with atomic_path(path) as temporary:
        sf.write(temporary, signal.T, sample_rate, subtype=subtype)
