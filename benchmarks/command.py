"""Command line shared by the benchmarks."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from evaluation.work.cli import available_cpus
from seloss.program import UsageError, run_command

from .limits import bandwidth, matrix_rate
from .results import describe_setting
from .row import Row
from .table import plain_row
from .timing import CLOCKS

__all__ = ["run_benchmark"]

Rows = Callable[[argparse.Namespace], Iterator[Row]]


def _device(text: str) -> torch.device:
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if device.type not in ("cpu", "cuda"):
        raise argparse.ArgumentTypeError(f"must be cpu or cuda; got {text!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise argparse.ArgumentTypeError("cuda: PyTorch finds no GPU here")
    return device


def _parser(doc: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = available_cpus()
    parser.add_argument("--device", type=_device, default="cpu", help="cpu or cuda (cpu)")
    parser.add_argument("--threads", type=int, default=cores, help=f"CPU threads ({cores})")
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="cpu: processor time, for a machine that others use too, with --threads 1 (wall)",
    )
    parser.add_argument(
        "--budget", type=float, default=8.0, help="seconds to time each case for, at least (8)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="smallest sizes: to see that it runs, not how fast"
    )
    parser.add_argument("--json", type=Path, help="file to add the rows to, one a line")
    return parser


def run_benchmark(
    rows: Rows,
    doc: str | None,
    *,
    add_arguments: Callable[[argparse.ArgumentParser], object] | None = None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse the command line, measure, print each row at once; return the exit status.

    Args:
        rows: Options -> rows. The options have ``device``, ``threads``, ``clock``, ``budget`` and
            ``quick``, and what was added. With ``quick`` it has to be done in some seconds.
        doc: Docstring of the benchmark.
        add_arguments: Adds further options.
        arguments: Command line, by default that of the process.
    """

    def parser() -> argparse.ArgumentParser:
        options = _parser(doc)
        if add_arguments is not None:
            add_arguments(options)
        return options

    return run_command(parser, lambda options: _measure(rows, options), arguments)


def _measure(rows: Rows, options: argparse.Namespace) -> None:
    if options.threads < 1 or options.budget < 0:
        raise UsageError("--threads must be at least 1, --budget at least 0")
    if options.quick:
        options.budget = 0.0
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    setting = (options.device, options.clock, torch.get_num_threads())
    about = {
        "device": str(options.device),
        "threads": options.threads,
        "clock": options.clock,
        "quick": options.quick,
        "pairs_per_s": matrix_rate(*setting),
        "bytes_per_s": bandwidth(*setting),
    }
    _note(options.json, {"about": about})
    print(describe_setting(about))
    for row in rows(options):
        print(plain_row(row), flush=True)
        _note(options.json, {"row": asdict(row)})


def _note(path: Path | None, entry: dict[str, object]) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
