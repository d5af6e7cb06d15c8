"""Audio files as arrays ``(channels, samples)`` and back: one reader, which checks what it got.

Every file of a data set is read through this module. It refuses, by name, a file that holds less
than its header promises, several files joined into one, and samples that are not finite; and it
gives the same samples whether a file is read as a whole or in parts.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from asteroid.utils.files import atomic_path

from .containers import find_damage

__all__ = [
    "SUFFIXES",
    "EmptyAudioError",
    "Header",
    "Signal",
    "check_written",
    "decode",
    "fingerprint",
    "native_name",
    "read_audio",
    "read_blocks",
    "read_header",
    "read_samples",
    "write_audio",
    "write_error",
]

Signal = NDArray[np.float64]
#: Files that are taken for audio when a folder is searched, by every program.
SUFFIXES = frozenset(
    (
        *(".wav", ".wave", ".w64", ".rf64", ".flac", ".mp3", ".ogg", ".oga", ".opus"),
        *(".aiff", ".aif", ".aifc", ".caf", ".au", ".snd", ".sph", ".nist"),
    )
)
#: Formats in which a decoder that jumps to a place begins with wrong samples, or elsewhere.
_SEEK_WRONGLY = frozenset(("MP3", "OGG"))
#: Samples of all channels up to which such a file is decoded once and kept (64 MB).
_KEPT_SAMPLES = 1 << 24
_BLOCK = 1 << 16
#: More than a year at 192 kHz: libsndfile's number for a length that is not known.
_MOST_FRAMES = 1 << 43


class EmptyAudioError(ValueError):
    """A file of audio without samples."""


class Header(NamedTuple):
    """What a file says of itself: Hz, channels, samples per channel, container, coding.

    ``forwards``: its decoder cannot begin in the middle, or does so with wrong samples.
    """

    sample_rate: int
    channels: int
    frames: int
    container: str
    subtype: str
    forwards: bool = False

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate


class _Forwards(sf.SoundFile):  # type: ignore[misc]
    """A file that is read from its start to its end.

    After each read of a file that can seek, soundfile seeks to where it is already, and a decoder
    of MP3 then restarts, without the bits that it had saved from earlier frames.
    """

    def seekable(self) -> bool:
        return False


@contextmanager
def _opened(path: Path, kind: type[sf.SoundFile] = sf.SoundFile) -> Iterator[sf.SoundFile]:
    """Open a file; what libsndfile raises becomes a `ValueError` with the file's name."""
    try:
        with kind(native_name(path)) as audio:
            yield audio
    except (sf.LibsndfileError, RuntimeError) as error:
        raise ValueError(f"{path} is not readable audio ({error})") from None


def read_header(path: str | Path) -> Header:
    """Return what a file says of itself, where that is so.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not readable audio, has no samples, is cut short or several
            joined.
    """
    path = Path(path)
    state = path.stat()
    return _header(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1 << 16)
def _header(path: Path, size: int, mtime_ns: int) -> Header:
    with _opened(path) as audio:
        header = Header(
            *(audio.samplerate, audio.channels, audio.frames, audio.format, audio.subtype),
            # GSM 6.10 and other codings of telephony cannot seek at all
            forwards=audio.format in _SEEK_WRONGLY or not audio.seekable(),
        )
        damage = find_damage(path, audio.format, audio.extra_info, audio.frames)
    if damage:
        raise ValueError(f"{path} {damage}")
    if header.frames < 1:
        raise EmptyAudioError(f"{path} is empty")
    if header.frames > _MOST_FRAMES:
        raise ValueError(
            f"{path} does not say how long it is (written to a pipe?): convert it again"
        )
    return header


def _checked(
    path: Path, samples: NDArray[Any], start: int, expected: int, finite: bool = True
) -> NDArray[Any]:
    """Return samples (frames, channels), which must be as many as promised, and finite."""
    if len(samples) < expected:
        got = start + len(samples)
        raise ValueError(f"{path} ends after {got} samples, before its header says (damaged?)")
    if finite and not np.isfinite(samples).all():
        at = start + int(np.argmin(np.isfinite(samples).all(axis=1)))
        raise ValueError(f"{path} has samples that are not finite (NaN or infinity), from {at} on")
    return samples


def read_blocks(path: str | Path, frames: int = _BLOCK) -> Iterator[NDArray[np.float32]]:
    """Yield a file block by block, each (up to ``frames``, channels), in little memory.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As `read_header`; or if the file ends early or a sample is not finite.
    """
    path = Path(path)
    header = read_header(path)
    with _opened(path, _Forwards) as audio:
        for start in range(0, header.frames, frames):
            expected = min(frames, header.frames - start)
            # not SoundFile.blocks, which fills a short read up with unwritten memory
            block = audio.read(expected, dtype="float32", always_2d=True)
            yield _checked(path, block, start, expected)


def fingerprint(path: str | Path) -> str:
    """Return a digest by which equal audio is known in any lossless file; empty if it is silent.

    No more is read than it takes to find two samples that differ. What cannot be known from the
    header is looked at on the way: that the end is there, and, where samples are floats, all of
    them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As `read_blocks`.
    """
    header = read_header(path)
    read_samples(path, header.frames - 1, 1)
    mark = ""
    for block in read_blocks(path):
        if not mark and np.ptp(block, axis=0).any():
            steps = np.rint(block * 32768).astype("<i4")  # the same from 16 bits and from floats
            content = steps.tobytes() + repr((header.frames, header.sample_rate)).encode()
            mark = hashlib.blake2b(content, digest_size=16).hexdigest()
        if mark and header.subtype not in ("FLOAT", "DOUBLE"):
            break
    return mark


