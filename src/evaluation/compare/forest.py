"""Forest plot of differences: a point and its interval per metric, class and pair."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .columns import describe
from .panel import ALL

__all__ = ["forest_plot"]

ROW_INCHES = 0.26
PANEL_INCHES = 3.0
MOST_COLUMNS = 4


def forest_plot(tests: pd.DataFrame, baseline: str) -> Figure:
    """Draw one panel per metric; rows are pairs, and classes or groups where there are any.

    Filled points are significant after correction. An arrow at the axis says which side is better.
    """
    metrics = list(dict.fromkeys(tests["metric"]))
    columns = min(len(metrics), MOST_COLUMNS)
    lines = -(-len(metrics) // columns)  # rounded up
    height = ROW_INCHES * int(tests.groupby("metric").size().max()) + 0.9
    size = (PANEL_INCHES * columns + 1.6, height * lines + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharey=len(metrics) > 1).ravel()
    for place, metric in zip(axes, metrics, strict=False):
        _draw(place, tests[tests["metric"] == metric], str(metric))
    for spare in axes[len(metrics) :]:
        spare.set_visible(False)
    figure.suptitle(f"Differences ({tests['level'].iloc[0]}), baseline {baseline}")
    return figure


def _draw(axes: Axes, part: pd.DataFrame, metric: str) -> None:
    column = describe(metric)
    systems = list(dict.fromkeys(zip(part["system"], part["baseline"], strict=True)))
    rows = np.arange(len(part))
    axes.axvline(0, color="0.6", linewidth=0.8)
    for row, record in zip(rows, part.to_dict("records"), strict=True):
        colour = f"C{systems.index((record['system'], record['baseline'])) % 10}"
        axes.plot([record["ci_low"], record["ci_high"]], [row, row], color=colour)
        fill = colour if record["significant"] else "white"
        axes.plot(record["difference"], row, "o", color=colour, markerfacecolor=fill, markersize=5)
    labels = []
    for record in part.to_dict("records"):
        names = [f"{record['system']} − {record['baseline']}"]  # noqa: RUF001
        names += [str(record[key]) for key in ("class", "group") if set(part[key]) != {ALL}]
        labels.append(", ".join(names))
    axes.set_yticks(rows, labels, fontsize=7)
    axes.set_ylim(len(part) - 0.5, -0.5)  # the first row at the top
    side = "better →" if column.higher_is_better else "← better"
    unit = f" ({column.unit})" if column.unit else ""
    axes.set_title(metric.removesuffix("_out"), fontsize=9)
    axes.set_xlabel(f"difference{unit}, {side}", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(axis="x", alpha=0.3)
