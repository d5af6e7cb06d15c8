"""Say of each experiment's jobs what has become of them, and when a training will be done."""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import time
from pathlib import Path

from jobs import State, find_state, reason

COLUMNS = ("experiment", "job", "state", "")


def rows_of(run_dir: Path) -> list[tuple[str, ...]]:
    """Return a row for each of an experiment's jobs."""
    logs = run_dir / "logs"
    names = sorted({p.stem for kind in ("state", "jobs") for p in logs.glob(f"*.{kind}")})
    rows: list[tuple[str, ...]] = []
    for name in names:
        state = find_state(run_dir, name)
        if state.kind == "running" and name == "train":
            told = "; ".join(part for part in (training_progress(run_dir), state.detail) if part)
        elif state.kind == "failed":
            told = f"{state.detail}: {reason(run_dir, name, state.job)}".rstrip(": ")
        else:
            told = state.detail or _when(state)
        number = f"{name} {state.job}" if state.job else name
        rows.append((run_dir.name, number, state.kind, told))
    return rows


def training_progress(run_dir: Path, now: float | None = None) -> str:
    """Return the epoch and the time left, as `epoch 3 of 200, step 7 of 50, done in 5:30 h`."""
    path = run_dir / "progress.json"
    if not path.is_file():
        return "no step yet"
    place = json.loads(path.read_text(encoding="utf-8"))
    text = f"epoch {place['epoch'] + 1} of {place['epochs']}, "
    text += f"step {place['batch']} of {place['batches']}"
    seconds = _seconds_per_epoch(run_dir)
    if seconds is None:
        return text
    done = place["epoch"] + place["batch"] / place["batches"]
    passed = (time.time() if now is None else now) - place["time"]
    left = max(0.0, (place["epochs"] - done) * seconds - passed)
    return f"{text}, {seconds:.0f} s an epoch, at most {_duration(left)} to go"


def _seconds_per_epoch(run_dir: Path) -> float | None:
    """Return the middle duration of the last epochs; None before the first one's end."""
    path = run_dir / "history.csv"
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as table:
        seconds = [float(row["seconds"]) for row in csv.DictReader(table) if row.get("seconds")]
    return statistics.median(seconds[-5:]) if seconds else None


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02} h" if minutes else "a minute"


def _when(state: State) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(state.time)) if state.time else ""


def main() -> int:
    """Run the program; return its exit status."""
    parser = argparse.ArgumentParser(prog="status.py", description=__doc__)
    parser.add_argument("root", type=Path, help="folder of the experiments")
    parser.add_argument("tags", nargs="*", help="experiments (default: all)")
    args = parser.parse_args()
    folders = [args.root / tag for tag in args.tags]
    folders = folders or sorted(p.parent for p in args.root.glob("*/logs"))
    rows = [row for folder in folders for row in rows_of(folder)]
    if not rows:
        print("nothing was submitted or run here yet")
        return 0
    table = [COLUMNS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[3]]).rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
