"""Small audio for all tests: signals that resemble speech and noise, and mixtures of them on disk.

Everything is deterministic by its seed and quick (a second of speech takes about a millisecond).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from scipy.signal import lfilter

SAMPLE_RATE = 16000
#: Frequencies and bandwidths (Hz) of three formants of six vowels.
VOWELS = [
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (640, 1190, 2390),
]
BANDWIDTHS = (80, 100, 140)


def _envelope(n_samples: int, sample_rate: int, draw: np.random.Generator) -> np.ndarray:
    """Syllables of 100 to 250 ms, smooth, with exact silence between some of them."""
    envelope, at = np.zeros(n_samples), int(0.02 * sample_rate)
    while at < n_samples:
        width = int(draw.uniform(0.10, 0.25) * sample_rate)
        bump = np.hanning(width)[: n_samples - at] * draw.uniform(0.4, 1.0)
        envelope[at : at + len(bump)] += bump
        at += int(width * draw.uniform(0.7, 1.0)) + int(draw.choice([0.0, 0.0, 0.08]) * sample_rate)
    return envelope


def speech_like(seconds: float = 1.0, sample_rate: int = SAMPLE_RATE, seed: int = 0) -> np.ndarray:
    """Return (samples,) float32: voiced pulses through changing formants in syllables."""
    draw = np.random.default_rng([seed, 1])
    n_samples = round(seconds * sample_rate)
    time = np.arange(n_samples) / sample_rate
    pitch = draw.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * draw.uniform(1, 3) * time))
    source = np.diff(
        np.floor(np.cumsum(pitch / sample_rate)), prepend=0.0
    ) + 0.01 * draw.standard_normal(n_samples)
    voiced, block = np.zeros(n_samples), max(1, int(0.15 * sample_rate))
    for start in range(0, n_samples, block):
        part = source[start : start + block]
        for formant, bandwidth in zip(
            VOWELS[int(draw.integers(len(VOWELS)))], BANDWIDTHS, strict=True
        ):
            radius = np.exp(-np.pi * bandwidth / sample_rate)
            angle = 2 * np.pi * min(formant, 0.45 * sample_rate) / sample_rate
            voiced[start : start + block] += lfilter(
                [1 - radius], [1, -2 * radius * np.cos(angle), radius**2], part
            )
    signal = voiced * _envelope(n_samples, sample_rate, draw)
    return (0.3 * signal / (np.abs(signal).max() + 1e-12)).astype(np.float32)


def noise_like(
    seconds: float = 1.0, sample_rate: int = SAMPLE_RATE, seed: int = 0, kind: str = "pink"
) -> np.ndarray:
    """Return (samples,) float32 of kind ``white``, ``pink``, ``hum`` (machine) or ``babble``."""
    draw = np.random.default_rng([seed, 2])
    n_samples = round(seconds * sample_rate)
    white = draw.standard_normal(n_samples)
    if kind == "babble":
        white = (
            sum(speech_like(seconds, sample_rate, seed * 97 + talker) for talker in range(1, 6))
            + 1e-4 * white
        )
    elif kind == "hum":
        time = np.arange(n_samples) / sample_rate
        white = 0.1 * white + sum(
            np.sin(2 * np.pi * 50 * k * time + draw.uniform(0, 6)) / k for k in range(1, 9)
        )
    elif kind == "pink":
        spectrum = np.fft.rfft(white) / np.sqrt(np.maximum(np.arange(n_samples // 2 + 1), 1.0))
        white = np.fft.irfft(spectrum, n_samples)
    elif kind != "white":
        raise ValueError(f"kind must be one of white, pink, hum, babble; got {kind!r}")
    return (0.3 * white / np.abs(white).max()).astype(np.float32)


def make_mixture(
    seconds: float = 1.0,
    *,
    n_mics: int = 2,
    snr_db: float = 3.0,
    sample_rate: int = SAMPLE_RATE,
    seed: int = 0,
    kind: str = "pink",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mixture, speech, noise, each (mics, samples) float32; mixture == speech + noise.

    Microphones hear both sources delayed by some samples and with a few decaying reflections, so
    they differ.
    """
    draw = np.random.default_rng([seed, 3])
    dry = {
        "speech": speech_like(seconds, sample_rate, seed),
        "noise": noise_like(seconds, sample_rate, seed, kind),
    }
    images = {}
    for role, signal in dry.items():
        image = np.zeros((n_mics, len(signal)))
        for mic in range(n_mics):
            response = np.zeros(200)
            response[int(draw.integers(0, 12))] = 1.0
            response[20:] += 0.05 * draw.standard_normal(180) * np.exp(-np.arange(180) / 40)
            image[mic] = lfilter(response, [1.0], signal)
        images[role] = image
    energies = {role: np.sum(image[0] ** 2) for role, image in images.items()}
    images["noise"] *= np.sqrt(energies["speech"] / energies["noise"] / 10 ** (snr_db / 10))
    gain = 0.5 / max(np.abs(images["speech"] + images["noise"]).max(), 1e-12)
    speech, noise = (np.float32(gain * images[role]) for role in ("speech", "noise"))
    return speech + noise, speech, noise


def make_manifest(
    folder: str | Path,
    *,
    n_items: int = 4,
    n_mics: int | list[int] = 2,
    seconds: float | list[float] = 1.0,
    sample_rate: int = SAMPLE_RATE,
    seed: int = 0,
    prefix: str = "item",
    name: str = "manifest.json",
    **fields: Any,
) -> Path:
    """Write float32 WAV files of mixtures and their manifest into ``folder``; return its path.

    Lists for ``n_mics`` and ``seconds`` are used in turn. Two speakers, two noise types (``pink``,
    seen, and ``hum``, unseen) and SNRs of -3 to 6 dB alternate; ``fields`` are added to every
    entry.
    """
    folder = Path(folder)
    entries = []
    for index in range(n_items):
        mics = n_mics if isinstance(n_mics, int) else n_mics[index % len(n_mics)]
        length = seconds if isinstance(seconds, (int, float)) else seconds[index % len(seconds)]
        kind, snr_db = ("pink", "hum")[index % 2], (-3.0, 0.0, 3.0, 6.0)[index % 4]
        signals = make_mixture(
            length,
            n_mics=mics,
            snr_db=snr_db,
            sample_rate=sample_rate,
            seed=seed * 1000 + index,
            kind=kind,
        )
        entry: dict[str, Any] = {"id": f"{prefix}{index}"}
        for mic in range(mics):
            entry[str(mic + 1)] = {"length": signals[0].shape[1]}
            for role, signal in zip(("mixture", "speech", "noise"), signals, strict=True):
                path = Path("audio", f"{prefix}{index}", f"{role}_mic{mic + 1}.wav")
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                sf.write(folder / path, signal[mic], sample_rate, subtype="FLOAT")
                entry[str(mic + 1)][role] = path.as_posix()
        entry |= {
            "speaker": f"speaker{index % 2}",
            "transcript": "the birch canoe slid on the smooth planks",
        }
        entry |= {"noise_type": kind, "snr_db": snr_db, "seen": kind == "pink", **fields}
        entries.append(entry)
    manifest = folder / name
    manifest.write_text(
        "[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n", encoding="utf-8"
    )
    return manifest
