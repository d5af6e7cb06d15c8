"""Damage that decoders pass over in silence: files cut short, and several joined into one.

libsndfile takes what is left of a cut WAV for the whole, fills a cut MP3 up with whatever lies in
memory, and stops at the end of the first of several joined MP3 or Ogg files. The containers say
enough to notice.
"""

from __future__ import annotations

import mmap
import re
import struct
from pathlib import Path

__all__ = ["find_damage"]

#: libsndfile's notes about a chunk of another size than its header says.
_CHUNK = re.compile(r"^\s*(.+?)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
#: Sizes from here on stand for a length that was unknown when the header was written to a pipe.
_UNKNOWN = 0x7FFFFF00
#: Chunks are padded to even sizes, and MP3 files often end with a few bytes of padding.
_SLACK = 16
_TAG_BYTES = 1 << 16
_FRAMES, _BYTES = 1, 2  # flags of a Xing header: which numbers follow
_BEGINS, _ENDS = 2, 4  # flags of an Ogg page: first and last of its stream
_FEW_FRAMES = 3
#: Layer III: kbit/s by index for MPEG 1, and for 2 and 2.5; Hz of MPEG 1, of which 2 has half.
_KBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES_HZ = (44100, 48000, 32000)


def find_damage(path: Path, container: str, notes: str, frames: int) -> str | None:
    """Return what is wrong with a file that a decoder opens, None if nothing is.

    Args:
        path: The file.
        container: libsndfile's name of its format.
        notes: libsndfile's log of opening it.
        frames: Samples per channel that it finds.
    """
    checks = {"OGG": _ogg_damage, "NIST": _nist_damage}
    if container == "MP3":
        return _mp3_damage(path, frames)
    if container in checks:
        return checks[container](path)
    for chunk, stated, actual in _CHUNK.findall(notes):
        if int(actual) + _SLACK < int(stated) < _UNKNOWN:
            return f"is cut short: its {chunk} should have {stated} bytes, {actual} are there"
    return None


def _mp3_frame(header: bytes) -> tuple[int, int] | None:
    """Return bytes and samples of an MP3 frame, None if this is not the header of one.

    Source: ISO/IEC 11172-3 and 13818-3, 2.4.2.3.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version = header[1] >> 3 & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    kbits, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or rate == 3 or kbits in (0, 15):
        return None
    samples = 1152 if version == 3 else 576
    hz = _RATES_HZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = 1000 * _KBITS[version != 3][kbits]
    return samples // 8 * bits // hz + (header[2] >> 1 & 1), samples


def _mp3_bare_damage(path: Path, first: int, frames: int) -> str | None:
    """Count the frames of a file without a Xing header, of which a decoder guesses the length.

    It takes the first frame's bit rate for that of all. A file that was cut between two frames is
    whole by all that can be known.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        counted, at = 0, first
        while frame := _mp3_frame(content[at : at + 4]):
            if at + frame[0] > len(content):
                return f"is cut short: of its last frame {len(content) - at} bytes are there"
            counted, at = counted + frame[1], at + frame[0]
    # an encoder's delay and padding may have been taken off
    if counted - frames > _FEW_FRAMES * 1152:
        return (
            f"does not say how long it is: {frames} of {counted} samples would be read (a variable "
            "bit rate without a Xing header); convert it anew"
        )
    return None


def _mp3_damage(path: Path, frames: int) -> str | None:
    """Compare the size in a Xing or Info header, where there is one, with that of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(10)
        # an ID3v2 tag: its size is written in bytes of seven bits each
        first = 10 + sum((b & 127) << s for b, s in zip(head[6:], (21, 14, 7, 0), strict=False))
        first = first if head[:3] == b"ID3" else 0
        file.seek(first)
        block = file.read(_TAG_BYTES)
        file.seek(max(0, size - 128))
        size -= 128 if file.read(3) == b"TAG" else 0
    sync = block.find(b"\xff")
    places = [at for at in (block.find(name, 0, 4096) for name in (b"Xing", b"Info")) if at > 0]
    if sync < 0:
        return None
    if not places:
        return _mp3_bare_damage(path, first + sync, frames)
    (flags,) = struct.unpack_from(">I", block, places[0] + 4)
    if not flags & _BYTES:
        return None
    # the number of bytes stands behind that of the frames, where there is one
    (stated,) = struct.unpack_from(">I", block, places[0] + (12 if flags & _FRAMES else 8))
    begin, actual = first + sync, size - first - sync
    if actual + _SLACK < stated:
        return f"is cut short: its header promises {stated} bytes of audio, {actual} are there"
    with path.open("rb") as file:
        file.seek(begin + stated)
        rest = file.read(max(0, size - begin - stated))
    # tags may follow the audio, but not frames, which begin as the first one does
    if rest.count(block[sync : sync + 2]) >= _FEW_FRAMES:
        return "is several MP3 files joined into one, of which only the first would be read"
    return None


def _ogg_damage(path: Path) -> str | None:
    """Look at the flags of the pages: one stream that begins, and its end."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        begun, last, at = 0, 0, content.find(b"OggS")
        while 0 <= at < len(content) - 27:
            last = content[at + 5]
            begun += bool(last & _BEGINS)
            n_segments = content[at + 26]
            body = sum(content[at + 27 : at + 27 + n_segments])
            at = content.find(b"OggS", at + 27 + n_segments + body)
    if begun > 1:
        return "is several Ogg streams joined into one, of which only the first would be read"
    return None if last & _ENDS else "is cut short: its stream has no last page"


def _nist_damage(path: Path) -> str | None:
    """Compare the number of samples in the text of the header with the size of the file."""
    with path.open("rb") as file:
        head = file.read(1024)
    fields = {name: int(value) for name, value in re.findall(rb"(?m)^(\w+) -i (\d+)\s*$", head)}
    length = re.match(rb"NIST_1A\s+(\d+)", head)
    if length is None or b"sample_count" not in fields or b"sample_coding -s3 pcm" not in head:
        return None
    per_sample = fields.get(b"channel_count", 1) * fields.get(b"sample_n_bytes", 2)
    stated, actual = fields[b"sample_count"] * per_sample, path.stat().st_size - int(length[1])
    if actual < stated:
        return f"is cut short: its header promises {stated} bytes of audio, {actual} are there"
    return None
