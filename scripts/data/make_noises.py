#!/usr/bin/env python3
"""Write synthetic noises, voice-like and transient, as a folder that list_sources.py takes.

Equally many of each type: cry (harmonic, with formants and a moving pitch), burst, click, sweep.
With --speech a fifth type, odd_voice: recordings of the training split backwards, at about half or
double their speed; such a file keeps the licence of its recording.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seloss.data.corpus.listing import read_folder, write_listing
from seloss.data.draw import rank
from seloss.data.formats.audio import write_audio
from seloss.data.mixing.excerpt import length_at, read_part
from seloss.data.mixing.synthetic import TYPES, make_noise, make_odd_voice
from seloss.program import run_command

LICENCE = "none needed (synthetic)"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("--out", type=Path, required=True, help="folder for the noises and their manifest.csv")
    add("--files", type=int, default=80, help="noises of each type (default: %(default)s)")
    add("--seconds", type=float, default=8.0, help="length of each (default: %(default)s)")
    add("--sample_rate", type=int, default=16000, help="Hz (default: %(default)s)")
    add("--speech", type=Path, nargs="+", default=[], help="folders of speech for odd_voice")
    add("--exclude_licence", metavar="PATTERN", help="leave out speech whose licence matches it")
    add("--seed", type=int, default=0, help="of everything random (default: %(default)s)")
    return options


def _odd_voices(options: argparse.Namespace) -> Iterator[tuple[np.ndarray, str]]:
    """Yield odd voices with the licence of what they are made of."""
    pattern = re.compile(options.exclude_licence) if options.exclude_licence else None
    recordings = {
        str(recording.path): recording
        for folder in options.speech
        for recording in read_folder(folder, "speech")
        if recording.split in (None, "train")
        and not (pattern and pattern.search(recording.licence or ""))
    }
    if not recordings:
        raise ValueError("no speech of the training split is left in --speech")
    rate, longest = options.sample_rate, round(options.seconds * options.sample_rate)
    names = iter(rank([*recordings], options.seed, "odd voice"))
    for number, name in zip(range(options.files), names, strict=False):
        path = recordings[name].path
        speech = read_part(path, rate, 0, min(longest, length_at(path, rate)))
        voice = make_odd_voice(speech, rate, options.seed, number)
        yield voice, recordings[name].licence or "none given"


def work(options: argparse.Namespace) -> None:
    """Write the noises and a listing of them."""
    if options.files < 1:
        raise ValueError(f"--files must be at least 1; got {options.files}")
    rows = []

    def write(kind: str, number: int, noise: np.ndarray, licence: str) -> None:
        name = f"{kind}_{number:04}.flac"
        write_audio(options.out / name, noise, options.sample_rate)
        rows.append(
            {"path": name, "split": "train", "label": f"synthetic_{kind}", "licence": licence}
        )

    options.out.mkdir(parents=True, exist_ok=True)
    for kind in TYPES:
        for number in range(options.files):
            noise = make_noise(kind, options.sample_rate, options.seconds, options.seed, number)
            write(kind, number, noise, LICENCE)
    if options.speech:
        for number, (voice, licence) in enumerate(_odd_voices(options)):
            write("odd_voice", number, voice, licence)
    write_listing(options.out / "manifest.csv", rows)
    print(f"{options.out}: {len(rows)} noises")


if __name__ == "__main__":
    sys.exit(run_command(parser(), work))
