"""Search of a folder for audio: the one walker, which follows links and says what it leaves out."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from .audio import SUFFIXES

__all__ = ["UNREADABLE", "find_audio", "walk_files"]

_LOG = logging.getLogger(__name__)
#: Audio that no reader here opens: such a file is named, not passed over in silence.
UNREADABLE = frozenset(
    (
        *(".m4a", ".m4b", ".mp4", ".aac", ".wma", ".amr", ".webm", ".mka", ".mp2", ".ac3"),
        *(".ape", ".wv", ".tta", ".shn", ".3gp", ".ra", ".dts", ".mpc", ".spx"),
    )
)
_SHOWN = 5
_NOT_TEXT = "names that are not UTF-8 (rename them)"


def _warn(folder: Path, left_out: dict[str, list[str]]) -> None:
    for why, names in left_out.items():
        readable = [os.fsencode(name).decode(errors="backslashreplace") for name in names[:_SHOWN]]
        shown = ", ".join(readable) + (", ..." if len(names) > _SHOWN else "")
        _LOG.warning("%s: %d left out, %s: %s", folder, len(names), why, shown)


def _is_text(name: str) -> bool:
    """Return whether a name is UTF-8, so that tables and manifests can hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def walk_files(folder: str | Path, *, any_name: bool = False) -> Iterator[Path]:
    """Yield every file in a folder and below, sorted, linked folders included.

    Hidden files and folders do not count (``._a.wav`` beside ``a.wav`` is no audio). A folder that
    is reached twice, as through a link to one of its own parents, is searched once; a warning says
    so, and names folders that cannot be read.

    Args:
        folder: Where to search.
        any_name: Whether names that are not UTF-8, which no table or manifest can hold, count too;
            else a warning names them.
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
        below, place = os.path.relpath(root, folder), Path(root)
        for name in sorted(files):
            if name.startswith("."):
                continue
            if any_name or _is_text(f"{below}/{name}"):
                yield place / name
            else:
                left_out.setdefault(_NOT_TEXT, []).append(os.path.normpath(f"{below}/{name}"))
    _warn(folder, left_out)


def find_audio(folder: str | Path, *, any_name: bool = False) -> list[Path]:
    """Return every audio file in a folder and below, sorted; see `walk_files`.

    A warning names files of audio formats that no reader opens, and links that lead nowhere.
    """
    audio, left_out = [], dict[str, list[str]]()
    for path in walk_files(folder, any_name=any_name):
        suffix = path.suffix.lower()
        if suffix in UNREADABLE:
            why = f"{suffix} cannot be read (convert to FLAC)"
            left_out.setdefault(why, []).append(path.name)
        elif suffix in SUFFIXES:
            if path.is_file():
                audio.append(path)
            else:
                left_out.setdefault("links that lead nowhere", []).append(str(path))
    _warn(Path(folder), left_out)
    return sorted(audio)
