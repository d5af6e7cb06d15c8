"""Plot of the table noise type x SNR: one panel per metric, one cell per group."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auditus.metric import Metric

from .columns import CROSSED

__all__ = ["draw_groups"]

PANEL_INCHES = (3.4, 2.4)
MOST_COLUMNS = 4
# Where a cell's colour is darker than this share of the range its text is white.
DARK = 0.55
# Means that differ by less than this share of their size are shown alike.
LEAST_SPAN = 0.02


def draw_groups(summary: pd.DataFrame, columns: Mapping[str, Metric]) -> Figure:
    """Draw means of metrics; good is bright, in each panel by itself.

    Args:
        summary: the crossed table of `group_tables`.
        columns: the metric of each column to draw.
    """
    across = min(MOST_COLUMNS, len(columns))
    down = math.ceil(len(columns) / across)
    rows, cells = (list(summary[name].cat.categories) for name in CROSSED)
    width = PANEL_INCHES[0] + 0.35 * max(0, len(cells) - 5)
    height = PANEL_INCHES[1] + 0.3 * max(0, len(rows) - 4)
    figure = Figure(figsize=(width * across, height * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(columns) :]:
        axes.set_axis_off()
    for axes, (column, metric) in zip(grid.flat, columns.items(), strict=False):
        part = summary[summary["Metric"] == column]
        means, counts = (
            part.pivot(index=CROSSED[0], columns=CROSSED[1], values=value).reindex(rows)[cells]
            for value in ("Mean", "Scored")
        )
        _draw_panel(axes, means, counts, higher_is_better=metric.higher_is_better)
        unit = f" ({metric.unit})" if metric.unit else ""
        better = "higher" if metric.higher_is_better else "lower"
        axes.set_title(f"{column}{unit}\n{better} is better", fontsize=8)
    return figure


def _draw_panel(
    axes: Axes, means: pd.DataFrame, counts: pd.DataFrame, *, higher_is_better: bool
) -> None:
    values = means.to_numpy(float)
    colours = "viridis" if higher_is_better else "viridis_r"
    low, high = _colour_range(values)
    shown = np.ma.masked_invalid(values)
    image = axes.imshow(shown, cmap=colours, aspect="auto", vmin=low, vmax=high)
    axes.grid(visible=False)
    axes.set_xticks(range(means.shape[1]), means.columns, rotation=30, ha="right", fontsize=7)
    axes.set_yticks(range(means.shape[0]), means.index, fontsize=7)
    axes.set_xlabel("SNR (dB)", fontsize=7)
    for (row, column), value in np.ndenumerate(values):
        count = counts.to_numpy()[row, column]
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            light = 0.3 * red + 0.6 * green + 0.1 * blue
            text, colour = f"{value:.3g}\nn={count:.0f}", "black" if light > DARK else "white"
        else:
            text, colour = "–" if np.isnan(count) else "none\nscored", "black"  # noqa: RUF001
        axes.text(column, row, text, ha="center", va="center", fontsize=6, color=colour)


def _colour_range(values: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest value, apart enough that like cells look alike."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    middle = (known.max() + known.min()) / 2
    half = max(known.max() - known.min(), LEAST_SPAN * np.abs(known).max(), 1e-12) / 2
    return float(middle - half), float(middle + half)
