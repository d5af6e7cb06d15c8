"""Noises made of speech: babble (many talkers at once) and stationary noise shaped like speech.

The two artificial noises of the Voice Bank + DEMAND scheme: speech-shaped noise is white noise
filtered to the long-term spectrum of speech, babble is the sum of six talkers.

Source: Valentini-Botinhao et al., "Investigating RNN-based speech enhancement methods", SSW 2016.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import fftconvolve, welch

from seloss.data.corpus.recording import Recording, ranked
from seloss.data.draw import generator, rank
from seloss.data.formats.audio import Signal
from seloss.data.formats.mixture import DataError, Problem

from .excerpt import length_at, read_part

__all__ = ["ARTIFICIAL", "TALKERS", "make_babble", "make_speech_shaped"]

TALKERS = 6
_N_FFT = 512
#: Speech from which the long-term spectrum is computed, seconds.
_HEARD_S = 60.0
_RMS = 0.05


def _string(files: Sequence[Recording], sample_rate: int, n_samples: int) -> Signal:
    """Return (n_samples,) of recordings one after the other, from the first again at the end."""
    parts: list[Signal] = []
    while sum(map(len, parts)) < n_samples:
        file = files[len(parts) % len(files)].path
        part = read_part(file, sample_rate, 0, length_at(file, sample_rate))
        if len(parts) == len(files) and not any(part.any() for part in parts):
            raise DataError(str(file), [Problem(0, "speech", "is silent")])
        parts.append(part)
    return np.concatenate(parts)[:n_samples]


def make_speech_shaped(
    speech: Sequence[Recording], sample_rate: int, seconds: float, seed: int
) -> Signal:
    """Return (samples,) of stationary noise with the long-term spectrum of the recordings.

    Raises:
        DataError: If there is no speech.
    """
    if not speech:
        raise DataError("speech", [Problem(0, "speech-shaped", "needs recordings to be shaped by")])
    order = ranked(speech, seed, "speech-shaped")
    voices = _string(order, sample_rate, round(_HEARD_S * sample_rate))
    power = welch(voices, sample_rate, nperseg=_N_FFT, scaling="spectrum")[1]
    # a linear-phase filter whose magnitude is the root of that spectrum
    response = np.fft.fftshift(np.fft.irfft(np.sqrt(power))) * np.hanning(_N_FFT)
    n_samples = round(seconds * sample_rate)
    white = generator(seed, "speech-shaped", "white").standard_normal(n_samples + _N_FFT - 1)
    shaped = fftconvolve(white, response, mode="valid")
    return np.asarray(_RMS * shaped / np.sqrt(np.mean(shaped**2)))


def make_babble(speech: Sequence[Recording], sample_rate: int, seconds: float, seed: int) -> Signal:
    """Return (samples,) of six talkers at once, each at the same level.

    With fewer than six speakers, some of them talk twice, each time saying something else.

    Raises:
        DataError: If there is no speech.
    """
    if not speech:
        raise DataError("speech", [Problem(0, "babble", "needs recordings of talkers")])
    speakers = rank([recording.group for recording in speech], seed, "babble")
    n_samples = round(seconds * sample_rate)
    total = np.zeros(n_samples)
    for talker in range(TALKERS):
        speaker = speakers[talker % len(speakers)]
        mine = [recording for recording in speech if recording.group == speaker]
        voice = _string(ranked(mine, seed, "babble", talker), sample_rate, n_samples)
        # where a talker begins is drawn, so that one who talks twice is not heard in unison
        start = int(generator(seed, "babble", talker, "start").integers(n_samples))
        voice = np.roll(voice, start)
        total += voice / np.sqrt(np.mean(voice**2))
    return np.asarray(_RMS * total / np.sqrt(np.mean(total**2)))


ARTIFICIAL = {"babble": make_babble, "ssn": make_speech_shaped}
