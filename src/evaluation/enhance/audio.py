"""Audio files in and out, piece by piece: rates, channels, word lengths, levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from seloss.data.formats.audio import read_blocks, read_header

__all__ = ["DEPTHS", "Clip", "Resampler", "copy_scaled", "depth_of", "open_clip", "pieces"]

# The options' word lengths.
DEPTHS = {"16": "PCM_16", "24": "PCM_24", "32": "PCM_32", "float": "FLOAT"}
# Those of inputs that are kept; a WAV of A-law, an MP3 and so on gives 16 bit.
_KEPT = {"PCM_16": "16", "PCM_24": "24", "PCM_32": "32", "FLOAT": "float", "DOUBLE": "float"}
# Frames read at a time.
PIECE = 1 << 16
# A WAV file counts its bytes in 32 bit.
_MOST_BYTES = 4 * 10**9
# The largest sample of 16 bit, where full scale is 1.
CEILING = 1 - 2**-15


@dataclass(frozen=True)
class Clip:
    """What is known of a file before it is read.

    Attributes:
        path: the file.
        sample_rate: in Hz.
        channels: their number.
        frames: samples per channel.
        subtype: as libsndfile names it.
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int
    subtype: str

    @property
    def seconds(self) -> float:
        """Its duration."""
        return self.frames / self.sample_rate


def open_clip(path: Path) -> Clip:
    """Read a file's header.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no audio, or holds no samples.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        header = read_header(path)
    except ValueError as error:
        # the caller names the file
        raise ValueError(str(error).removeprefix(f"{path} ")) from None
    return Clip(path, header.sample_rate, header.channels, header.frames, header.subtype)


def pieces(clip: Clip, channels: list[int]) -> Iterator[Tensor]:
    """Yield the chosen channels, `(channels, n)`.

    Raises:
        ValueError: the file breaks off, or holds values that are not finite.
    """
    try:
        for block in read_blocks(clip.path, PIECE):
            yield torch.from_numpy(np.ascontiguousarray(block[:, channels].T))
    except ValueError as error:
        raise ValueError(str(error).removeprefix(f"{clip.path} ")) from None


class Resampler:
    """Another rate for pieces `(channels, n)`; the result is that of the whole signal.

    Args:
        before: rate of what comes in, in Hz.
        after: rate of what goes out.
        channels: their number.
    """

    def __init__(self, before: int, after: int, channels: int) -> None:
        self._same = before == after
        self._channels = channels
        # The exact ratio where it is rational: soxr takes rates as floats.
        self._stream = None if self._same else soxr.ResampleStream(before, after, channels)

    def push(self, piece: Tensor, *, last: bool = False) -> Tensor:
        """Take a piece (the last one may be empty), return what is ready."""
        if self._stream is None:
            return piece
        block: NDArray[np.float32] = np.ascontiguousarray(piece.numpy().T)
        out = self._stream.resample_chunk(block, last=last)
        return torch.from_numpy(np.ascontiguousarray(out.T.reshape(self._channels, -1)))


def depth_of(clip: Clip) -> str:
    """Return the word length of an input as the options name it."""
    return _KEPT.get(clip.subtype, "16")


def copy_scaled(
    raw: Path, target: Path, *, sample_rate: int, channels: int, gain: float, depth: str
) -> None:
    """Write a raw float file as audio, scaled.

    Args:
        raw: 32-bit floats, interleaved.
        target: the suffix says the format.
        sample_rate: in Hz.
        channels: their number.
        gain: for every sample.
        depth: a key of `DEPTHS`.

    Raises:
        ValueError: the format cannot hold such samples.
    """
    layout = {"samplerate": sample_rate, "channels": channels}
    form = _format(target, raw.stat().st_size)
    subtype = DEPTHS[depth]
    if not soundfile.check_format(form, subtype):
        if depth == "float" or not soundfile.check_format(form):
            raise ValueError(f"{target.suffix} files cannot hold {depth} samples; use .wav")
        subtype = soundfile.default_subtype(form)
    with (
        soundfile.SoundFile(raw, format="RAW", subtype="FLOAT", **layout) as source,
        soundfile.SoundFile(target, "w", format=form, subtype=subtype, **layout) as sink,
    ):
        for block in source.blocks(PIECE, dtype="float32", always_2d=True):
            sink.write(block * np.float32(gain))


def _format(target: Path, n_bytes: int) -> str:
    form = target.suffix.removeprefix(".").upper()
    form = {"AIF": "AIFF", "OGA": "OGG"}.get(form, form)
    if form not in soundfile.available_formats():
        known = "wav, flac, ogg, aiff"
        raise ValueError(f"{target.name}: {target.suffix!r} is no known format; use one of {known}")
    return "RF64" if form == "WAV" and n_bytes > _MOST_BYTES else form
