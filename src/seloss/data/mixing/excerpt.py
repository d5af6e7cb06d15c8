"""Parts of recordings: read from the middle of a file of any length, repeated where it is short."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile as sf
import soxr

from seloss.data.formats.audio import Signal
from seloss.data.formats.mixture import DataError, Problem

if TYPE_CHECKING:
    from .recordings import Recordings

__all__ = ["length_at", "loop", "read_lively", "read_part"]

#: What a resampler needs to hear on either side of a part, seconds.
_MARGIN_S = 0.05
#: Over how long the end of a repeated signal is faded into its start, seconds.
FADE_S = 0.02
#: A part this much weaker than its recording is a pause: another one is looked for.
_WEAK_DB = 15.0
_TRIES = 8
_HEARD_S = 120


def loop(signal: Signal, n_samples: int, fade: int) -> Signal:
    """Return (n_samples,) of a signal that follows itself, faded over so that no seam is heard."""
    fade = min(fade, len(signal) // 2)
    rise = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / fade) if fade else np.zeros(0)
    round_trip = signal[fade:].copy()
    if fade:
        round_trip[-fade:] = signal[-fade:] * rise[::-1] + signal[:fade] * rise
    return np.resize(round_trip, n_samples)


def _open(path: Path) -> sf.SoundFile:
    try:
        return sf.SoundFile(path)
    except (sf.LibsndfileError, RuntimeError) as error:
        raise ValueError(f"{path} is not readable audio ({error})") from None


def length_at(path: Path, sample_rate: int) -> int:
    """Return how many samples a file has at ``sample_rate``, from its header.

    Raises:
        ValueError: If the file is not readable audio or has no samples.
    """
    with _open(path) as audio:
        length = audio.frames * sample_rate // audio.samplerate
    if not length:
        raise ValueError(f"{path} is empty")
    return int(length)


def read_part(path: Path, sample_rate: int, start: int, n_samples: int) -> Signal:
    """Return up to (n_samples,) of a file's first channel, resampled where its rate is another.

    Only the part is read, so that a file of hours costs no more than one of seconds. Fewer samples
    come back where the file ends before.

    Args:
        path: The file.
        sample_rate: Wanted, Hz; ``start`` and ``n_samples`` are counted at it.
        start: First sample.
        n_samples: How many.
    """
    with _open(path) as audio:
        found = audio.samplerate
        if found == sample_rate:
            audio.seek(min(start, audio.frames))
            return np.asarray(audio.read(n_samples, always_2d=True)[:, 0])
        # from a second's boundary on, where a sample of one rate falls on one of the other
        first = max(0, int(start / sample_rate - _MARGIN_S))
        until = (start + n_samples) / sample_rate + _MARGIN_S
        audio.seek(min(first * found, audio.frames))
        heard = audio.read(round(until * found) - first * found, always_2d=True)[:, 0]
    skip = start - first * sample_rate
    resampled = np.asarray(soxr.resample(heard, found, sample_rate, quality="VHQ"))
    return resampled[skip : skip + n_samples]


def read_lively(
    path: Path,
    sample_rate: int,
    n_samples: int,
    draw: np.random.Generator,
    recordings: Recordings | None = None,
) -> Signal:
    """Return (n_samples,) from a random place of a file, not from a pause if it can be helped.

    A file that is shorter is repeated from a random place on.

    Args:
        path: The file.
        sample_rate: Wanted, Hz.
        n_samples: How many.
        draw: Generator.
        recordings: Where decoded files are kept; None: it is read.

    Raises:
        DataError: If all that was heard is silent.
    """
    length = recordings.length(path) if recordings else length_at(path, sample_rate)

    def part(start: int, count: int) -> Signal:
        if recordings:
            return recordings.part(path, start, count)  # type: ignore[return-value]
        return read_part(path, sample_rate, start, count)

    if length < n_samples:
        whole = part(0, length)
        longer = loop(whole, n_samples + length, round(FADE_S * sample_rate))
        start = int(draw.integers(length))
        parts = [longer[start : start + n_samples]]
    else:
        usual = recordings.power(path) if recordings else None
        usual = _usual_power(path) if usual is None else usual
        enough, parts = usual / 10 ** (_WEAK_DB / 10), []
        for start in draw.integers(length - n_samples + 1, size=_TRIES):
            parts.append(part(int(start), n_samples))
            if _power(parts[-1]) > enough:
                break
    best = max(parts, key=_power)
    if not best.any():
        raise DataError(str(path), [Problem(0, "samples", "is silent where it was listened to")])
    return np.pad(best, (0, n_samples - len(best)))


def _power(signal: Signal) -> float:
    return float(np.mean(signal**2)) if len(signal) else 0.0


@lru_cache(maxsize=4096)
def _usual_power(path: Path) -> float:
    """Return the mean power of a file's first minutes."""
    energy, heard = 0.0, 0
    with _open(path) as audio:
        for block in audio.blocks(audio.samplerate, always_2d=True):
            energy, heard = energy + float(np.sum(block[:, 0] ** 2)), heard + len(block)
            if heard >= _HEARD_S * audio.samplerate:
                break
    return energy / max(1, heard)
