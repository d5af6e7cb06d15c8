"""How the programs of this package end: 0, 1 with what went wrong on stderr, 2 for wrong usage."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

__all__ = ["run_command"]


def run_command(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], None],
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse arguments, do the work, return the exit status; ``--debug`` shows the traceback.

    Args:
        parser: The program's options; ``--debug`` is added.
        work: What to do with them.
        arguments: Command line, by default that of the process.
    """
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse_args(arguments)
    level = logging.DEBUG if options.debug else logging.INFO
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    try:
        work(options)
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted; start it again to carry on", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        if options.debug:
            raise
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0
