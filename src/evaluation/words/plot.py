"""Plot of the confusions of phone classes: one matrix per signal."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from evaluation.plots.drawing import draw_cells

from .errors import DELETED, INSERTED

__all__ = ["confusion_figure"]

CELL_INCHES = 0.36


def confusion_figure(table: pd.DataFrame, title: str) -> Figure:
    """Draw the share of each spoken class that was recognised as each class, in percent.

    The row of insertions has no spoken class: it shows which classes they are.
    """
    signals = list(dict.fromkeys(table["signal"]))
    labels = dict.fromkeys([*table["said"], *table["heard"]])
    names = [name for name in labels if name not in (DELETED, INSERTED)]
    size = CELL_INCHES * (len(names) + 1)
    figure = Figure(figsize=((size + 0.4) * len(signals) + 1.6, size + 1.6), layout="constrained")
    axes = figure.subplots(1, len(signals), squeeze=False, sharey=True)[0]
    for place, signal in zip(axes, signals, strict=True):
        part = table[table["signal"] == signal]
        matrix = part.pivot_table("share", "said", "heard", fill_value=0.0)
        matrix = matrix.reindex(index=[*names, INSERTED], columns=[*names, DELETED], fill_value=0.0)

        def text(row: int, column: int, matrix: pd.DataFrame = matrix) -> str:
            percent = f"{100 * matrix.iat[row, column]:.0f}"
            return "" if percent == "0" else percent

        draw_cells(place, matrix, text, size=6.5, rotation=90, cmap="Blues", vmin=0, vmax=1)
        place.set(title=signal, xlabel="recognised as (%)")
    axes[0].set_ylabel("spoken")
    figure.suptitle(title)
    return figure
