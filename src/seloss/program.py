"""Runner of every program: exit statuses, errors in one line, logging.

0: done. 1: something failed, said in one line on stderr (``--debug`` shows the traceback). 2: wrong
usage. 75: training stopped on request and must be started again. 130 or 143: stopped by SIGINT or
SIGTERM.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import logging
import os
import sys
import traceback
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

__all__ = [
    "Preempted",
    "UsageError",
    "has_other_processes",
    "load_plugin",
    "loaded_plugins",
    "mark_resumable",
    "process_rank",
    "run_command",
    "run_program",
]

FAILED, WRONG_USAGE, PREEMPTED, INTERRUPTED, TERMINATED = 1, 2, 75, 130, 143

_plugins: list[str] = []
_resumable = False


class UsageError(ValueError):
    """An option, its value or its combination with others is wrong."""


class Preempted(Exception):  # noqa: N818 - not an error
    """Training was asked to stop, has saved everything, and is to be started again.

    Attributes:
        step: The optimiser steps it has behind it.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"stopped after step {step} as requested; the same command resumes there")


def run_command(
    parser: argparse.ArgumentParser | Callable[[], argparse.ArgumentParser],
    work: Callable[[argparse.Namespace], int | None],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse a command line, do the work, return the exit status.

    Args:
        parser: The program's options; ``--debug`` is added. A function that returns them is called
            after every ``--plugin FILE`` has been imported, so that choices hold what is registered
            there.
        work: What to do with them; returns an exit status, None for success.
        argv: Command line, by default that of the process.
    """
    if not isinstance(parser, argparse.ArgumentParser):
        status = run_program(_load_plugins, argv)
        if status:
            return status
        parser = parser()
        _add_plugin_flag(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser
    return run_program(lambda line: work(options.parse_args(line)), argv, prog=options.prog)


def run_program(
    main: Callable[[list[str]], int | None],
    argv: Sequence[str] | None = None,
    *,
    prog: str | None = None,
) -> int:
    """Run a program that reads its command line itself; return the exit status.

    Of several processes of one run, only the first one logs progress and explains its end.

    Args:
        main: Takes the command line; returns an exit status, None for success.
        argv: Command line, by default that of the process.
        prog: Name that stands before messages, by default that of the process.
    """
    global _resumable
    _resumable = False
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = prog or Path(sys.argv[0]).name
    level = logging.INFO if process_rank() == 0 else logging.ERROR
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    try:
        return main(arguments) or 0
    except (KeyboardInterrupt, SystemExit) as leaving:
        status = _signal_status(leaving)
        if status is None:
            raise
        outcome = "the same command resumes" if _resumable else "nothing was saved yet"
        _explain(f"{name}: stopped; {outcome}")
        return status
    except Preempted as leaving:
        _explain(f"{name}: {leaving}")
        # torchrun takes any status but 0 for a crash, and would end the other processes.
        launched = "TORCHELASTIC_RUN_ID" in os.environ
        return 0 if launched or process_rank() != 0 else PREEMPTED
    except UsageError as error:
        _trace(arguments)
        _explain(f"{name}: error: {error}")
        return WRONG_USAGE
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        # What is missing on the disk or not installed needs no traceback.
        plain = _trace(arguments) or isinstance(error, (OSError, ImportError))
        hint = "" if plain else " (--debug shows where)"
        print(f"{name}: error: {error}{hint}", file=sys.stderr)
        return FAILED


def load_plugin(file: str | Path) -> ModuleType:
    """Import a Python file, once, so that what it registers can be used by name.

    Raises:
        UsageError: There is no such file, or it cannot be imported.
    """
    path = Path(file).resolve()
    if path.suffix != ".py" or not path.is_file():
        raise UsageError(f"{file}: no such Python file")
    name = f"{path.stem}_{zlib.crc32(bytes(path)):08x}"  # two files may have one name
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec, "a .py file has one"
    assert spec.loader, "a .py file has one"
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the file raises
        del sys.modules[name]
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"{file} cannot be imported: {reason}") from error
    _plugins.append(str(path))
    return module


def loaded_plugins() -> tuple[str, ...]:
    """Return the files that `load_plugin` has imported, for workers to import them too."""
    return tuple(_plugins)


def mark_resumable() -> None:
    """Note that results are on the disk from which the same command resumes."""
    global _resumable
    _resumable = True


def process_rank() -> int:
    """Return this process's rank in a distributed run, as its launcher says; 0 without one."""
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # of torchrun, of Lightning, of srun
    return int(next((os.environ[name] for name in names if name in os.environ), 0))


def has_other_processes() -> bool:
    """Return whether torchrun or srun started other processes of this run too."""
    names = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
    return any(int(os.environ.get(name, 1)) > 1 for name in names)


def _add_plugin_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py",
        help="import a file that registers a metric, loss, weighting or network of your own",
    )


def _load_plugins(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_plugin_flag(parser)
    for file in parser.parse_known_args(argv)[0].plugin:
        load_plugin(file)


def _signal_status(leaving: BaseException) -> int | None:
    """Return the exit status if a signal is what ends the program.

    Lightning turns SIGINT into ``exit(1)`` and SIGTERM into a ``SystemExit`` without a status, with
    which a killed run would look like a finished one.
    """
    if isinstance(leaving, KeyboardInterrupt) or isinstance(leaving.__context__, KeyboardInterrupt):
        return INTERRUPTED
    return TERMINATED if type(leaving).__name__ == "SIGTERMException" else None


def _explain(message: str) -> None:
    if process_rank() == 0:
        print(message, file=sys.stderr)


def _trace(arguments: Sequence[str]) -> bool:
    """Print the traceback if ``--debug`` is among the program's own options; return whether."""
    own = itertools.takewhile(lambda argument: argument != "--", arguments)
    if "--debug" not in own:
        return False
    traceback.print_exc()
    return True
