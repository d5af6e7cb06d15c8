"""Figure of a test set by class of phone: improvement as a heat map, one metric as bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auditus import get_metric

__all__ = ["class_figure"]

SIZE_INCHES = (0.85, 0.33)
# Full colour at this much, or at the largest value of the unit if that is more.
STRONG = {"dB": 5.0, "": 0.1}
COLOURS = {"in": "#bbbbbb", "out": "#0072b2"}
LABELS = {"in": "mixture", "out": "enhanced"}


def class_figure(
    utterances: pd.DataFrame, names: Sequence[str], bars: str = "si_sdr"
) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure and return the numbers it shows.

    Args:
        utterances: One row per utterance and class, values by key; see ``tables``.
        names: Classes from top to bottom; those without a phone stay empty.
        bars: The metric of the bars.

    Returns:
        The figure, and a row per number: phoneme, metric, side, mean, standard_error, utterances.
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
        mine = utterances[utterances["phoneme"] == name]
        for key in keys:
            side, metric = key.split("/")
            values = mine[key].dropna()
            rows.append(
                {
                    "phoneme": name,
                    "metric": metric,
                    "side": side,
                    "mean": values.mean(),
                    "standard_error": values.sem() if len(values) > 1 else np.nan,
                    "utterances": len(values),
                }
            )
    return pd.DataFrame(rows)


def _column(numbers: pd.DataFrame, names: Sequence[str], key: str, what: str) -> pd.Series:
    side, metric = key.split("/")
    rows = numbers[(numbers["side"] == side) & (numbers["metric"] == metric)]
    return rows.set_index("phoneme")[what].reindex(list(names))


def _draw_map(axes: Axes, numbers: pd.DataFrame, names: Sequence[str], keys: Sequence[str]) -> None:
    """Colour all metrics of a unit by one scale; better is blue."""
    values = np.stack([_column(numbers, names, key, "mean").to_numpy(float) for key in keys], 1)
    metrics = [get_metric(key.split("/")[1]) for key in keys]
    units = np.array([metric.unit for metric in metrics])
    largest = np.array(
        [
            np.nanmax(np.abs(values[:, units == unit]), initial=STRONG.get(unit, STRONG[""]))
            for unit in units
        ]
    )
    better = [1 if metric.higher_is_better else -1 for metric in metrics]
    axes.imshow(values / largest * better, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        dark = abs(value / largest[column]) > 0.6
        text = f"{value:.1f}" if units[column] == "dB" else f"{value:.2f}"
        colour = "white" if dark else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    labels = [metric.label for metric in metrics]
    axes.set_xticks(range(len(keys)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    gain = keys[0].startswith("delta/")
    axes.set_title("improvement over the mixture" if gain else "mean over utterances")


def _draw_bars(axes: Axes, numbers: pd.DataFrame, names: Sequence[str], metric: str) -> None:
    places = np.arange(len(names))
    sides = [
        side for side in COLOURS if side in set(numbers.loc[numbers["metric"] == metric, "side"])
    ]
    height = 0.8 / max(1, len(sides))
    for number, side in enumerate(sides):
        means = _column(numbers, names, f"{side}/{metric}", "mean")
        errors = _column(numbers, names, f"{side}/{metric}", "standard_error").fillna(0)
        at = places + (number - (len(sides) - 1) / 2) * height  # the group is centred on its tick
        axes.barh(at, means, height, xerr=errors, color=COLOURS[side], label=LABELS[side])
    label, unit = get_metric(metric).label, get_metric(metric).unit
    axes.set_xlabel(f"{label} ({unit})" if unit else label)
    axes.set_title("mean and standard error over utterances")
    axes.axvline(0, color="black", linewidth=0.6)
    axes.legend(fontsize=7)
