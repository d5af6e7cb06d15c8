"""One mixture: an utterance and a noise in a room, at a requested SNR and level.

The signal-to-noise ratio is 10 log10 of the energy of the speech image over that of the noise image
at the reference microphone, each about its mean, over the whole file. The speech target is the
reverberant image.

Files are 16-bit WAV: any tool reads them, excerpts are found without decoding what lies before, and
since the images are rounded before they are added, mixture == speech + noise holds to the last bit.
Their rounding noise lies at -101 dB of full scale, so SNRs up to 40 dB are exact to 0.01 dB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from seloss.data.draw import generator
from seloss.data.formats.audio import Signal, read_audio
from seloss.data.formats.mixture import DataError, Problem

from .additive import snr_db
from .excerpt import length_at, power, read_lively
from .room_plan import MixingConfig, Plan
from .rooms import measured_rt60, simulate

__all__ = ["Images", "render", "snr_db"]

#: Most of the full scale that any sample reaches.
PEAK = 0.95
#: Pauses in seconds between utterances that fill a training item.
PAUSE_S = (0.1, 0.4)
_TRIES = 8
#: An excerpt this much weaker than its recording is a pause: another one is drawn.
_WEAK_DB = 15.0
_FULL_SCALE = 32768.0
#: Of a longer utterance only a part is read, seconds.
_LONG_S = 60.0


@dataclass(frozen=True)
class Images:
    """One mixture's signals, (mics, samples) 16-bit integers, and what is known about them."""

    mixture: NDArray[np.int16]
    speech: NDArray[np.int16]
    noise: NDArray[np.int16]
    facts: Mapping[str, Any]
    whole: bool


def _excerpt(signal: Signal, n_samples: int, draw: np.random.Generator) -> Signal:
    """Return (n_samples,) of a longer signal, not from a pause if it can be helped."""
    usual, best, loudest = power(signal), signal[:n_samples], -1.0
    for _ in range(_TRIES):
        start = int(draw.integers(len(signal) - n_samples + 1))
        part = signal[start : start + n_samples]
        if power(part) > usual / 10 ** (_WEAK_DB / 10):
            return part
        if power(part) > loudest:
            best, loudest = part, power(part)
    return best


def _speed(plan: Plan, config: MixingConfig) -> float:
    """Return the factor by which the speech is played faster: 1 outside of training."""
    if plan.split != "train" or config.speed == (1.0, 1.0):
        return 1.0
    return round(float(generator(config.seed, *plan.key, "speed").uniform(*config.speed)), 3)


def _dry_speech(plan: Plan, config: MixingConfig, draw: np.random.Generator) -> tuple[Signal, bool]:
    """Return the dry speech (samples,) and whether it is one whole utterance."""
    rate = config.sample_rate
    longest = round((config.seconds if plan.split == "train" else config.max_seconds) * rate)
    most = max(longest, round(_LONG_S * rate))
    parts: list[Signal] = []
    for utterance in plan.utterances:
        pause = np.zeros(int(draw.uniform(*PAUSE_S) * rate))
        if length_at(utterance.path, rate) > most:  # a chapter of a book: a part of it will do
            speech = read_lively(utterance.path, rate, most, draw)
        else:
            speech = read_audio(utterance.path, rate)[0]
        parts += [speech, pause]
    # Without the pause behind the last utterance.
    signal: Signal = np.concatenate(parts[:-1])
    if (speed := _speed(plan, config)) != 1:  # the pitch rises with it
        signal = np.asarray(soxr.resample(signal, speed, 1.0, quality="HQ"), dtype=np.float64)
    if not power(signal):
        path = plan.utterances[0].path
        raise DataError(str(path), [Problem(0, "samples", "is silent: it holds no speech")])
    if plan.split == "train" and len(signal) < longest:
        signal = np.pad(signal, (0, longest - len(signal)))
    if len(signal) > longest:
        return _excerpt(signal, longest, draw), False
    return signal, plan.split != "train"


def _responses(
    plan: Plan, config: MixingConfig, draw: np.random.Generator
) -> tuple[list[list[Signal]], dict[str, Any]]:
    """Return ``[speech, noise][microphone]`` and what is known about the room."""
    if plan.responses is not None:
        measured = [read_audio(response.path, config.sample_rate) for response in plan.responses]
        facts: dict[str, Any] = {"geometry": "measured", "room": plan.responses[0].group}
        facts |= {"rir": [response.name for response in plan.responses], "rt60_s": None}
        return [list(channels) for channels in measured], facts
    scene = config.draw_scene(draw)
    facts = {"geometry": config.geometry, "room_m": scene.size.round(3).tolist()}
    facts |= {"rt60_s": round(scene.rt60_s, 4), "distance_m": round(scene.distance_m, 3)}
    return simulate(scene, config.sample_rate), facts


def _onset(response: Signal) -> int:
    """Return where the direct sound arrives: the first sample at half of the largest magnitude."""
    magnitude = np.abs(response)
    return int(np.argmax(magnitude >= magnitude.max() / 2))


def _scale(
    speech: Signal, noise: Signal, plan: Plan
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return the images as integers; one gain for both sets the level and avoids clipping."""
    noise = noise * 10 ** ((snr_db(speech[0], noise[0]) - plan.snr_db) / 20)
    mixture = speech + noise
    peak = max(float(np.abs(image).max()) for image in (mixture, speech, noise))
    gain = min(10 ** (plan.level_db / 20) / float(np.sqrt(np.mean(mixture[0] ** 2))), PEAK / peak)
    ready = [np.rint(gain * image * _FULL_SCALE).astype(np.int16) for image in (speech, noise)]
    return ready[0], ready[1]


def render(plan: Plan, config: MixingConfig) -> Images:
    """Make a mixture: read, convolve, scale, round.

    The time axis is that of the dry utterance at the reference microphone: the delay of the direct
    sound is taken out of all channels alike, so labels of the utterance fit.

    Raises:
        DataError: If a recording is silent.
        ValueError: If a recording cannot be read or no room fits the ranges.
    """
    speech, whole = _dry_speech(plan, config, generator(config.seed, *plan.key, "speech"))
    responses, facts = _responses(plan, config, generator(config.seed, *plan.key, "room"))
    onset, n_samples = _onset(responses[0][0]), len(speech)
    # noise that began long ago: its image has no start in the file
    lead = max(len(response) for response in responses[1])
    draw = generator(config.seed, *plan.key, "noise")
    noise = read_lively(plan.noise.path, config.sample_rate, n_samples + lead, draw)
    # The image is late by the onset: zeros behind the speech keep its end.
    padded = np.pad(speech, (0, onset))
    images = [fftconvolve(padded, response)[onset : onset + n_samples] for response in responses[0]]
    disturbing = [
        fftconvolve(noise, response)[lead : lead + n_samples] for response in responses[1]
    ]
    speech_image, noise_image = _scale(np.stack(images), np.stack(disturbing), plan)
    if (speed := _speed(plan, config)) != 1:
        facts |= {"speed": speed}
    decay = measured_rt60(responses[0][0], config.sample_rate)
    facts |= {"rt60_measured_s": None if np.isnan(decay) else round(decay, 3)}
    facts |= {"snr_db": round(snr_db(speech_image[0], noise_image[0]), 4)}
    return Images(speech_image + noise_image, speech_image, noise_image, facts, whole)
