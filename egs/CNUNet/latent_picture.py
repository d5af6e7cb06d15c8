"""Latents of several networks in two dimensions, and how far speakers and genders lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asteroid.utils.optional import needed_for
from evaluation.plots.drawing import COLOURS

__all__ = ["draw_latents", "measure", "place"]

LABELS = ("speaker", "gender")
UNKNOWN = "#9aa0a6"
MARKERS = "os^Dv"  # with the six colours thirty speakers can be told apart
PANEL_INCHES = (3.2, 3.4)
MOST_NAMED = 30


def _silhouette(features: np.ndarray, labels: Sequence[str]) -> float:
    """Return the mean silhouette; NaN where there are not 2 groups, or as many as points."""
    with needed_for("a silhouette"):
        from sklearn.metrics import silhouette_score

    if not 2 <= len(set(labels)) < len(labels):
        return float("nan")
    return float(silhouette_score(features, labels))


def measure(features: np.ndarray, points: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each label: its silhouette, over how many points in how many groups.

    Args:
        features: ``(points, features)``.
        points: Columns speaker and gender, empty where it is not known.
    """
    rows = []
    for label in LABELS:
        labelled = points[label].notna().to_numpy()
        labels = [str(name) for name in points[label][labelled]]
        rows.append(
            {
                "label": label,
                "silhouette": _silhouette(features[labelled], labels),
                "points": len(labels),
                "groups": len(set(labels)),
                "unknown": int((~labelled).sum()),
            }
        )
    return pd.DataFrame(rows)


def place(features: np.ndarray, seed: int) -> np.ndarray:
    """Return the picture's coordinates ``(points, 2)``."""
    with needed_for("t-SNE"):
        from sklearn.manifold import TSNE

    # It must be below the number of points, of which a demo has few.
    perplexity = min(30.0, max(2.0, (len(features) - 1) / 3))
    points: np.ndarray = TSNE(perplexity=perplexity, random_state=seed).fit_transform(features)
    return points


def _panel(axes: Axes, points: pd.DataFrame, label: str) -> None:
    strange = points[points[label].isna()]
    if len(strange):
        name = f"not known ({_count(strange)})"
        axes.scatter(strange["x"], strange["y"], s=9, color=UNKNOWN, marker="x", label=name)
    for index, name in enumerate(sorted(points[label].dropna().unique())):
        mine = points[points[label] == name]
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index // len(COLOURS) % 5]
        text = name if label == "speaker" else f"{name} ({_count(mine)})"
        axes.scatter(mine["x"], mine["y"], s=14, color=colour, marker=marker, label=text)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)


def _count(points: pd.DataFrame) -> str:
    talkers = points["speaker"].nunique()
    return f"{talkers} talker{'s' * (talkers != 1)}"


def draw_latents(drawn: Sequence[pd.DataFrame], scores: Sequence[pd.DataFrame]) -> Figure:
    """Draw a panel for each network and label.

    Args:
        drawn: For each network its points: experiment, speaker, gender, x, y.
        scores: For each network what :func:`measure` gives.
    """
    width, height = PANEL_INCHES
    size = (width * len(drawn) + 1.4, height * len(LABELS))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(LABELS), len(drawn), squeeze=False)
    for column, (points, table) in enumerate(zip(drawn, scores, strict=True)):
        for row, score in enumerate(table.itertuples()):
            axes = grid[row][column]
            _panel(axes, points, LABELS[row])
            head = f"{points['experiment'].iloc[0]}\n" if row == 0 else ""
            silhouette: Any = score.silhouette
            value = "none: fewer than 2 groups" if np.isnan(silhouette) else f"{silhouette:.3f}"
            axes.set_title(f"{head}{score.label}, silhouette {value}", fontsize=8)
    for row, label in enumerate(LABELS):
        if drawn[0][label].nunique() <= MOST_NAMED:
            axes = grid[row][-1]
            axes.legend(title=label, fontsize=7, bbox_to_anchor=(1, 1), loc="upper left")
    return figure
