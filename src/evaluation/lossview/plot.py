"""Plots of losses: values and gradients, maps over time and frequency, spectra, classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.phonemes.classes import read_classes
from evaluation.plots.drawing import MARKERS, Drawing, octave_ticks, panels
from evaluation.spectra.bands import ALL

from .cells import CellMap
from .examples import Example

__all__ = ["cells_drawing", "class_drawing", "probes_drawing", "spectrum_drawing"]

LOWEST_DB = -50.0
_SPECIAL = ("start", "special")


def probes_drawing(probes: pd.DataFrame) -> Drawing:
    """Draw value, fall per dB and gradient over SNR, value over level, gradient elsewhere."""

    def draw() -> Figure:
        figure, axes = panels(5)
        snr = probes[probes["kind"] == "snr"]
        for index, (name, part) in enumerate(snr.groupby("loss", sort=False)):
            style = {"marker": MARKERS[index % len(MARKERS)], "label": name}
            mean = part.groupby("at_db")[["value", "step"]].mean()
            axes[0].plot(mean.index, mean["value"], **style)
            middle = (mean.index[1:] + mean.index[:-1]) / 2  # a slope lies between two SNRs
            axes[1].plot(middle, -np.diff(mean["value"]) / np.diff(mean.index), **style)
            axes[2].semilogy(mean.index, mean["step"].clip(lower=1e-12), **style)
        gains = probes[probes["kind"] == "gain"]
        for index, (name, part) in enumerate(gains.groupby("loss", sort=False)):
            mean = part.groupby("at_db")["value"].mean()
            axes[3].plot(mean.index, mean, marker=MARKERS[index % len(MARKERS)], label=name)
        axes[0].set(title="value", xlabel="SNR (dB)", ylabel="loss")
        axes[1].set(title="fall per dB of SNR", xlabel="SNR (dB)", ylabel="loss / dB")
        axes[2].set(title="gradient x size", xlabel="SNR (dB)", ylabel="‖gradient‖ · ‖estimate‖")
        axes[3].set(title="value at 0 dB SNR", xlabel="gain of the estimate (dB)", ylabel="loss")
        _draw_special(axes[4], probes[probes["kind"].isin(_SPECIAL)])
        axes[0].legend(fontsize="small")
        return figure

    caption = "The losses over SNR and level, and the size of their gradients in special cases."
    return Drawing("loss_check", draw, caption, probes)


def _draw_special(axes: Axes, probes: pd.DataFrame) -> None:
    names = list(dict.fromkeys(probes["condition"]))
    for index, (name, part) in enumerate(probes.groupby("loss", sort=False)):
        mean = part.groupby("condition")["gradient"].mean().reindex(names)
        finite = mean.where(np.isfinite(mean)).clip(lower=1e-12)
        marker = MARKERS[index % len(MARKERS)]
        axes.plot(finite, range(len(names)), marker, label=name)
        broken = [row for row, value in enumerate(mean) if not np.isfinite(value)]
        axes.plot([1e-12] * len(broken), broken, "rX", markersize=8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names, fontsize="x-small")
    axes.invert_yaxis()
    axes.set(title="gradient in special cases", xlabel="‖gradient‖ (red: not finite)")


def cells_drawing(name: str, loss: str, example: Example, maps: Sequence[CellMap]) -> Drawing:
    """Draw maps over time and frequency above each other, phones at the top."""
    numbers = pd.concat(map(_long, maps), ignore_index=True)

    def draw() -> Figure:
        figure = Figure(figsize=(8, 1.9 * len(maps) + 0.4), layout="constrained")
        axes = list(figure.subplots(len(maps), 1, sharex=True, squeeze=False)[:, 0])
        for place, cells in zip(axes, maps, strict=True):
            image = place.pcolormesh(
                np.arange(cells.values.shape[1]) * cells.hop_s,
                cells.centres_hz.numpy() / 1000,
                cells.values.numpy(),
                vmin=max(LOWEST_DB, float(cells.values.min())),
                vmax=0.0,
                cmap="magma",
                shading="nearest",
                rasterized=True,
            )
            place.set(ylabel="kHz", title=cells.name)
            place.grid(visible=False)
            for start, end, _, _ in example.phones:
                for edge in (start, end):
                    place.axvline(edge, color="white", linewidth=0.4, alpha=0.7)
            figure.colorbar(image, ax=place, label=cells.unit)
        for start, end, label, _ in example.phones:
            place = axes[0]
            top = place.get_ylim()[1]
            place.text((start + end) / 2, top, label, ha="center", va="bottom", fontsize="x-small")
        if example.phones:
            axes[0].set_title(maps[0].name, pad=14)
        axes[-1].set_xlabel("time (s)")
        figure.suptitle(f"{loss} on {example.id}")
        return figure

    return Drawing(name, draw, f"Weights, shares and gradient of {loss} in {example.id}.", numbers)


def _long(cells: CellMap) -> pd.DataFrame:
    rows, frames = cells.values.shape
    return pd.DataFrame(
        {
            "map": cells.name,
            "unit": cells.unit,
            "time_s": np.tile(np.arange(frames) * cells.hop_s, rows),
            "frequency_hz": np.repeat(cells.centres_hz.numpy(), frames),
            "value": cells.values.numpy().ravel(),
        }
    )


def spectrum_drawing(table: pd.DataFrame) -> Drawing:
    """Draw the gradients' energy over frequency, the losses side by side."""
    numbers = table[table["class"] == ALL].reset_index(drop=True)

    def draw() -> Figure:
        figure = Figure(figsize=(6.5, 3.6), layout="constrained")
        axes = figure.subplots()
        for index, (name, part) in enumerate(numbers.groupby("loss", sort=False)):
            level = 10 * np.log10(part["share"].clip(lower=1e-8))
            style = {"marker": MARKERS[index % len(MARKERS)], "label": name}
            if index < 2:  # the speech and the residual, for scale
                style |= {"color": "gray", "linestyle": ("-", ":")[index]}
            axes.semilogx(part["centre_hz"], level, **style)
        octave_ticks(axes, numbers["centre_hz"])
        axes.set_ylabel("share of the energy (dB)")
        axes.legend()
        return figure

    caption = "Energy of each loss's gradient in one-third-octave bands, as a share of all of it."
    return Drawing("gradient_spectra", draw, caption, numbers)


def class_drawing(table: pd.DataFrame) -> Drawing:
    """Draw each phone class's share of the gradient's energy over its share of the time."""
    part = table[table["class"] != ALL]
    numbers = part.groupby(["loss", "class"], sort=False).agg({"share": "sum", "time": "first"})
    numbers = numbers.reset_index().assign(density=lambda table: table["share"] / table["time"])

    def draw() -> Figure:
        classes = read_classes().ordered(numbers["class"])
        figure = Figure(figsize=(6.5, 1 + 0.35 * len(classes)), layout="constrained")
        axes = figure.subplots()
        for index, (name, rows) in enumerate(numbers.groupby("loss", sort=False)):
            # 0.08: losses side by side, so that equal values can be seen
            places = [classes.index(of_class) + 0.08 * index for of_class in rows["class"]]
            axes.plot(rows["density"], places, MARKERS[index % len(MARKERS)], label=name)
        axes.axvline(1, color="gray", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_yticks(range(len(classes)), classes)
        axes.invert_yaxis()
        axes.set_xlabel("share of the gradient's energy / share of the time")
        axes.legend(fontsize="small")
        return figure

    caption = "Weight of each phone class in the gradient: 1 is its share of the time."
    return Drawing("gradient_classes", draw, caption, numbers)
