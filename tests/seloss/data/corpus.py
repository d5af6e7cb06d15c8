"""Small corpora of speech and noise on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf

from seloss.data.formats.preparation import claim_folder
from seloss.data.mixing.make_pairs import convert_pairs, mix_pairs, pair_settings
from tests.data import SAMPLE_RATE, noise_like, speech_like

KINDS = ("pink", "white", "hum", "babble")
#: What a preparation of pairs may write.
WRITES = ("train", "valid", "test", "train.json", "valid.json", "test.json", "artificial")


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
    """Return the ratio of mean-free energies, written out here once more on purpose."""
    speech, noise = (x.astype(np.float64) - np.mean(x, dtype=np.float64) for x in (speech, noise))
    return float(10 * np.log10(np.dot(speech, speech) / np.dot(noise, noise)))


def mix(
    out: Path, plans, *, sample_rate: int = SAMPLE_RATE, seed: int = 0, overwrite=False, **options
):
    """Claim a folder and mix plans into it, as the program does."""
    settings = pair_settings(plans, sample_rate=sample_rate, seed=seed)
    with claim_folder(out, settings, WRITES, overwrite=overwrite) as claim:
        return mix_pairs(
            claim, plans, sample_rate=sample_rate, seed=seed, progress=False, **options
        )


def convert(out: Path, pairs):
    """Claim a folder and convert pairs into it, as the program does."""
    with claim_folder(out, pair_settings(pairs, sample_rate=16000), WRITES) as claim:
        return convert_pairs(claim, pairs, sample_rate=16000, progress=False)
