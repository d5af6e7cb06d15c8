"""Command lines: what the programs share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

from seloss.program import run_command

__all__ = ["available_cpus", "natural_int", "positive_int", "program"]


def program(
    name: str,
    description: str | None,
    add_options: Callable[[argparse.ArgumentParser], None],
    work: Callable[[argparse.Namespace], int | None],
) -> Callable[..., int]:
    """Return the ``main`` of a program, which takes a command line, by default the process's.

    ``--help`` prints the description, a module's docstring, as it stands; ``work`` returns an exit
    status, None for success.
    """

    def parser() -> argparse.ArgumentParser:
        options = argparse.ArgumentParser(
            name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add_options(options)
        return options

    def main(argv: Sequence[str] | None = None) -> int:
        """Run the program; return its exit status."""
        return run_command(parser, work, argv)

    return main


def positive_int(text: str) -> int:
    """Read a whole number from 1 on, for ``type=``."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def natural_int(text: str) -> int:
    """Read a whole number from 0 on, for ``type=``."""
    return 0 if int(text) == 0 else positive_int(text)


def available_cpus() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
