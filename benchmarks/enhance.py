"""Start of ``seloss enhance`` on a folder of very many files, and its second start.

The plan (which file becomes which) must be there at once, whatever the number of files; the anchor
is the walk through the same folder with a look at each file, which nothing can do without. The
second start, when every file is enhanced already, is measured as users see it: the program, from
its start to its end, with the network that comes with the package.

    python -m benchmarks.enhance --files 100000
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from evaluation.enhance.cli import main, plan

from .command import run_benchmark
from .row import Goal, Row

#: Files of one folder, as corpora have them by speaker.
PER_FOLDER = 500
#: Times the anchor, and seconds of the second start per 100,000 files.
PLAN_GOAL, START_GOAL_S = 10.0, 30.0


def write_files(folder: Path, count: int) -> None:
    """Make empty files that have names of audio."""
    for first in range(0, count, PER_FOLDER):
        inner = folder / f"{first // PER_FOLDER:04d}"
        inner.mkdir(parents=True)
        for number in range(first, min(first + PER_FOLDER, count)):
            (inner / f"{number:06d}.wav").touch()


def walk(folder: Path) -> int:
    """Return how many files there are, each looked at once."""
    return sum(
        os.path.isfile(os.path.join(root, name))
        for root, _, files in os.walk(folder)
        for name in files
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the row of the plan and that of the second start."""
    count = 1000 if options.quick else options.files
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "in"), Path(name, "out")
        write_files(source, count)
        write_files(target, count)
        began = time.perf_counter()
        walk(source)
        walked = time.perf_counter() - began
        began = time.perf_counter()
        jobs = plan([source], target, ["network"])
        planned = time.perf_counter() - began
        if len(jobs) != count:
            raise RuntimeError(f"{len(jobs)} jobs for {count} files")
        yield Row(
            f"plan of {count} files",
            planned,
            planned,
            None,
            "a walk through them",
            walked,
            None,
            walked / planned,
            (Goal("times the walk", planned / walked, PLAN_GOAL, at_most=True),),
        )
        with contextlib.redirect_stderr(io.StringIO()):
            began = time.perf_counter()
            status = main([str(source), "-o", str(target), "--device", "cpu"])
            took = time.perf_counter() - began
        if status:
            raise RuntimeError(f"enhance ended with status {status}")
    allowed = START_GOAL_S * max(1.0, count / 100_000)
    goal = Goal("seconds", took, allowed, at_most=True)
    yield Row(f"second start, {count} files are there already", took, took, goals=(goal,))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the number of files."""
    parser.add_argument("--files", type=int, default=100_000, help="in the folder (100,000)")


if __name__ == "__main__":
    sys.exit(run_benchmark(rows, __doc__, add_arguments=add_arguments))
