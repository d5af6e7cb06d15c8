"""Figures: one style, drawings with their captions and numbers, saved as picture and table."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asteroid.utils.files import atomic_path
from evaluation.work.tables import write_table

__all__ = [
    "COLOURS",
    "MARKERS",
    "Drawing",
    "Theme",
    "figure_style",
    "octave_ticks",
    "panels",
    "save_drawings",
    "save_figure",
    "svg_bytes",
]

Theme = Literal["light", "dark"]

# Told apart by colour-blind readers, on white and on black. Source: Okabe & Ito, Color Universal
# Design, 2008, without its black and its yellow.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MARKERS = "osD^vP*X"
PANEL_INCHES = (3.3, 2.6)
_INK = {"light": "#1b1f24", "dark": "#e6e8eb"}


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn.

    Attributes:
        name: Of its file.
        draw: Makes the figure in the style of the moment.
        caption: What it shows, in a sentence.
        numbers: What is plotted.
    """

    name: str
    draw: Callable[[], Figure]
    caption: str
    numbers: pd.DataFrame


@contextmanager
def figure_style(theme: Theme = "light") -> Iterator[None]:
    """Draw figures in the project's style while this lasts."""
    ink = _INK[theme]
    settings: Any = {
        "axes.axisbelow": True,
        "axes.edgecolor": ink,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": ink,
        "axes.prop_cycle": cycler(color=COLOURS),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": ink,
        "figure.facecolor": "white" if theme == "light" else "none",
        "figure.dpi": 100,
        "font.size": 9,
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "lines.markersize": 4,
        "savefig.dpi": 150,
        "svg.fonttype": "none",  # text stays text: small files, readable by machines
        "svg.hashsalt": "seloss",  # the same figure gives the same bytes
        "text.color": ink,
        "xtick.color": ink,
        "ytick.color": ink,
    }
    with matplotlib.rc_context(settings):
        yield


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


def octave_ticks(axes: Axes, frequencies: pd.Series) -> None:
    """Label a logarithmic frequency axis at octaves."""
    ticks = [125 * 2**octave for octave in range(9)]
    ticks = [tick for tick in ticks if frequencies.min() * 0.8 <= tick <= frequencies.max() * 1.2]
    axes.set_xticks(ticks, [f"{tick / 1000:g}k" if tick >= 1000 else str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("frequency (Hz)")


def save_figure(figure: Figure, path: Path, numbers: pd.DataFrame) -> Path:
    """Save a figure and, beside it as .csv, the numbers it shows; return the table's path.

    Raises:
        ValueError: The file's ending is not that of a picture.
    """
    if path.suffix.lstrip(".").lower() not in figure.canvas.get_supported_filetypes():
        raise ValueError(f"{path} must end in .png, .pdf or .svg")
    table = path.with_suffix(".csv")
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
    write_table(table, numbers)
    return table


def save_drawings(drawings: Iterable[Drawing], folder: Path) -> None:
    """Save drawings as ``<name>.png`` in a folder, each with its numbers."""
    with figure_style():
        for drawing in drawings:
            save_figure(drawing.draw(), folder / f"{drawing.name}.png", drawing.numbers)


def svg_bytes(draw: Callable[[], Figure], theme: Theme) -> bytes:
    """Return the figure that ``draw`` makes as SVG, on a transparent ground."""
    buffer = io.BytesIO()
    with figure_style(theme):
        figure = draw()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()
