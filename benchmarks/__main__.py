"""Run all benchmarks, each in a process of its own, and write their results to RESULTS.md.

    python -m benchmarks                       everything, as `make bench` does
    python -m benchmarks --only losses fasnet  some, printed and not written
    python -m benchmarks --quick               smallest sizes: to see that all of it runs
    python -m benchmarks --device cuda         networks and losses on a GPU

A benchmark that fails or takes too long loses none of its own rows, nor the others'. Each has its
share of the ten minutes, and what those before it left over. Values mean something only on a
machine that does nothing else; `--clock cpu --threads 1` is disturbed least.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from asteroid.utils.files import write_text
from seloss.program import UsageError, run_command

from .results import Result, machine, page, read_lines

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS.md"


class Benchmark(NamedTuple):
    """One benchmark: its title, its share of ten minutes in seconds, its options.

    ``shared``: options of the run that it takes too. ``own``: what it always takes.
    """

    title: str
    share_s: float
    shared: tuple[str, ...] = ("device", "threads", "clock")
    own: tuple[str, ...] = ()


BENCHMARKS = {
    "losses": Benchmark("Losses", 45, own=("--budget", "6")),
    "fasnet": Benchmark("FaSNet-TAC", 170),
    "models": Benchmark("DCCRN and DCUnet", 100),
    "streaming": Benchmark(
        "Streaming", 50, ("device", "clock"), ("--threads", "1", "--budget", "3")
    ),
    "data": Benchmark("Data loading", 39, ("device",), ("--budget", "6")),
    "mixing": Benchmark("Mixing while training", 6, (), ("--threads", "1", "--budget", "3")),
    "rooms": Benchmark("Room simulation", 60, ("clock",), ("--threads", "1")),
    "enhance": Benchmark("Enhancement of many files", 25, (), ("--threads", "1")),
    "evaluation": Benchmark("Evaluation", 105, (), ("--threads", "1")),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(BENCHMARKS), default=list(BENCHMARKS), help="which (all)"
    )
    parser.add_argument("--quick", action="store_true", help="smallest sizes: does it run?")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (cpu)")
    parser.add_argument("--threads", type=int, help="CPU threads (as many as cores)")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], help="cpu: processor time, with --threads 1 (wall)"
    )
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="for all, where they are run to the end (10)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="file to write (benchmarks/RESULTS.md if all are run at full size, else none)",
    )
    return parser


def _command(name: str, options: argparse.Namespace) -> list[str]:
    """Return what is run, as a reader would type it."""
    command = ["python", "-m", f"benchmarks.{name}", *BENCHMARKS[name].own]
    for shared in BENCHMARKS[name].shared:
        value = getattr(options, shared)
        if value is not None and (shared, value) != ("device", "cpu"):
            command += [f"--{shared}", str(value)]
    return [*command, "--quick"] if options.quick else command


def _run(name: str, options: argparse.Namespace, folder: Path, limit_s: float) -> Result:
    """Run one benchmark; whatever happens to it, return its rows so far."""
    result = Result(name, BENCHMARKS[name].title, _command(name, options))
    path, started = folder / f"{name}.jsonl", time.monotonic()
    print(f"== {result.title}: {' '.join(result.command)}", flush=True)
    # A session of its own, so that its worker processes are ended with it.
    process = subprocess.Popen(
        [sys.executable, *result.command[1:], "--json", str(path)], cwd=ROOT, start_new_session=True
    )
    try:
        status = process.wait(timeout=limit_s)
        result.failure = "" if status == 0 else f"exit status {status}, see its error above"
    except subprocess.TimeoutExpired:
        result.failure = f"stopped after {limit_s:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    result.seconds = time.monotonic() - started
    read_lines(path, result)
    if not result.failure and not result.rows:
        result.failure = "it measured nothing"
    if result.failure:
        print(f"== {result.title}: {result.failure}", file=sys.stderr, flush=True)
    return result


def _run_all(options: argparse.Namespace, folder: Path) -> list[Result]:
    """Run the requested benchmarks, each until the shares up to its own are used up."""
    deadline, results = time.monotonic(), []
    for name in options.only:
        deadline += BENCHMARKS[name].share_s * options.minutes / 10
        results.append(_run(name, options, folder, max(1.0, deadline - time.monotonic())))
    return results


def _work(options: argparse.Namespace) -> int:
    """Run the requested benchmarks; return 1 if any of it failed."""
    if options.minutes <= 0:
        raise UsageError(f"--minutes must be above 0; got {options.minutes:g}")
    if options.out is None and not options.quick and set(options.only) == set(BENCHMARKS):
        options.out = RESULTS
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("--device cuda: PyTorch finds no GPU here")
    facts = machine()
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what runs, too
    try:
        with tempfile.TemporaryDirectory() as folder:
            results = _run_all(options, Path(folder))
    finally:
        signal.signal(signal.SIGTERM, before)
    if options.out is not None:  # only now: what an interrupted run measured is on the terminal
        write_text(options.out, page(results, facts))
        print(f"== wrote {options.out}")
    for result in results:
        for row in result.rows:
            for goal in row.goals:
                if not goal.met:
                    print(f"not met: {result.title}, {row.case}: {goal.what} {goal.value:.3g}")
    return 1 if any(result.failure for result in results) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    return run_command(_parser(), _work, arguments)


if __name__ == "__main__":
    sys.exit(main())
