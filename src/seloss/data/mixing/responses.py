"""Room responses put on speech: the reverberant image, and the part of it that is the target.

Responses are aligned by their direct sound and scaled to it, so that the dry speech, its early
reflections and the whole image are in time with each other and the direct sound has the level of
the dry speech: each channel by itself, or those of an array all alike, by the first microphone, so
that their delays and levels stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.fft
import soxr
from numpy.typing import NDArray

from asteroid.utils.registry import check_choice
from seloss.data.formats.audio import read_samples
from seloss.data.formats.mixture import DataError, Problem

__all__ = [
    "EARLY_S",
    "TARGETS",
    "ArrayResponses",
    "convolve",
    "read_array_responses",
    "read_responses",
    "reverberate",
]

Samples = NDArray[np.float32]
TARGETS = ("dry", "early", "reverberant")
#: Reflections up to here after the direct sound help to understand speech, seconds (Bradley et al.,
#: JASA 113, 2003).
EARLY_S = 0.05
#: What is kept before the strongest sample: the rise of a band-limited direct sound, seconds.
LEAD_S = 0.001
#: What comes later than this is left out, seconds: -60 dB in most rooms.
LONGEST_S = 1.0


class ArrayResponses(NamedTuple):
    """Responses of an array to one source.

    Attributes:
        taps: ``(mics, taps)``, the direct sound at the first microphone is 1.
        direct: Where that direct sound is, samples.
    """

    taps: Samples
    direct: int

    def select(self, mics: Sequence[int]) -> ArrayResponses:
        """Return these microphones in this order; the first of them is the reference."""
        direct = int(np.argmax(np.abs(self.taps[mics[0]])))
        taps = self.taps[list(mics)]
        return ArrayResponses(taps / taps[0, direct], direct)


def _read_channels(path: Path, sample_rate: int) -> NDArray[np.float64]:
    """Return the responses of a file ``(channels, taps)``, none of them silent."""
    try:
        samples, rate = read_samples(path)
    except ValueError as error:
        raise DataError(str(path), [Problem(0, "response", str(error))]) from None
    if rate != sample_rate:
        samples = soxr.resample(samples, rate, sample_rate, quality="VHQ")
    if not np.abs(samples).max(axis=0).all():
        raise DataError(str(path), [Problem(0, "response", "is silent")])
    return np.asarray(samples.T, dtype=np.float64)


@lru_cache(maxsize=8192)
def read_responses(path: Path, sample_rate: int) -> Samples:
    """Return the responses ``(channels, taps)`` of a file, their direct sound at ``LEAD_S``.

    Raises:
        DataError: The file is not readable audio, or a channel is silent.
    """
    channels = _read_channels(path, sample_rate)
    lead, longest = round(LEAD_S * sample_rate), round(LONGEST_S * sample_rate)
    aligned = np.zeros((len(channels), longest))
    for channel, response in zip(aligned, channels, strict=True):
        direct = int(np.argmax(np.abs(response)))
        # Zeros stand before a response that begins with its direct sound.
        first = direct - lead
        part = response[max(0, first) : first + longest] / response[direct]
        channel[max(0, -first) : max(0, -first) + len(part)] = part
    loud = np.flatnonzero(np.abs(aligned).max(0) > 0)
    return aligned[:, : loud[-1] + 1].astype(np.float32)


@lru_cache(maxsize=8192)
def read_array_responses(path: Path, sample_rate: int) -> ArrayResponses:
    """Return the responses of an array to one source, as they are but for a common gain.

    Raises:
        DataError: The file is not readable audio, or a channel is silent.
    """
    channels = _read_channels(path, sample_rate)
    direct = int(np.argmax(np.abs(channels[0])))
    taps = channels[:, : direct + round(LONGEST_S * sample_rate)] / channels[0, direct]
    return ArrayResponses(taps.astype(np.float32), direct)


def convolve(signal: Samples, taps: Samples, first: int, n_samples: int) -> Samples:
    """Return samples ``first`` to ``first + n_samples`` of a signal behind responses.

    Args:
        signal: ``(samples,)``.
        taps: ``(..., taps)``.
        first: Of the full convolution.
        n_samples: How many.

    Returns:
        ``(..., n_samples)``.
    """
    n_fft = int(scipy.fft.next_fast_len(len(signal) + taps.shape[-1] - 1, real=True))
    spectrum = scipy.fft.rfft(signal, n_fft) * scipy.fft.rfft(taps, n_fft)
    convolved = scipy.fft.irfft(spectrum, n_fft)
    return np.asarray(convolved[..., first : first + n_samples], dtype=np.float32)


def reverberate(
    speech: Samples, response: Samples | ArrayResponses, target: str, sample_rate: int
) -> tuple[Samples, Samples]:
    """Return the reverberant image of speech and what of it is the target.

    Args:
        speech: Dry, ``(samples,)``.
        response: Of one microphone, as `read_responses` returns it, ``(taps,)``, or of an array.
        target: ``dry``; ``early``: with the reflections of the first 50 ms; ``reverberant``.
        sample_rate: Hz.

    Returns:
        The image, ``(samples,)`` or ``(mics, samples)``, and the target at the first microphone,
        ``(samples,)``.

    Raises:
        ValueError: ``target`` is none of these.
    """
    check_choice("target", target, TARGETS)
    if not isinstance(response, ArrayResponses):
        response = ArrayResponses(response, round(LEAD_S * sample_rate))
    taps, direct = response
    whole = convolve(speech, taps, direct, len(speech))
    if target == "dry":
        return whole, speech
    if target == "reverberant":
        return whole, np.atleast_2d(whole)[0]
    early = np.atleast_2d(taps)[0, : direct + round(EARLY_S * sample_rate)]
    return whole, convolve(speech, early, direct, len(speech))
