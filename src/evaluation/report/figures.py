"""Plots of the report, each with the numbers it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from auditus import METRICS
from evaluation.compare.columns import ScoreColumn
from evaluation.plots.drawing import MARKERS, Drawing, draw_cells, history_values, panels
from evaluation.score.columns import grouping
from evaluation.work.tables import DASH

from .listening import MIXTURE, ScoreTable

__all__ = ["by_condition", "distributions", "heat_map", "learning_curves"]

INTERVAL_SIGMAS = 1.96  # a normal 95 % interval of a mean


def learning_curves(histories: Mapping[str, pd.DataFrame]) -> Drawing | None:
    """Draw training and validation loss and the validation metrics of each system over epochs.

    Losses have a panel per system, because those of different kinds do not share an axis.
    """
    rows = []
    for system, history in histories.items():
        columns = [name for name in history if name == "train/loss" or name.startswith("val/")]
        rows.append(history_values(system, history, columns))
    if not rows:
        return None
    numbers = pd.concat(rows, ignore_index=True)
    shared = sorted({name for name in numbers["quantity"] if name.startswith("val/")})
    shared = [name for name in shared if not name.startswith("val/loss")]

    def draw() -> Figure:
        figure, axes = panels(len(histories) + len(shared))
        for place, (system, part) in zip(axes, numbers.groupby("system", sort=False), strict=False):
            for name, style in (("train/loss", "--"), ("val/loss", "-")):
                curve = part[part["quantity"] == name]
                if len(curve):
                    place.plot(curve["epoch"], curve["value"], style, marker=".", label=name)
            place.set(title=f"loss of {system}", xlabel="epoch", ylabel="loss")
            place.legend()
        for place, name in zip(axes[len(histories) :], shared, strict=True):
            for system, part in numbers[numbers["quantity"] == name].groupby("system", sort=False):
                place.plot(part["epoch"], part["value"], marker=".", label=system)
            metric = name.removeprefix("val/")
            label = METRICS.get(metric).title if metric in METRICS.names() else metric
            place.set(title=name, xlabel="epoch", ylabel=label)
            place.legend()
        for place in axes:
            place.xaxis.set_major_locator(MaxNLocator(integer=True))
        return figure

    caption = "Losses and validation metrics after each epoch of training."
    return Drawing("learning_curves", draw, caption, numbers)


def distributions(tables: Sequence[ScoreTable]) -> Drawing:
    """Draw how each metric is spread over the utterances, per signal."""
    numbers = pd.concat(
        [
            table.scores.rename_axis("id")
            .reset_index()
            .melt("id", var_name="signal", value_name="value")
            .assign(metric=table.label)
            for table in tables
        ],
        ignore_index=True,
    )

    def draw() -> Figure:
        figure, axes = panels(len(tables))
        for place, table in zip(axes, tables, strict=True):
            names = list(table.scores)
            values = [table.scores[name].dropna().to_numpy() for name in names]
            for row, dots in enumerate(values):
                # Spread up and down, so that equal values can be seen.
                jitter = np.random.default_rng(row).uniform(-0.18, 0.18, len(dots))
                place.plot(dots, row + jitter, ".", alpha=0.45, markersize=3)
            place.boxplot(
                values,
                positions=range(len(names)),
                orientation="horizontal",
                showfliers=False,
                medianprops={"color": "C1", "linewidth": 2},
            )
            place.set_yticks(range(len(names)), names)
            place.invert_yaxis()
            better = "higher" if table.higher_is_better else "lower"
            place.set(title=f"{table.label} ({better} is better)", xlabel=table.unit or table.label)
        return figure

    caption = (
        "Each dot is an utterance; boxes from quartile to quartile, a line at the median, whiskers "
        "to 1.5 times the box."
    )
    return Drawing("distributions", draw, caption, numbers)


def by_condition(
    tables: Sequence[ScoreTable], samples: pd.DataFrame, column: str, label: str
) -> Drawing | None:
    """Draw mean improvements over the mixture, with 95 % intervals, by a column of the samples.

    Metrics without a score of the mixture are left out; ``samples`` are by id.
    """
    if column not in samples or samples[column].dropna().empty:
        return None
    groups = grouping(samples[column])
    rows = []
    for table in (table for table in tables if MIXTURE in table.scores):
        gains = table.scores.drop(columns=MIXTURE).sub(table.scores[MIXTURE], axis=0)
        for system in gains:
            for group, part in gains[system].dropna().groupby(groups, sort=True, observed=True):
                row = {"metric": table.label, "unit": table.unit, "system": system, column: group}
                half_width = INTERVAL_SIGMAS * part.std() / np.sqrt(len(part))
                row |= {"improvement": part.mean(), "half_width": half_width, "n": len(part)}
                rows.append(row)
    if not rows:
        return None
    numbers = pd.DataFrame(rows)

    def draw() -> Figure:
        metrics = list(dict.fromkeys(numbers["metric"]))
        figure, axes = panels(len(metrics))
        for place, metric in zip(axes, metrics, strict=True):
            shown = numbers[numbers["metric"] == metric]
            names = list(dict.fromkeys(shown[column]))
            for index, (system, part) in enumerate(shown.groupby("system", sort=False)):
                centre = np.array([names.index(name) for name in part[column]])
                place.errorbar(
                    centre + 0.08 * index,  # side by side, so that intervals do not overlap
                    part["improvement"],
                    part["half_width"].fillna(0.0),
                    marker=MARKERS[index % len(MARKERS)],
                    linestyle="-" if column == "snr_db" else "none",
                    capsize=2,
                    label=system,
                )
            place.axhline(0, color="gray", linewidth=0.8)
            place.set_xticks(range(len(names)), [str(name) for name in names])
            place.tick_params(axis="x", rotation=0 if len(names) < 5 else 60)
            unit = shown["unit"].iloc[0]
            place.set(title=f"Δ {metric}", xlabel=label, ylabel=unit if unit else "improvement")
        axes[0].legend()
        return figure

    caption = f"Mean improvement over the unprocessed mixture by {label}, with 95 % intervals."
    return Drawing(f"improvement_by_{column}", draw, caption, numbers)


def heat_map(
    values: pd.DataFrame, marks: pd.DataFrame, column: ScoreColumn, *, caption: str
) -> Drawing:
    """Draw a table of differences in colours, each with its number and a star where marked.

    ``values`` and ``marks`` are class x system.
    """
    numbers = values.rename_axis("class").reset_index().melt("class", var_name="system")
    starred = marks.rename_axis("class").reset_index().melt("class", value_name="significant")
    numbers["significant"] = starred["significant"].to_numpy()

    def draw() -> Figure:
        rows, columns = values.shape
        figure = Figure(figsize=(2.4 + 1.1 * columns, 1.2 + 0.27 * rows), layout="constrained")
        axes = figure.subplots()
        widest = np.nanmax(np.abs(values.to_numpy()), initial=1e-9)

        def text(row: int, place: int) -> str:
            value, star = values.iat[row, place], "*" if marks.iat[row, place] else ""
            return f"{value:+.{column.decimals}f}{star}" if np.isfinite(value) else DASH

        image = draw_cells(axes, values, text, cmap="PuOr_r", vmin=-widest, vmax=widest)
        axes.set_title(column.name.removesuffix("_out"))
        unit = f" ({column.unit})" if column.unit else ""
        side = "positive" if column.higher_is_better else "negative"
        figure.colorbar(image, ax=axes, label=f"difference{unit}, {side}: better")
        return figure

    name = f"phonemes_{column.name.replace('/', '_')}"
    return Drawing(name, draw, caption, numbers)
