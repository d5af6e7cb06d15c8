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

from seloss.data.mixing.room_bank import make_room_bank
from seloss.data.mixing.room_options import add_room_options, read_mixing_config
from seloss.program import run_command


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("--out", type=Path, required=True, help="folder of the rooms")
    add("--rooms", type=int, default=1000, help="how many (default: %(default)s)")
    add("--noises", type=int, default=3, help="places of noises in each (default: %(default)s)")
    add_room_options(options, ("n_mics", "rt60_s", "distance_m"))
    add("--jobs", type=int, help="processes (default: one per core)")
    add("--overwrite", action="store_true", help="replace rooms made with other settings")
    return options


def work(options: argparse.Namespace) -> None:
    """Make the rooms."""
    listing = make_room_bank(
        options.out,
        read_mixing_config(options),
        options.rooms,
        options.noises,
        jobs=options.jobs,
        overwrite=options.overwrite,
    )
    print(listing)


if __name__ == "__main__":
    sys.exit(run_command(parser(), work))
