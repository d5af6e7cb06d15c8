#!/usr/bin/env python3
"""Simulate rooms with an array, a talker and noises: a bank of responses for mixing on the fly.

Writes a folder per room (talker.flac, noise0.flac, ..., a channel for each microphone) and rir.csv.
list_sources.py --arrays takes it for training, make_mixtures.py --rir for mixtures on disk. Started
again, it makes what is missing; rooms never change when more are requested.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from seloss.data.mixing.room_bank import make_room_bank
from seloss.data.mixing.room_plan import MixingConfig
from seloss.data.mixing.rooms import GEOMETRIES
from seloss.program import run_command

#: Range -> type and help; fields of `MixingConfig`, whose defaults they have.
RANGES = {
    "n_mics": (int, "number of microphones (default: the geometry's own)"),
    "rt60_s": (float, "reverberation time in seconds"),
    "distance_m": (float, "distance of talker and noises in metres"),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    default = MixingConfig()
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("--out", type=Path, required=True, help="folder of the rooms")
    add("--rooms", type=int, default=1000, help="how many (default: %(default)s)")
    add("--noises", type=int, default=3, help="places of noises in each (default: %(default)s)")
    add(
        "--geometry",
        choices=list(GEOMETRIES),
        default=default.geometry,
        help="array (default: %(default)s)",
    )
    for name, (kind, what) in RANGES.items():
        value = getattr(default, name)
        shown = f" (default: {value[0]:g} {value[1]:g})" if value else ""
        add(f"--{name}", type=kind, nargs=2, metavar=("LOW", "HIGH"), help=what + shown)
    ahead = "talker's largest angle from straight ahead (default: binaural 60, others anywhere)"
    add("--front_deg", type=float, metavar="DEGREES", help=ahead)
    add("--sample_rate", type=int, default=default.sample_rate, help="in Hz (default: %(default)s)")
    add("--seed", type=int, default=default.seed, help="of everything (default: %(default)s)")
    add("--jobs", type=int, help="processes (default: one per core)")
    add("--overwrite", action="store_true", help="replace rooms made with other settings")
    return options


def work(options: argparse.Namespace) -> None:
    """Make the rooms."""
    given = {name: getattr(options, name) for name in RANGES}
    ranges: dict[str, Any] = {name: tuple(value) for name, value in given.items() if value}
    config = MixingConfig(
        geometry=options.geometry,
        front_deg=options.front_deg,
        sample_rate=options.sample_rate,
        seed=options.seed,
        **ranges,
    )
    listing = make_room_bank(
        options.out,
        config,
        options.rooms,
        options.noises,
        jobs=options.jobs,
        overwrite=options.overwrite,
    )
    print(listing)


if __name__ == "__main__":
    sys.exit(run_command(parser(), work))
