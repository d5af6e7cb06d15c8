"""What all programs share: the common options, errors in one line, exit statuses.

0: done. 1: something could not be done, said in one line on stderr (with `--debug` the traceback).
    2: wrong usage.
130: interrupted; what was finished is kept.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence

from evaluation.experiment import ROOT_VARIABLE

__all__ = ["add_experiment_options", "available_cpus", "positive_int", "run"]

Work = Callable[[argparse.Namespace], int]


def run(parser: argparse.ArgumentParser, work: Work, argv: Sequence[str] | None = None) -> int:
    """Parse the command line, do the work, turn errors into one line; return the exit status."""
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return work(args)
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    except (OSError, ValueError, RuntimeError, ModuleNotFoundError) as error:
        if args.debug:
            raise
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1


def add_experiment_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where experiments lie."""
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        help=f"folder of the experiments (default: ${ROOT_VARIABLE}, else ./experiments)",
    )


def positive_int(text: str) -> int:
    """Read a whole number from 1 on, for `type=`."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def available_cpus() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
