"""Room responses put on speech: the reverberant image, and the part of it that is to be kept.

Responses are aligned by their direct sound and scaled to it, so that the dry speech, its early
reflections and the whole image are in time with each other and the direct sound has the level of
the dry speech.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.fft
import soxr
from numpy.typing import NDArray

from seloss.data.formats.audio import read_samples
from seloss.data.formats.mixture import DataError, Problem

__all__ = ["EARLY_S", "TARGETS", "read_responses", "reverberate"]

Samples = NDArray[np.float32]
TARGETS = ("dry", "early", "reverberant")
#: Reflections up to here after the direct sound help to understand speech, seconds (Bradley et al.,
#: JASA 113, 2003).
EARLY_S = 0.05
#: What is kept before the strongest sample: the rise of a band-limited direct sound, seconds.
LEAD_S = 0.001
#: What comes later than this is left out, seconds: -60 dB in most rooms.
LONGEST_S = 1.0


@lru_cache(maxsize=8192)
def read_responses(path: Path, sample_rate: int) -> Samples:
    """Return the responses ``(channels, taps)`` of a file, their direct sound at ``LEAD_S``.

    Raises:
        DataError: The file is not readable audio, or a channel is silent.
    """
    try:
        samples, rate = read_samples(path)
    except ValueError as error:
        raise DataError(str(path), [Problem(0, "response", str(error))]) from None
    if rate != sample_rate:
        samples = soxr.resample(samples, rate, sample_rate, quality="VHQ")
    lead, longest = round(LEAD_S * sample_rate), round(LONGEST_S * sample_rate)
    aligned = np.zeros((samples.shape[1], longest))
    for channel, response in zip(aligned, samples.T, strict=True):
        direct = int(np.argmax(np.abs(response)))
        if not response[direct]:
            raise DataError(str(path), [Problem(0, "response", "is silent")])
        # Zeros stand before a response that begins with its direct sound.
        first = direct - lead
        part = response[max(0, first) : first + longest] / response[direct]
        channel[max(0, -first) : max(0, -first) + len(part)] = part
    loud = np.flatnonzero(np.abs(aligned).max(0) > 0)
    return aligned[:, : loud[-1] + 1].astype(np.float32)


def reverberate(
    speech: Samples, response: Samples, target: str, sample_rate: int
) -> tuple[Samples, Samples]:
    """Return the reverberant image of speech and what of it is the target, ``(samples,)`` each.

    Args:
        speech: Dry, ``(samples,)``.
        response: Of one microphone, as `read_responses` returns it, ``(taps,)``.
        target: ``dry``; ``early``: with the reflections of the first 50 ms; ``reverberant``.
        sample_rate: Hz.

    Raises:
        ValueError: ``target`` is none of these.
    """
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}; got {target!r}")
    lead, n_samples = round(LEAD_S * sample_rate), len(speech)
    n_fft = int(scipy.fft.next_fast_len(n_samples + len(response) - 1, real=True))
    spectrum = scipy.fft.rfft(speech, n_fft)

    def image(taps: Samples) -> Samples:
        convolved = scipy.fft.irfft(spectrum * scipy.fft.rfft(taps, n_fft), n_fft)
        return np.asarray(convolved[lead : lead + n_samples], dtype=np.float32)

    whole = image(response)
    if target == "early":
        return whole, image(response[: lead + round(EARLY_S * sample_rate)])
    return whole, speech if target == "dry" else whole
