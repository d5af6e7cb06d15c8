"""Options on the command line of programs that simulate rooms: the fields of `MixingConfig`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from .room_plan import MixingConfig
from .rooms import GEOMETRIES

__all__ = ["add_room_options", "read_mixing_config"]

#: Range -> type and help.
_RANGES = {
    "n_mics": (int, "number of microphones (default: the geometry's own)"),
    "rt60_s": (float, "reverberation time in seconds"),
    "snr_db": (float, "signal-to-noise ratio at the reference microphone"),
    "distance_m": (float, "distance of talker and noise in metres"),
    "speed": (float, "factor by which speech is played faster, in training only"),
    "level_db": (float, "level of the mixture in dB of full scale"),
}


def add_room_options(parser: argparse.ArgumentParser, ranges: Iterable[str] = _RANGES) -> None:
    """Add geometry, ranges, the talker's angle, sampling rate and seed, with their defaults."""
    default, add = MixingConfig(), parser.add_argument
    add(
        "--geometry",
        choices=list(GEOMETRIES),
        default=default.geometry,
        help="array (default: %(default)s)",
    )
    for name in ranges:
        kind, what = _RANGES[name]
        value = getattr(default, name)
        shown = f" (default: {value[0]:g} {value[1]:g})" if value else ""
        add(
            f"--{name}",
            type=kind,
            nargs=2,
            metavar=("LOW", "HIGH"),
            default=value,
            help=what + shown,
        )
    ahead = "talker's largest angle from straight ahead (default: binaural 60, others anywhere)"
    add("--front_deg", type=float, metavar="DEGREES", help=ahead)
    add("--sample_rate", type=int, default=default.sample_rate, help="in Hz (default: %(default)s)")
    add("--seed", type=int, default=default.seed, help="of everything (default: %(default)s)")


def read_mixing_config(options: argparse.Namespace) -> MixingConfig:
    """Return the configuration that a command line gives; what it has no option for is default.

    Raises:
        ValueError: A value is out of its limits; names it.
    """
    given: dict[str, Any] = {}
    for field in fields(MixingConfig):
        value = getattr(options, field.name, None)
        if value is not None:
            given[field.name] = tuple(value) if isinstance(value, list) else value
    return MixingConfig(**given)
