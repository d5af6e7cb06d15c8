"""Figure of the confusions of phone classes: one matrix per signal."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .errors import DELETED, INSERTED

__all__ = ["confusion_figure"]

CELL_INCHES = 0.36
# Light numbers on dark cells from this share on.
DARK = 0.55


def confusion_figure(table: pd.DataFrame, title: str) -> Figure:
    """Draw the share of each class that was heard as each other, in percent of what was said.

    The row of insertions has no such base: it shows how they share out.

    Args:
        table: See ``errors.confusions``.
        title: Above all matrices.
    """
    signals = list(dict.fromkeys(table["signal"]))
    labels = dict.fromkeys([*table["said"], *table["heard"]])
    names = [name for name in labels if name not in (DELETED, INSERTED)]
    size = CELL_INCHES * (len(names) + 1)
    figure = Figure(figsize=((size + 0.4) * len(signals) + 1.6, size + 1.6), layout="constrained")
    axes = figure.subplots(1, len(signals), squeeze=False, sharey=True)[0]
    for place, signal in zip(axes, signals, strict=True):
        part = table[table["signal"] == signal]
        _draw(place, part, [*names, INSERTED], [*names, DELETED])
        place.set_title(signal)
    axes[0].set_ylabel("said")
    figure.suptitle(title)
    return figure


def _draw(axes: Axes, part: pd.DataFrame, rows: list[str], columns: list[str]) -> None:
    matrix = np.zeros((len(rows), len(columns)))
    for record in part.to_dict("records"):
        matrix[rows.index(record["said"]), columns.index(record["heard"])] = record["share"]
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    for row, column in zip(*np.nonzero(matrix >= 0.005), strict=True):
        share = matrix[row, column]
        colour = "white" if share > DARK else "black"
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, size=6)
    axes.set_xticks(range(len(columns)), columns, rotation=90, size=7)
    axes.set_yticks(range(len(rows)), rows, size=7)
    axes.set_xlabel("heard (%)")
