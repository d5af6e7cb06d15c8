"""Noise added to clean speech at a requested signal-to-noise ratio.

The ratio is 10 log10 of the energy of the speech over that of the noise, each about its mean, over
the part that is mixed (zeros that pad it up do not count). Where the sum would leave [-1, 1], one
gain for both brings it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seloss.data.draw import generator
from seloss.data.formats.audio import Signal
from seloss.data.formats.mixture import DataError, Problem

from .excerpt import length_at, power, read_lively, read_part

__all__ = ["AdditivePlan", "mix_at_snr", "render_additive", "snr_db"]

#: Most of the full scale that any sample reaches.
PEAK = 0.99
#: A segment of speech of less mean power than -60 dB of full scale is a pause.
_PAUSE = 1e-6
_TRIES = 8


def _energy(signal: NDArray[Any]) -> float:
    """Return the energy about the mean: an offset, as cheap hardware has it, is no sound."""
    values = np.asarray(signal, dtype=np.float64)
    energy = float(np.sum(np.square(values - values.mean())))
    # what rounding leaves of an offset alone lies 300 dB below it
    return energy if energy > 1e-24 * float(np.sum(np.square(values))) else 0.0


def snr_db(speech: NDArray[Any], noise: NDArray[Any]) -> float:
    """Return 10 log10 of the ratio of the energies of two signals (samples,), about their means.

    Infinite where the noise is silent, NaN where both are.

    >>> snr_db(np.array([10.0, -10.0]), np.array([3.0, 1.0]))
    20.0
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10 * float(np.log10(np.divide(_energy(speech), _energy(noise))))


def mix_at_snr(speech: Signal, noise: Signal, requested_db: float) -> tuple[Signal, Signal]:
    """Return speech and noise of a requested ratio, whose sum fits.

    Args:
        speech: ``(samples,)``, or ``(mics, samples)``: the ratio is that at the first microphone.
        noise: Of the same shape.
        requested_db: The ratio.

    Raises:
        ValueError: If one of them is silent, so that no gain gives the ratio.
    """
    first_speech, first_noise = (np.atleast_2d(signal)[0] for signal in (speech, noise))
    ratio = snr_db(first_speech, first_noise)
    if not np.isfinite(ratio):
        silent = "noise" if _energy(first_speech) else "speech"
        raise ValueError(f"the {silent} is silent: it has no signal-to-noise ratio")
    noise = noise * 10 ** ((ratio - requested_db) / 20)  # dB of amplitude: 20, not 10
    peak = max(float(np.abs(part).max()) for part in (speech, noise, speech + noise))
    gain = min(1.0, PEAK / peak)
    return gain * speech, gain * noise


@dataclass(frozen=True)
class AdditivePlan:
    """What one noisy segment is made of, before any audio is read.

    Attributes:
        id: Its name; what is drawn for it depends on this and the seed.
        speech: File of the clean speech.
        start: First sample of the segment in it.
        n_samples: Samples of the segment that the file can fill.
        noise: File of the noise; None: ``mixture`` less ``speech``.
        mixture: File of a mixture that exists already.
        aligned: Whether the noise begins where the speech does; else its place is drawn.
        snr_db: Requested ratio; None: that of the mixture as it is.
        speaker: Who speaks, if known.
        noise_type: What disturbs, if known.
        seen: Whether training has this type of noise.
        transcript: What is said, if it is all in the segment.
        gender: Of the speaker, if known.
    """

    id: str
    speech: Path
    start: int
    n_samples: int
    noise: Path | None = None
    mixture: Path | None = None
    aligned: bool = False
    snr_db: float | None = None
    speaker: str | None = None
    noise_type: str | None = None
    seen: bool | None = None
    transcript: str | None = None
    gender: str | None = None


def _speech(plan: AdditivePlan, sample_rate: int, seed: int) -> tuple[int, Signal]:
    """Return where the speech is taken from and the speech; a pause gives way to another part."""
    speech = read_part(plan.speech, sample_rate, plan.start, plan.n_samples)
    last = length_at(plan.speech, sample_rate) - plan.n_samples  # place that fills the segment
    parts = [(plan.start, speech)]
    if power(speech) < _PAUSE and last > 0:
        draw = generator(seed, plan.id, "speech")
        for start in draw.integers(last + 1, size=_TRIES):
            part = read_part(plan.speech, sample_rate, int(start), plan.n_samples)
            parts.append((int(start), part))
    return max(parts, key=lambda part: power(part[1]))


def _noise(plan: AdditivePlan, start: int, speech: Signal, sample_rate: int, seed: int) -> Signal:
    place = (sample_rate, start, len(speech))
    if plan.noise is None:
        if plan.mixture is None:
            raise ValueError(f"{plan.id} has neither a noise nor a mixture")
        mixture = read_part(plan.mixture, *place)
        if len(mixture) < len(speech):
            raise ValueError(f"{plan.mixture} is shorter than {plan.speech}")
        return mixture - speech
    if plan.aligned:
        return read_part(plan.noise, *place)
    return read_lively(plan.noise, sample_rate, len(speech), generator(seed, plan.id, "noise"))


def render_additive(plan: AdditivePlan, sample_rate: int, seed: int) -> tuple[Signal, Signal]:
    """Return speech and noise, (samples,) each, of a plan.

    Raises:
        DataError: If the speech or the noise is silent in the segment; names the file.
        ValueError: If a file cannot be read.
    """
    start, speech = _speech(plan, sample_rate, seed)
    noise = _noise(plan, start, speech, sample_rate, seed)
    if plan.snr_db is None:
        return speech, noise
    try:
        return mix_at_snr(speech, noise, plan.snr_db)
    except ValueError as error:
        where = f"{plan.speech} from sample {plan.start} with {plan.noise or plan.mixture}"
        raise DataError(where, [Problem(0, plan.id, str(error))]) from None
