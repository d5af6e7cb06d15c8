"""Plots of spectra: levels and ratios over frequency."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from evaluation.plots.drawing import MARKERS, Drawing, octave_ticks, panels

from .bands import ALL

__all__ = ["average_spectra", "band_ratios", "class_ratios"]

MIXTURE = "mixture"
_STYLES = {"speech": "-", "noise": "--", "artefact": ":"}
_RATIOS = {"sdr_db": "SDR", "sir_db": "SIR", "sar_db": "SAR"}
_NOMINAL = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
_FLOOR_DB = -80.0  # lower levels are of no interest and would only stretch the axis


def average_spectra(table: pd.DataFrame) -> Drawing:
    """Draw long-term average spectra of speech, residual noise and artefacts, system by system."""
    numbers = table[table["class"] == ALL].reset_index(drop=True)

    def draw() -> Figure:
        names = list(dict.fromkeys(numbers["system"]))
        figure, axes = panels(len(names))
        for place, name in zip(axes, names, strict=True):
            part = numbers[numbers["system"] == name]
            for signal, style in _STYLES.items():
                level = part[f"{signal}_db"]
                if (level > _FLOOR_DB).any():
                    place.semilogx(part["centre_hz"], level, style, label=signal)
            place.set(title=name, ylabel="level (dB re. speech)", ylim=(_FLOOR_DB, 0))
            octave_ticks(place, part["centre_hz"])
            place.legend()
        return figure

    caption = (
        "Long-term average spectra of speech, residual noise and artefacts in the estimate, in "
        "one-third-octave bands, relative to the speech's energy."
    )
    return Drawing("average_spectra", draw, caption, numbers)


def band_ratios(table: pd.DataFrame) -> Drawing:
    """Draw SDR, SIR and SAR over frequency, one line per system."""
    numbers = table[table["class"] == ALL].reset_index(drop=True)

    def draw() -> Figure:
        figure, axes = panels(len(_RATIOS))
        for place, (column, label) in zip(axes, _RATIOS.items(), strict=True):
            groups = numbers.dropna(subset=[column]).groupby("system", sort=False)
            for index, (name, part) in enumerate(groups):
                marker = MARKERS[index % len(MARKERS)]
                grey = {"color": "gray", "linestyle": "--"} if name == MIXTURE else {}
                place.semilogx(part["centre_hz"], part[column], marker=marker, label=name, **grey)
            place.set(title=label, ylabel=f"{label} (dB)")
            octave_ticks(place, numbers["centre_hz"])
        axes[0].legend()
        return figure

    caption = (
        "Speech against noise and artefacts (SDR), noise (SIR), artefacts (SAR), band by band."
    )
    return Drawing("band_ratios", draw, caption, numbers)


def class_ratios(table: pd.DataFrame) -> list[Drawing]:
    """Draw SDR, SIR and SAR of each phoneme class over frequency, a panel per system."""
    part = table[table["class"] != ALL]
    if part.empty:
        return []
    return [_class_ratio(part, column, label) for column, label in _RATIOS.items()]


def _class_ratio(table: pd.DataFrame, column: str, label: str) -> Drawing:
    numbers = table[["system", "class", "centre_hz", column]].reset_index(drop=True)

    def draw() -> Figure:
        defined = numbers.dropna(subset=[column])
        names = list(dict.fromkeys(defined["system"]))
        figure, axes = panels(len(names), columns=2)
        figure.set_size_inches(4.5 * min(2, len(names)), 3.4 * -(-len(names) // 2))
        low, high = np.nanpercentile(defined[column], [2, 98])  # a few cells are far off
        for place, name in zip(axes, names, strict=True):
            grid = defined[defined["system"] == name].pivot_table(
                column, "class", "centre_hz", sort=False
            )
            grid = grid.sort_index(axis="columns")
            image = place.imshow(grid, aspect="auto", cmap="viridis", vmin=low, vmax=high)
            every = range(0, grid.shape[1], 3)  # three bands are an octave
            place.set_xticks(every, [_nominal(grid.columns[index]) for index in every])
            place.set_yticks(range(len(grid)), list(grid.index))
            place.grid(visible=False)
            place.set(title=name, xlabel="frequency (Hz)")
        figure.colorbar(image, ax=axes, label=f"{label} (dB)")
        return figure

    caption = f"{label} of each phoneme class in each band; the colours end at the 2nd and 98th "
    return Drawing(f"class_ratios_{label.lower()}", draw, caption + "percentile.", numbers)


def _nominal(frequency: float) -> str:
    """Return the name of a one-third-octave band, its rounded centre. Source: IEC 61260-1."""
    # 0.05: a centre of 99 or 990 Hz is one of the next decade
    power = 10.0 ** np.floor(np.log10(frequency) + 0.05)
    leading = min(_NOMINAL, key=lambda nominal: abs(np.log(nominal * power / frequency)))
    value = leading * power
    return f"{value:g}" if value < 1000 else f"{value / 1000:g}k"
