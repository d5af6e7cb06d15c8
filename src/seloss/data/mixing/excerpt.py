"""Parts of recordings: read from the middle of a file of any length, repeated where it is short."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from seloss.data.formats.audio import Signal, read_blocks, read_header, read_samples
from seloss.data.formats.mixture import DataError, Problem

__all__ = ["FADE_S", "Kept", "length_at", "loop", "power", "read_lively", "read_part"]

#: What a resampler needs to know on either side of a part, seconds.
_MARGIN_S = 0.05
#: Over how long the end of a repeated signal is faded into its start, seconds.
FADE_S = 0.02
#: A part this much weaker than its recording is a pause: another one is looked for.
_WEAK_DB = 15.0
_TRIES = 8
#: How much of a recording is taken for its usual power, seconds.
_USUAL_S = 120
#: Time between the places whose power is compared where random ones are all pauses, seconds.
_HOP_S = 0.05


def power(signal: NDArray[np.floating]) -> float:
    """Return the mean power of a signal (samples,) about its mean: an offset is no sound."""
    return float(np.var(signal, dtype=np.float64)) if len(signal) else 0.0


def loop(signal: Signal, n_samples: int, fade: int) -> Signal:
    """Return (n_samples,) of a signal that follows itself, faded over so that no seam is heard."""
    fade = min(fade, len(signal) // 2)
    # sine and cosine: the powers of both sum to one, as unrelated signals need it
    rise = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / fade) if fade else np.zeros(0)
    round_trip = signal[fade:].copy()
    if fade:
        round_trip[-fade:] = signal[-fade:] * rise[::-1] + signal[:fade] * rise
    return np.resize(round_trip, n_samples)


def length_at(path: Path, sample_rate: int) -> int:
    """Return how many samples a file has at ``sample_rate``, from its header.

    Raises:
        ValueError: If the file is not readable audio, has no samples or is damaged.
    """
    header = read_header(path)
    length = header.frames * sample_rate // header.sample_rate
    if not length:
        raise ValueError(f"{path} is shorter than a sample at {sample_rate} Hz")
    return length


def read_part(path: Path, sample_rate: int, start: int, n_samples: int) -> Signal:
    """Return up to (n_samples,) of a file's first channel, resampled where its rate is another.

    Only the part is read, so that a file of hours costs no more than one of seconds. Fewer samples
    come back where the file ends before.

    Args:
        path: The file.
        sample_rate: Requested, Hz; ``start`` and ``n_samples`` are counted at it.
        start: First sample.
        n_samples: How many.
    """
    file_rate = read_header(path).sample_rate
    if file_rate == sample_rate:
        return np.asarray(read_samples(path, start, n_samples)[0][:, 0])
    # from a second's boundary on, where a sample of one rate falls on one of the other
    first = max(0, int(start / sample_rate - _MARGIN_S))
    until = (start + n_samples) / sample_rate + _MARGIN_S
    samples, _ = read_samples(path, first * file_rate, round(until * file_rate) - first * file_rate)
    skip = start - first * sample_rate
    resampled = np.asarray(soxr.resample(samples[:, 0], file_rate, sample_rate, quality="VHQ"))
    return resampled[skip : skip + n_samples]


class Kept(Protocol):
    """Decoded files in memory, of which an excerpt costs a copy."""

    def length(self, path: Path) -> int:
        """Return the samples of a file."""

    def part(self, path: Path, start: int, n_samples: int) -> NDArray[Any]:
        """Return up to (n_samples,)."""

    def power(self, path: Path) -> float | None:
        """Return the `power` of a file; None if it is not kept."""


def read_lively(
    path: Path,
    sample_rate: int,
    n_samples: int,
    draw: np.random.Generator,
    kept: Kept | None = None,
) -> Signal:
    """Return (n_samples,) from a random place of a file, not from a pause if it can be helped.

    A file that is shorter is repeated from a random place on.

    Args:
        path: The file.
        sample_rate: Requested, Hz.
        n_samples: How many.
        draw: Generator.
        kept: Where decoded files are kept; None: the file is read.

    Raises:
        DataError: If the whole file is silent.
    """

    def part(start: int, count: int) -> Signal:
        return kept.part(path, start, count) if kept else read_part(path, sample_rate, start, count)

    length = kept.length(path) if kept else length_at(path, sample_rate)
    if length < n_samples:
        whole = part(0, length)
        if not power(whole):
            raise _silent(path)
        longer = loop(whole, n_samples + length, round(FADE_S * sample_rate))
        start = int(draw.integers(length))
        return longer[start : start + n_samples]
    usual = kept.power(path) if kept else None
    enough = (_usual_power(path) if usual is None else usual) / 10 ** (_WEAK_DB / 10)
    for start in draw.integers(length - n_samples + 1, size=_TRIES):
        lively = part(int(start), n_samples)
        if power(lively) > enough:
            break
    else:
        lively = part(_place(path, sample_rate, n_samples, draw), n_samples)
    return np.pad(lively, (0, n_samples - len(lively)))


def _silent(path: Path) -> DataError:
    return DataError(str(path), [Problem(0, "samples", "is silent: no sample differs from others")])


def _place(path: Path, sample_rate: int, n_samples: int, draw: np.random.Generator) -> int:
    """Return where a part begins that sounds, drawn from all such places of a file.

    Raises:
        DataError: If the whole file is silent.
    """
    hops = _hop_powers(path)
    if not hops.any():
        raise _silent(path)
    width = max(1, round(n_samples / sample_rate / _HOP_S))
    # Sums of every ``width`` hops in a row, as differences of running sums.
    sums = np.concatenate([[0.0], np.cumsum(hops, dtype=np.float64)])
    parts = sums[width:] - sums[:-width] if len(hops) > width else sums[-1:]
    enough = min(hops.mean() * width / 10 ** (_WEAK_DB / 10), parts.max() / 2)
    places = np.flatnonzero(parts > enough)
    start = int(places[int(draw.integers(len(places)))] * _HOP_S * sample_rate)
    return min(start, length_at(path, sample_rate) - n_samples)


@lru_cache(maxsize=4096)
def _usual_power(path: Path) -> float:
    """Return the mean power of a file's first minutes, about the mean of each second."""
    energy, n_samples, rate = 0.0, 0, read_header(path).sample_rate
    for block in read_blocks(path, rate):
        energy += power(block[:, 0]) * len(block)
        n_samples += len(block)
        if n_samples >= _USUAL_S * rate:
            break
    return energy / n_samples


@lru_cache(maxsize=256)
def _hop_powers(path: Path) -> NDArray[np.float32]:
    """Return the power in each hop of a whole file, read once."""
    hop = max(1, round(_HOP_S * read_header(path).sample_rate))
    return np.array([power(block[:, 0]) for block in read_blocks(path, hop)], dtype=np.float32)
