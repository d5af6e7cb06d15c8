"""States of experiments' jobs, and when a training will be done."""

from __future__ import annotations

import csv
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from seloss.program import run_command

from .folders import experiment_folder, experiments_folder
from .jobs import State, failure_reason, find_state, is_held
from .submit import make_parser

COLUMNS = ("experiment", "job", "state", "")


def rows_of(run_dir: Path) -> list[tuple[str, ...]]:
    """Return a row for each of an experiment's jobs."""
    logs = run_dir / "logs"
    names = {path.stem for kind in ("state", "jobs") for path in logs.glob(f"*.{kind}")}
    if (run_dir / "conf.yml").is_file():
        names.add("train")
    rows: list[tuple[str, ...]] = []
    for name in sorted(names):
        state = training_state(run_dir) if name == "train" else find_state(run_dir, name)
        if state.kind == "running" and name == "train":
            parts = (training_progress(run_dir, running=True), state.detail)
            detail = "; ".join(part for part in parts if part)
        elif state.kind == "failed":
            reason = failure_reason(run_dir, name, state.job)
            detail = f"{state.detail}: {reason}".rstrip(": ")
        else:
            moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.time))
            detail = state.detail or (moment if state.time else "")
        rows.append((run_dir.name, f"{name} {state.job}".rstrip(), state.kind, detail))
    return rows


def training_state(run_dir: Path) -> State:
    """Return the state of a training, also of one that no launcher started."""
    state = find_state(run_dir, "train")
    if not state.active and is_held(run_dir / ".lock"):  # of train.py itself
        return State("running", "started by train.py")
    if state.kind != "never":
        return state
    if (run_dir / "best_model.pth").is_file():
        return State("finished", time=(run_dir / "best_model.pth").stat().st_mtime)
    progress = training_progress(run_dir, running=False)
    return State("stopped", f"{progress}; the same command resumes")


def training_progress(run_dir: Path, *, running: bool) -> str:
    """Return the epoch, and of a running training the time left.

    As ``epoch 3 of 200, step 7 of 50, 60 s an epoch, at most 3:20 h to go``.
    """
    path = run_dir / "progress.json"
    if not path.is_file():
        return "no step yet"
    place = json.loads(path.read_text(encoding="utf-8"))
    text = f"epoch {place['epoch'] + 1} of {place['epochs']}, "
    text += f"step {place['batch']} of {place['batches']}"
    seconds = _seconds_per_epoch(run_dir) if running else None
    if seconds is None:
        return text
    done = place["epoch"] + place["batch"] / place["batches"]
    left = (place["epochs"] - done) * seconds - (time.time() - place["time"])
    minutes = max(0, round(left / 60))
    duration = f"{minutes // 60}:{minutes % 60:02} h" if minutes else "a minute"
    return f"{text}, {seconds:.0f} s an epoch, at most {duration} to go"


def _seconds_per_epoch(run_dir: Path) -> float | None:
    """Return the median duration of the last epochs; None before the first one's end."""
    path = run_dir / "history.csv"
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as table:
        seconds = [float(row["seconds"]) for row in csv.DictReader(table) if row.get("seconds")]
    return statistics.median(seconds[-5:]) if seconds else None


def print_status(tags: Sequence[str]) -> None:
    """Print a table of experiments' jobs.

    Args:
        tags: Experiments; empty: all.

    Raises:
        FileNotFoundError: There is no such experiment.
    """
    folders = [experiment_folder(tag) for tag in tags]
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"no experiment {folder}")
    root = experiments_folder()
    everything = {path.parent for name in ("logs", "conf.yml") for path in root.glob(f"*/{name}")}
    rows = [row for folder in folders or sorted(everything) for row in rows_of(folder)]
    if not rows:
        print(f"nothing was submitted or run in {root} yet")
        return
    table = [COLUMNS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[3]]).rstrip())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    text = (
        "Show the jobs of experiments: queued, running and for how long still, finished, failed\n"
    )
    text += "and why. Experiments are looked for in $SELOSS_EXPERIMENTS, by default in experiments."
    parser = make_parser("seloss status", text)
    parser.add_argument("tags", nargs="*", metavar="TAG", help="experiments (default: all)")
    return run_command(parser, lambda args: print_status(args.tags), argv)


if __name__ == "__main__":
    sys.exit(main())
