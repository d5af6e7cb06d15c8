"""Search of a folder for audio: the one walker, which follows links and says what it leaves out."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from .audio import SUFFIXES

__all__ = ["find_audio", "walk_files"]

_LOG = logging.getLogger(__name__)
#: Audio that no reader here opens: such a file is named, not passed over in silence.
_UNREADABLE = frozenset(
    (
        *(".m4a", ".m4b", ".mp4", ".aac", ".wma", ".amr", ".webm", ".mka", ".mp2", ".ac3"),
        *(".ape", ".wv", ".tta", ".shn", ".3gp", ".ra", ".dts", ".mpc", ".spx"),
    )
)
_SHOWN = 5


def _warn(folder: Path, left_out: dict[str, list[str]]) -> None:
    for why, names in left_out.items():
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        _LOG.warning("%s: %d left out, %s: %s", folder, len(names), why, shown)


def walk_files(folder: str | Path) -> Iterator[Path]:
    """Yield every file in a folder and below, sorted, linked folders included.

    Hidden files and folders do not count (``._a.wav`` beside ``a.wav`` is no audio). A folder that
    is reached twice, as through a link to one of its own parents, is searched once; a warning says
    so, and names folders that cannot be read.
    """
    folder = Path(folder)
    seen: set[tuple[int, int]] = set()
    left_out: dict[str, list[str]] = {}

    def unreadable(error: OSError) -> None:
        left_out.setdefault(f"not readable ({error.strerror})", []).append(str(error.filename))

    for root, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        state = os.stat(root)
        if (state.st_dev, state.st_ino) in seen:
            left_out.setdefault("folders that another path leads to", []).append(root)
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(root, name)
    _warn(folder, left_out)


def find_audio(folder: str | Path) -> list[Path]:
    """Return every audio file in a folder and below, sorted; see `walk_files`.

    A warning names files of audio formats that no reader opens, and links that lead nowhere.
    """
    audio, left_out = [], dict[str, list[str]]()
    for path in walk_files(folder):
        suffix = path.suffix.lower()
        if suffix in _UNREADABLE:
            why = f"{suffix} cannot be read (convert to FLAC)"
            left_out.setdefault(why, []).append(path.name)
        elif suffix in SUFFIXES:
            if path.is_file():
                audio.append(path)
            else:
                left_out.setdefault("links that lead nowhere", []).append(str(path))
    _warn(Path(folder), left_out)
    return sorted(audio)
