"""Style of plots, plots with their captions and numbers, saved as picture and table."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from asteroid.utils.files import atomic_path
from evaluation.work.tables import write_table

__all__ = [
    "COLOURS",
    "MARKERS",
    "Drawing",
    "Theme",
    "draw_cells",
    "figure_style",
    "history_values",
    "octave_ticks",
    "panels",
    "save_drawings",
    "save_figure",
    "svg_bytes",
]

Theme = Literal["light", "dark"]

# Distinct to colour-blind readers, on white and on black. Source: Okabe & Ito, Color Universal
# Design, 2008, without its black and its yellow.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MARKERS = "osD^vP*X"
PANEL_INCHES = (3.3, 2.6)
_INK = {"light": "#1b1f24", "dark": "#e6e8eb"}
# A cell whose luminance is below this has white text.
DARK = 0.55


@dataclass(frozen=True)
class Drawing:
    """A plot: its file's name, how it is drawn, its caption, and the numbers it shows."""

    name: str
    draw: Callable[[], Figure]
    caption: str
    numbers: pd.DataFrame


@contextmanager
def figure_style(theme: Theme = "light") -> Iterator[None]:
    """Draw in the project's style while this lasts."""
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
    """Return a figure with ``count`` axes, at most ``columns`` in a row."""
    columns = min(columns, count)
    rows = -(-count // columns)  # rounded up
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place in axes[count:]:
        place.remove()
    return figure, axes[:count]


def draw_cells(
    axes: Axes,
    table: pd.DataFrame,
    text: Callable[[int, int], str],
    *,
    size: float = 9.0,
    rotation: float = 0.0,
    **style: Any,
) -> AxesImage:
    """Draw a table in colours, with a text in each cell, white where the cell is dark.

    ``text`` takes row and column; ``size`` is that of all text in points, ``rotation`` that of the
    columns' names in degrees; the rest goes to ``imshow``.
    """
    values = table.to_numpy(float)
    image = axes.imshow(np.ma.masked_invalid(values), aspect="auto", **style)
    axes.grid(visible=False)
    side = "right" if 0 < rotation < 90 else "center"
    columns = [str(name) for name in table.columns]
    axes.set_xticks(range(len(columns)), columns, rotation=rotation, ha=side, fontsize=size)
    axes.set_yticks(range(len(table)), [str(name) for name in table.index], fontsize=size)
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value))
        # Luminance as the eye weighs the primaries, roughly.
        dark = np.isfinite(value) and 0.3 * red + 0.6 * green + 0.1 * blue < DARK
        colour = "white" if dark else "black"
        label = axes.text(column, row, text(row, column), color=colour, fontsize=size)
        label.set(ha="center", va="center")
    return image


def octave_ticks(axes: Axes, frequencies: pd.Series) -> None:
    """Label a logarithmic frequency axis at octaves."""
    ticks = [125 * 2**octave for octave in range(9)]
    ticks = [tick for tick in ticks if frequencies.min() * 0.8 <= tick <= frequencies.max() * 1.2]
    axes.set_xticks(ticks, [f"{tick / 1000:g}k" if tick >= 1000 else str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("frequency (Hz)")


def history_values(system: str, history: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return some columns of a training's history, one value per row: system, quantity, epoch."""
    long = history.melt("epoch", columns, "quantity", "value").dropna(subset=["value"])
    return long.assign(system=system)[["system", "quantity", "epoch", "value"]]


def save_figure(figure: Figure, path: Path, numbers: pd.DataFrame) -> Path:
    """Save a plot and, beside it as .csv, the numbers it shows; return the table's path.

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
    """Return the plot that ``draw`` makes as SVG, on a transparent ground."""
    buffer = io.BytesIO()
    with figure_style(theme):
        figure = draw()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()
