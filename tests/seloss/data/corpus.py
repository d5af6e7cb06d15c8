"""Small corpora of speech and noise on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf

from tests.data import SAMPLE_RATE, noise_like, speech_like

KINDS = ("pink", "white", "hum", "babble")


def write(path: Path, signal: np.ndarray, rate: int = SAMPLE_RATE) -> Path:
    """Write (samples,) as 32-bit floats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, signal, rate, subtype="FLOAT")
    return path


def make_speech(
    folder: Path,
    speakers: list[str],
    *,
    n_files: int = 2,
    seconds: float = 0.5,
    rate: int = SAMPLE_RATE,
) -> Path:
    """Write folder/<speaker>/<speaker>_<number>.wav."""
    for who, speaker in enumerate(speakers):
        for number in range(n_files):
            signal = speech_like(seconds, rate, seed=100 * who + number)
            write(folder / speaker / f"{speaker}_{number:03d}.wav", signal, rate)
    return folder


def make_noise(
    folder: Path, kinds: list[str], *, n_files: int = 1, seconds: float = 1.0, rate=SAMPLE_RATE
) -> Path:
    """Write folder/<kind>/<number>.wav, each of another signal."""
    for which, kind in enumerate(kinds):
        for number in range(n_files):
            signal = noise_like(seconds, rate, 10 * which + number, KINDS[which % len(KINDS)])
            write(folder / kind / f"{number}.wav", signal, rate)
    return folder


def energy_db(speech: np.ndarray, noise: np.ndarray) -> float:
    """Return the signal-to-noise ratio, written out here once more on purpose."""
    speech, noise = speech.astype(np.float64), noise.astype(np.float64)
    return float(10 * np.log10(np.dot(speech, speech) / np.dot(noise, noise)))