@lru_cache(maxsize=2)
def _decoded(path: Path, size: int, mtime_ns: int) -> NDArray[np.float32]:
    """Return a whole compressed file, whose decoders give floats of 32 bits."""
    return np.concatenate(list(read_blocks(path)))


def read_samples(
    path: str | Path,
    start: int = 0,
    frames: int | None = None,
    *,
    dtype: str = "float64",
    finite: bool = True,
) -> tuple[NDArray[Any], int]:
    """Return samples (frames, channels) of a part of a file, and its sampling rate.

    The part is the same as that of the whole file, in every format: a compressed file that cannot
    be entered in its middle is decoded from its start.

    Args:
        path: The file.
        start: First sample; none come back from behind the end.
        frames: How many, or as many as there are from ``start`` on; None: the rest.
        dtype: ``float64`` or ``float32``.
        finite: Whether a sample that is not finite is refused.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As `read_header`; or if the file ends early or a sample is not finite.
    """
    path = Path(path)
    header = read_header(path)
    start = min(start, header.frames)
    rest = header.frames - start
    expected = rest if frames is None else min(frames, rest)
    if header.forwards and header.frames * header.channels <= _KEPT_SAMPLES:
        state = path.stat()
        whole = _decoded(path, state.st_size, state.st_mtime_ns)
        return whole[start : start + expected].astype(dtype), header.sample_rate
    with _opened(path, _Forwards if header.forwards else sf.SoundFile) as audio:
        if header.forwards:  # too long to keep: what lies before is decoded and dropped
            for at in range(0, start, _BLOCK):
                expect = min(_BLOCK, start - at)
                _checked(path, audio.read(expect, dtype=dtype, always_2d=True), at, expect)
        else:
            audio.seek(start)
        samples = audio.read(expected, dtype=dtype, always_2d=True)
    return _checked(path, samples, start, expected, finite), header.sample_rate


def _resample(samples: NDArray[np.floating], old_rate: int, new_rate: int) -> Signal:
    signal = np.asarray(samples, dtype=np.float64)
    if old_rate != new_rate:
        signal = np.asarray(soxr.resample(signal, old_rate, new_rate, quality="VHQ"))
    return np.ascontiguousarray(signal.T)


def decode(content: bytes, sample_rate: int, *, raw: bool = False) -> Signal:
    """Return (channels, samples) of a file's content; ``raw``: 16-bit mono without a header."""
    if raw:
        return np.frombuffer(content, dtype="<i2")[None, :] / 32768.0
    samples, old_rate = sf.read(io.BytesIO(content), always_2d=True)
    return _resample(samples, old_rate, sample_rate)


def read_audio(path: str | Path, sample_rate: int) -> Signal:
    """Return (channels, samples) of a file, resampled if it has another rate.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As `read_samples`.
    """
    return _resample(*read_samples(path), sample_rate)


def write_audio(
    path: str | Path, signal: NDArray[Any], sample_rate: int, subtype: str = "PCM_16"
) -> None:
    """Write (channels, samples) or (samples,) in one step; the suffix says the format.

    Args:
        path: The file; it is there only when it is whole.
        signal: Floats, or integers of 16 bits, which are written as they are.
        sample_rate: Hz.
        subtype: How samples are stored.

    Raises:
        ValueError: If a sample is not finite or, for integer formats, would clip.
        OSError: If the file could not be written whole, as on a full disk.
    """
    floats = signal.dtype.kind == "f"
    if floats and (
        not np.isfinite(signal).all()
        or (subtype.startswith("PCM") and np.abs(signal).max(initial=0.0) > 1.0)
    ):
        raise ValueError(f"{path}: samples must be finite and within [-1, 1] for {subtype}")
    with atomic_path(path) as temporary, check_written(path, temporary, signal.shape[-1]):
        sf.write(native_name(temporary), signal.T, sample_rate, subtype=subtype)


@contextmanager
def check_written(path: str | Path, temporary: Path, frames: int) -> Iterator[None]:
    """See that the block wrote a whole file.

    Args:
        path: The file's final name, for the message.
        temporary: Its name till then.
        frames: Samples per channel that it must hold.

    Raises:
        OSError: If it could not be written whole, as on a full disk.
    """
    try:
        yield
        # a disk that fills up while a file is closed leaves it cut without an error
        written = sf.info(native_name(temporary)).frames
        why = "" if written == frames else f"{written} of {frames} samples arrived"
    except (sf.LibsndfileError, RuntimeError) as error:
        why = str(error)
    if why:
        raise write_error(path, why)


def write_error(path: str | Path, why: str) -> OSError:
    """Return the error of a file that could not be written, for libsndfile's "System error"."""
    free = shutil.disk_usage(Path(path).parent).free
    return OSError(f"{path} could not be written ({why}); {free / 1e6:.0f} MB are free there")


def native_name(path: str | Path) -> str | bytes:
    """Return a name for soundfile, which takes those that are not UTF-8 as bytes only."""
    try:
        str(path).encode()
        return str(path)
    except UnicodeEncodeError:
        return os.fsencode(path)
