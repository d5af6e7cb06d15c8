"""Learning curves of a run: the table of every batch's loss and the picture."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from asteroid.utils.files import atomic_path, write_text

__all__ = ["LOSS_PART", "Row", "draw_curves", "read_curves", "smooth", "write_csv"]

# What is logged of the parts of a sum of losses.
LOSS_PART = re.compile(r"train/(loss_(?!step)|weighted_|grad_share_)|val/(loss_|weighted_)")
Row = tuple[int, int, float, float]
"""Epoch, batch, position in epochs, and loss."""


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table in one step."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_curves(table: Path) -> list[Row]:
    """Return the rows of a table of losses; none if there is no such file."""
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [(int(e), int(b), float(at), float(loss)) for e, b, at, loss in rows]


def smooth(values: list[float], span: float) -> list[float]:
    """Return the exponential mean of a sequence, which starts at its first value.

    Args:
        values: The sequence; those that are not finite are passed over.
        span: Over about how many values; 1 changes nothing.

    >>> smooth([1.0, 1.0, 1.0], 5)
    [1.0, 1.0, 1.0]
    >>> smooth([4.0, 0.0], 1)
    [4.0, 0.0]
    """
    # The weights of a mean over ``span`` values have the same centre of mass at this decay.
    decay, total, weight = 1 - 2 / (span + 1), 0.0, 0.0
    means = []
    for value in values:
        if math.isfinite(value):
            total, weight = decay * total + value, decay * weight + 1
        means.append(total / weight if weight else math.nan)
    return means


def draw_curves(
    path: Path, losses: list[Row], scores: dict[str, list[tuple[float, float]]]
) -> None:
    """Write a picture: the loss of each batch with a smoothed line, validation as points.

    Args:
        path: The PNG file, written in one step.
        losses: Epoch, batch, position (in epochs) and loss of each training batch.
        scores: Name, such as ``val/loss`` -> position and value of each epoch. Parts of a sum of
            losses are left out; every metric has a panel of its own.
    """
    from matplotlib.figure import Figure

    metrics = [name for name in sorted(scores) if name != "val/loss" and not LOSS_PART.match(name)]
    figure = Figure(figsize=(8, 2.6 * (1 + len(metrics))), layout="constrained")
    axes = figure.subplots(1 + len(metrics), 1, sharex=True, squeeze=False)[:, 0]
    positions, values = [row[2] for row in losses], [row[3] for row in losses]
    # Positions are in epochs, so the last one says how many there were.
    per_epoch = len(losses) / max(1.0, positions[-1] if positions else 1.0)
    batches = {"color": "tab:blue", "alpha": 0.3, "linewidth": 0.6, "label": "training batches"}
    axes[0].plot(positions, values, **batches)
    means = smooth(values, max(1.0, per_epoch / 2))
    axes[0].plot(positions, means, color="tab:blue", linewidth=1.4, label="smoothed")
    for axis, name in zip(axes, ["val/loss", *metrics], strict=True):
        points = scores.get(name, [])
        where, heights = [p[0] for p in points], [p[1] for p in points]
        axis.plot(where, heights, "o-", color="tab:red", markersize=3, label="validation")
        axis.set_ylabel(name.removeprefix("val/"))
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    axes[-1].set_xlabel("epoch")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
