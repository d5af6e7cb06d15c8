"""Plot of several experiments: spectrograms of one sample, and losses over training.

    python -m evaluation.compare_figure XP1 XP2 --sample 3 -o compare.png

draws the mixture, the clean speech and each experiment's estimate on one scale in dB, and below
them the losses per epoch from each experiment's history.csv. The plotted losses and the sample's
metrics are written beside the picture, as compare.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from evaluation.testset.experiment import ExperimentFolder, TestSet, find_experiment
from evaluation.testset.options import add_experiment_options
from evaluation.work.cli import program
from evaluation.work.tables import read_table
from seloss.data.formats.audio import read_samples

from .drawing import figure_style, history_values, save_figure

__all__ = ["compare_figure", "level_db", "main"]

WINDOW_S = 0.032
RANGE_DB = 70.0
PANEL_INCHES = (3.4, 2.5)
# Losses of a training run's table, and their line styles.
CURVES = {"val/loss": "-", "train/loss": "--"}

_Array = NDArray[np.float64]


def level_db(signal: _Array, sample_rate: int) -> tuple[_Array, _Array, _Array]:
    """Return times (s), frequencies (kHz), levels (dB re. the loudest cell) ``(freq, frames)``.

    Relative, because an estimate of a scale-invariant loss has no level of its own.
    """
    length = round(WINDOW_S * sample_rate)
    transform = ShortTimeFFT(hann(length, sym=False), length // 4, sample_rate)
    power = np.abs(transform.stft(signal)) ** 2
    loudest = power.max()
    # 1.0 for silence: a level of 0 dB everywhere, without a division by 0.
    floor = loudest * 10 ** (-RANGE_DB / 10) if loudest > 0 else 1.0
    level = 10 * np.log10(np.maximum(power, floor) / max(loudest, floor))
    return transform.t(len(signal)), transform.f / 1000, level


def compare_figure(
    experiments: Sequence[ExperimentFolder], sample: str, testset: str | None = None
) -> tuple[Figure, pd.DataFrame]:
    """Draw the plot and collect its numbers, one per row: system, quantity, epoch, value.

    Raises:
        FileNotFoundError: A sample or its audio is missing.
        ValueError: No experiment has such a sample.
    """
    panels: dict[str, tuple[_Array, int]] = {}
    numbers: list[pd.DataFrame] = []
    histories: dict[str, pd.DataFrame] = {}
    for experiment in experiments:
        samples = experiment.testset(testset)
        name = samples.find_sample(sample)
        folder = samples.folder / name
        if not panels:
            panels["mixture"] = _read(folder / "mixture.wav")
            panels["clean speech"] = _read(folder / "speech.wav")
        label = experiment.label(testset)
        panels[label] = _read(folder / "estimate.wav")
        numbers.append(_sample_values(label, samples, name))
        if experiment.history.is_file():
            histories[label] = pd.read_csv(experiment.history)
    figure = _draw(panels, histories)
    for label, history in histories.items():
        losses = [column for column in CURVES if column in history]
        numbers.append(history_values(label, history, losses))
    return figure, pd.concat(numbers, ignore_index=True)


def _draw(
    panels: Mapping[str, tuple[_Array, int]], histories: Mapping[str, pd.DataFrame]
) -> Figure:
    """Lay out spectrograms above and one panel of losses per experiment below."""
    columns = len(panels)
    size = (PANEL_INCHES[0] * columns + 0.8, PANEL_INCHES[1] * (2 if histories else 1) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    rows = figure.subfigures(2 if histories else 1, 1, squeeze=False)[:, 0]
    above = rows[0].subplots(1, columns, sharey=True, squeeze=False)[0]
    for axes, (title, (signal, rate)) in zip(above, panels.items(), strict=True):
        time, frequency, level = level_db(signal, rate)
        # Cells lie around their centres; rasterised, so that a vector format stays small.
        image = axes.pcolormesh(
            time,
            frequency,
            level,
            vmin=-RANGE_DB,
            vmax=0,
            cmap="magma",
            shading="nearest",
            rasterized=True,
        )
        axes.grid(visible=False)
        axes.set(
            title=title, xlabel="time (s)", xlim=(0, len(signal) / rate), ylim=(0, rate / 2000)
        )
    above[0].set_ylabel("frequency (kHz)")
    rows[0].colorbar(image, ax=list(above), label="level (dB re. loudest)")
    if histories:
        below = rows[1].subplots(1, len(histories), squeeze=False)[0]
        for axes, (tag, history) in zip(below, histories.items(), strict=True):
            _draw_curves(axes, tag, history)
        below[0].set_ylabel("loss")
    return figure


def _draw_curves(axes: Axes, tag: str, history: pd.DataFrame) -> None:
    """Draw one experiment's losses; different losses do not share an axis."""
    for column, style in CURVES.items():
        if column in history:
            drawn = history[["epoch", column]].dropna()
            axes.plot(drawn["epoch"], drawn[column], style, marker=".", label=column)
    axes.set(title=f"training of {tag}", xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()


def _sample_values(tag: str, testset: TestSet, sample: str) -> pd.DataFrame:
    """Return the sample's metrics, long; empty if it has not been scored."""
    empty = pd.DataFrame({"system": [], "quantity": [], "epoch": [], "value": []})
    path = testset.metrics / "metrics_by_sample.csv"
    if not path.is_file():
        return empty
    table = read_table(path).set_index("Sample_ID")
    if sample not in table.index:
        return empty
    columns = table.columns.difference(["Microphone", *testset.samples().columns], sort=False)
    values = pd.to_numeric(table.loc[sample, columns]).dropna()
    return pd.DataFrame(
        {"system": tag, "quantity": values.index, "epoch": np.nan, "value": values.to_numpy(float)}
    )


def _read(path: Path) -> tuple[_Array, int]:
    """Return a mono file in float64."""
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: run evaluation.infer")
    signal, rate = read_samples(path)
    return signal[:, 0], rate


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tags", nargs="+", metavar="TAG", help="experiments to compare")
    parser.add_argument(
        "--sample", required=True, metavar="ID", help="id of the manifest, sample_<i> or <i>"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="picture: .png, .pdf, .svg"
    )
    add_experiment_options(parser, testset=True)


def _work(args: argparse.Namespace) -> int:
    experiments = [find_experiment(tag, args.root) for tag in args.tags]
    with figure_style():
        figure, numbers = compare_figure(experiments, args.sample, args.testset)
        table = save_figure(figure, args.output, numbers)
    print(f"{args.output} and {table}")
    return 0


main = program("compare_figure", __doc__, _add_options, _work)
