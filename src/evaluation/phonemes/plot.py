"""Plot of a test set by phone class: improvement as a heat map, one metric as bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auditus import get_metric
from evaluation.plots.drawing import draw_cells

__all__ = ["class_figure"]

SIZE_INCHES = (0.85, 0.33)
# Full colour at this much, or at the largest value of the unit if that is more.
STRONG = {"dB": 5.0, "": 0.1}
COLOURS = {"in": "#bbbbbb", "out": "#0072b2"}
LABELS = {"in": "mixture", "out": "enhanced"}


def class_figure(
    utterances: pd.DataFrame, names: Sequence[str], bars: str = "si_sdr"
) -> tuple[Figure, pd.DataFrame]:
    """Draw the plot and return the numbers it shows.

    Classes stand from top to bottom, empty where they have no phone; ``bars`` is the metric on the
    right.

    Returns:
        The plot, and a row per number: phoneme, metric, side, mean, standard_error, utterances.
    """
    keys = [column for column in utterances if "/" in column]
    numbers = _numbers(utterances, names, keys)
    shown = [key for key in keys if key.startswith("delta/")] or keys
    size = (4.6 + SIZE_INCHES[0] * len(shown), 1.3 + SIZE_INCHES[1] * len(names))
    figure = Figure(figsize=size, layout="constrained")
    left, right = figure.subplots(
        1, 2, sharey=True, width_ratios=(max(1.0, SIZE_INCHES[0] * len(shown)), 3)
    )
    _draw_map(left, numbers, names, shown)
    metric = bars if f"out/{bars}" in keys else keys[0].split("/")[1]
    _draw_bars(right, numbers, names, metric)
    return figure, numbers


def _numbers(utterances: pd.DataFrame, names: Sequence[str], keys: Sequence[str]) -> pd.DataFrame:
    rows = []
    for name in names:
        for key in keys:
            side, metric = key.split("/")
            values = utterances.loc[utterances["phoneme"] == name, key].dropna()
            error = values.sem() if len(values) > 1 else np.nan
            rows.append((name, metric, side, values.mean(), error, len(values)))
    columns = ["phoneme", "metric", "side", "mean", "standard_error", "utterances"]
    return pd.DataFrame(rows, columns=columns)


def _column(numbers: pd.DataFrame, names: Sequence[str], key: str, column: str) -> pd.Series:
    side, metric = key.split("/")
    rows = numbers[(numbers["side"] == side) & (numbers["metric"] == metric)]
    return rows.set_index("phoneme")[column].reindex(list(names))


def _draw_map(axes: Axes, numbers: pd.DataFrame, names: Sequence[str], keys: Sequence[str]) -> None:
    """Colour all metrics of a unit by one scale; better is blue."""
    values = np.stack([_column(numbers, names, key, "mean").to_numpy(float) for key in keys], 1)
    metrics = [get_metric(key.split("/")[1]) for key in keys]
    units = np.array([metric.unit for metric in metrics])
    # The full colour of each column: the largest value of its unit.
    largest = np.array(
        [
            np.nanmax(np.abs(values[:, units == unit]), initial=STRONG.get(unit, STRONG[""]))
            for unit in units
        ]
    )
    better = [1 if metric.higher_is_better else -1 for metric in metrics]

    def text(row: int, column: int) -> str:
        value = values[row, column]
        digits = 1 if units[column] == "dB" else 2
        return f"{value:.{digits}f}" if np.isfinite(value) else ""

    labels = [metric.label for metric in metrics]
    table = pd.DataFrame(values / largest * better, list(names), labels)
    draw_cells(axes, table, text, size=7.5, rotation=40, cmap="RdBu", vmin=-1, vmax=1)
    axes.tick_params(length=0)
    gain = keys[0].startswith("delta/")
    axes.set_title("improvement over the mixture" if gain else "mean over utterances")


def _draw_bars(axes: Axes, numbers: pd.DataFrame, names: Sequence[str], metric: str) -> None:
    places = np.arange(len(names))
    scored = set(numbers.loc[numbers["metric"] == metric, "side"])
    sides = [side for side in COLOURS if side in scored]
    height = 0.8 / max(1, len(sides))
    for number, side in enumerate(sides):
        means = _column(numbers, names, f"{side}/{metric}", "mean")
        errors = _column(numbers, names, f"{side}/{metric}", "standard_error").fillna(0)
        at = places + (number - (len(sides) - 1) / 2) * height  # the group is centred on its tick
        axes.barh(at, means, height, xerr=errors, color=COLOURS[side], label=LABELS[side])
    axes.set_xlabel(get_metric(metric).title)
    axes.set_title("mean and standard error over utterances")
    axes.axvline(0, color="black", linewidth=0.6)
    axes.legend(fontsize=7)
