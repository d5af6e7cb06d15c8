"""Audio files in and out, piece by piece: rates, channels, word lengths, levels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from seloss.data.formats.audio import check_written, native_name, read_blocks, read_header

__all__ = [
    "DEPTHS",
    "Clip",
    "OutputFormat",
    "Resampler",
    "choose_format",
    "container_of",
    "copy_scaled",
    "open_clip",
    "pieces",
]

# The options' word lengths, from the one that loses most to the one that loses nothing.
DEPTHS = {"16": "PCM_16", "24": "PCM_24", "32": "PCM_32", "float": "FLOAT"}
# What is written by the suffix of a name; as many as are read.
CONTAINERS = {
    **dict.fromkeys((".wav", ".wave"), "WAV"),
    **dict.fromkeys((".aiff", ".aif", ".aifc"), "AIFF"),
    **dict.fromkeys((".ogg", ".oga", ".opus"), "OGG"),
    **dict.fromkeys((".au", ".snd"), "AU"),
    **dict.fromkeys((".sph", ".nist"), "NIST"),
    **{f".{name.lower()}": name for name in ("W64", "RF64", "FLAC", "MP3", "CAF")},
}
_LOSSY = frozenset(("OGG", "MP3"))
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


class OutputFormat(NamedTuple):
    """How a file is written.

    Attributes:
        container: as libsndfile names it.
        subtype: the coding in it, likewise.
        depth: a key of `DEPTHS`; "16" where the coding is lossy.
        notes: what the user should know of it.
    """

    container: str
    subtype: str
    depth: str
    notes: tuple[str, ...] = ()


def container_of(target: Path) -> str:
    """Return the format that a name's suffix says, as libsndfile names it.

    Raises:
        ValueError: none that can be written.
    """
    container = CONTAINERS.get(target.suffix.lower())
    if container is None:
        names = ", ".join(sorted(CONTAINERS))
        raise ValueError(f"{target}: {target.suffix!r} cannot be written; use one of {names}")
    return container


def choose_format(target: Path, clip: Clip, channels: int, depth: str | None) -> OutputFormat:
    """Decide how a file is written, before anything is computed.

    Args:
        target: its suffix says the format.
        clip: the input, for its rate and word length.
        channels: of the output.
        depth: the word length asked for, a key of `DEPTHS`; None: the input's, or the next that
            the format holds.

    Raises:
        ValueError: the format cannot be written, or holds no such samples, rate or channels.
    """
    container, suffix = container_of(target), target.suffix.lower()
    if container in _LOSSY:
        subtype = "OPUS" if suffix == ".opus" else soundfile.default_subtype(container)
        notes = (f"{suffix} has no word length: --depth has no effect",) if depth else ()
        chosen = OutputFormat(container, subtype, "16", notes)
    else:
        chosen = _lossless(container, suffix, _KEPT.get(clip.subtype, "16"), depth)
    try:  # libsndfile alone knows which rates and channels a format holds
        soundfile.SoundFile(
            io.BytesIO(), "w", clip.sample_rate, channels, chosen.subtype, format=container
        ).close()
    except (soundfile.LibsndfileError, ValueError):
        what = f"{channels} channel(s) at {clip.sample_rate} Hz"
        raise ValueError(f"{suffix} files cannot hold {what}; use .wav") from None
    return chosen


def _lossless(container: str, suffix: str, kept: str, depth: str | None) -> OutputFormat:
    """Return the deepest samples the format holds, no deeper than wanted."""
    if depth is not None and not soundfile.check_format(container, DEPTHS[depth]):
        raise ValueError(f"{suffix} files cannot hold {depth} samples (--depth); use .wav")
    deepest_first = list(DEPTHS)[list(DEPTHS).index(depth or kept) :: -1]
    held = next(name for name in deepest_first if soundfile.check_format(container, DEPTHS[name]))
    note = f"{suffix} files cannot hold {kept} samples: written in {held} bits"
    return OutputFormat(container, DEPTHS[held], held, () if held == (depth or kept) else (note,))


def copy_scaled(
    raw: Path,
    target: Path,
    temporary: Path,
    form: OutputFormat,
    *,
    sample_rate: int,
    channels: int,
    gain: float,
) -> None:
    """Write a raw float file as audio, scaled, and see that it is whole.

    Args:
        raw: 32-bit floats, interleaved.
        target: the file's name in the end, for messages.
        temporary: its name till then.
        form: how it is written; a WAV of more than 4 GB becomes an RF64.
        sample_rate: in Hz.
        channels: their number.
        gain: for every sample.

    Raises:
        OSError: not all of it could be written.
    """
    layout = {"samplerate": sample_rate, "channels": channels}
    size = raw.stat().st_size
    container = "RF64" if form.container == "WAV" and size > _MOST_BYTES else form.container
    frames = size // (4 * channels)
    coding = {"format": container, "subtype": form.subtype}
    with (
        check_written(target, temporary, frames),
        soundfile.SoundFile(native_name(raw), format="RAW", subtype="FLOAT", **layout) as source,
        soundfile.SoundFile(native_name(temporary), "w", **coding, **layout) as sink,
    ):
        for block in source.blocks(PIECE, dtype="float32", always_2d=True):
            sink.write(block * np.float32(gain))
