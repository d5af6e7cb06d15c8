"""How every figure of the project looks, and how it is saved: picture and numbers side by side."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
import pandas as pd
from cycler import cycler
from matplotlib.figure import Figure

from asteroid.utils.files import atomic_path

__all__ = ["COLOURS", "Theme", "figure_style", "save_figure", "svg_bytes"]

Theme = Literal["light", "dark"]

# Told apart by colour-blind readers, on white and on black. Source: Okabe & Ito, Color Universal
# Design, 2008, without its black and its yellow.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_INK = {"light": "#1b1f24", "dark": "#e6e8eb"}


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


def save_figure(figure: Figure, path: Path, numbers: pd.DataFrame) -> Path:
    """Save a figure and, beside it as .csv, the numbers it shows; return the table's path.

    Raises:
        ValueError: the file's ending is not that of a picture.
    """
    kinds = figure.canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in kinds:
        raise ValueError(f"{path} must end in .png, .pdf or .svg")
    table = path.with_suffix(".csv")
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
    with atomic_path(table) as temporary:
        numbers.to_csv(temporary, index=False, float_format="%.6g")
    return table


def svg_bytes(draw: Callable[[], Figure], theme: Theme) -> bytes:
    """Return the figure that `draw` makes as SVG, on a transparent ground."""
    buffer = io.BytesIO()
    with figure_style(theme):
        figure = draw()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()
