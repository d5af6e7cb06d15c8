"""A figure that can be drawn in any theme, with its caption and the numbers it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["MARKERS", "Drawing", "panels"]

PANEL_INCHES = (3.3, 2.6)
MARKERS = "osD^vP*X"


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn.

    Attributes:
        name: of its file.
        draw: makes the figure in the style of the moment.
        caption: what it shows, in a sentence.
        numbers: what is plotted.
    """

    name: str
    draw: Callable[[], Figure]
    caption: str
    numbers: pd.DataFrame


def panels(count: int, *, columns: int = 3) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many axes, a few in a row."""
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place in axes[count:]:
        place.remove()
    return figure, axes[:count]
