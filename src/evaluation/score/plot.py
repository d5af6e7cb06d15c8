"""Plot of the table noise type x SNR: one panel per metric, one cell per group."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auditus.metric import Metric
from evaluation.plots.drawing import draw_cells
from evaluation.work.tables import DASH

from .columns import CROSSED

__all__ = ["draw_groups"]

PANEL_INCHES = (3.4, 2.4)
MOST_COLUMNS = 4
# Means that differ by less than this share of their size are shown alike.
LEAST_SPAN = 0.02


def draw_groups(summary: pd.DataFrame, columns: Mapping[str, Metric]) -> Figure:
    """Draw means of metrics; good is bright, in each panel by itself.

    ``summary`` is the crossed table of ``group_tables``.
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
    def text(row: int, column: int) -> str:
        value, count = means.iat[row, column], counts.iat[row, column]
        if np.isfinite(value):
            return f"{value:.3g}\nn={count:.0f}"
        return DASH if np.isnan(count) else "none\nscored"

    values = means.to_numpy(float)
    values = values[np.isfinite(values)] if np.isfinite(values).any() else np.array([0.0, 1.0])
    # Wide enough that means which hardly differ look alike.
    middle = (values.max() + values.min()) / 2
    half = max(np.ptp(values), LEAST_SPAN * np.abs(values).max(), 1e-12) / 2
    draw_cells(
        axes,
        means,
        text,
        size=6.5,
        rotation=30,
        cmap="viridis" if higher_is_better else "viridis_r",
        vmin=middle - half,
        vmax=middle + half,
    )
    axes.set_xlabel("SNR (dB)", fontsize=7)
