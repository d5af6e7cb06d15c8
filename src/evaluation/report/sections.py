"""Sections of the report: paragraphs, tables and plots of other programs' results."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from evaluation.compare.cli import Comparison, compare
from evaluation.compare.columns import describe
from evaluation.compare.differences import CompareOptions, means
from evaluation.compare.panel import ALL, LEVELS, read_panel, slices
from evaluation.compare.systems import System
from evaluation.compare.tables import difference_grids, marked_mean
from evaluation.phonemes.classes import read_classes
from evaluation.plots.drawing import Drawing
from evaluation.spectra.cli import spectra
from evaluation.spectra.plot import average_spectra, band_ratios, class_ratios
from evaluation.testset.experiment import find_experiment
from evaluation.testset.testset import TestSet
from evaluation.work.tables import Cell, Grid, number

from .figures import by_condition, distributions, heat_map, learning_curves
from .listening import ScoreTable

__all__ = ["Section", "build_sections"]

logger = logging.getLogger(__name__)

CONDITIONS = {"snr_db": "input SNR (dB)", "noise_type": "noise"}


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        id: its anchor.
        title: its heading.
        paragraphs: what to know before reading it.
        grids: tables.
        drawings: plots.
    """

    id: str
    title: str
    paragraphs: Sequence[str] = ()
    grids: Sequence[Grid] = ()
    drawings: Sequence[Drawing] = ()


def build_sections(
    systems: Mapping[str, TestSet],
    tables: Sequence[ScoreTable],
    *,
    baseline: str,
    root: str | None = None,
    options: CompareOptions | None = None,
    jobs: int = 1,
) -> list[Section]:
    """Return the sections that have a table or a plot.

    All systems have the same samples; ``root`` is the folder of experiments, for learning curves.

    Raises:
        ValueError: the systems were given different test sets.
    """
    options = options or CompareOptions()
    comparison = _compared(systems, baseline, options)
    sections = [
        _summary(comparison, options),
        _conditions(systems, tables),
        _phonemes(comparison),
        _spectra(systems, jobs),
        _training(systems, root),
        Section("spread", "Spread over the utterances", drawings=[distributions(tables)]),
    ]
    return [section for section in sections if section.grids or section.drawings]


def _compared(systems: Mapping[str, TestSet], baseline: str, options: CompareOptions) -> Comparison:
    """Return means and differences; of a single system means alone."""
    compared = [System(name, ((name, testset),)) for name, testset in systems.items()]
    if len(compared) > 1:
        return compare(compared, baseline=baseline, options=options)
    folder = compared[0].testsets[0][1].metrics
    parts = []
    for level in LEVELS.values():
        if (folder / level.file).is_file():
            panel = read_panel(compared, level)
            parts.append(means(panel, list(slices(panel, None, read_classes())), options))
    # No tests, but the columns that the sections select by.
    empty = pd.DataFrame(columns=["level", "metric", "class", "group", "system", "baseline"])
    return Comparison(pd.concat(parts, ignore_index=True), empty, baseline)


def _summary(comparison: Comparison, options: CompareOptions) -> Section:
    """Return means with intervals, then the tested differences."""
    overall = comparison.means
    overall = overall[(overall["class"] == ALL) & (overall["group"] == ALL)]
    tests, share = comparison.differences, f"{100 * (1 - options.alpha):g} %"
    grids = [
        _means_grid(part, tests, comparison.baseline, f"Means per {level}, with {share} intervals")
        for level, part in overall.groupby("level", sort=False)
    ]
    paragraphs = []
    if len(tests):
        whole = tests[(tests["class"] == ALL) & (tests["group"] == ALL)]
        grids += difference_grids(whole, options.alpha)
        paragraphs = [
            f"* differs from {comparison.baseline} ({options.test} test per utterance, "
            f"{options.correction} correction over the tests of one table, p < {options.alpha:g}, "
            "and 0 outside the interval). ★ better than every system it was tested against. "
            f"Intervals: {options.draws} bootstrap draws of utterances."
        ]
    return Section("summary", "Summary", paragraphs, grids)


def _means_grid(means: pd.DataFrame, tests: pd.DataFrame, baseline: str, caption: str) -> Grid:
    """Return means with intervals: metrics down, since there are more of them than systems."""
    systems = list(dict.fromkeys(means["system"]))
    rows = []
    for metric, part in means.groupby("metric", sort=False):
        column = describe(str(metric))
        by_system = {row["system"]: row for row in part.to_dict("records")}
        cells = [Cell(column.title), Cell(str(part["n"].iloc[0]))]
        for system in systems:
            row = by_system[system]
            mean = marked_mean(row, tests, baseline) if len(tests) else Cell("")
            low, high = (number(row[bound], column.decimals) for bound in ("ci_low", "ci_high"))
            text = f"{number(row['mean'], column.decimals)} [{low}, {high}]"
            cells.append(Cell(text, mean.bold, mean.star))
        rows.append(cells)
    return Grid(caption, ["metric", "n", *systems], rows)


def _conditions(systems: Mapping[str, TestSet], tables: Sequence[ScoreTable]) -> Section:
    samples = next(iter(systems.values())).samples().set_index("id")
    drawings = [
        drawing
        for column, label in CONDITIONS.items()
        if (drawing := by_condition(tables, samples, column, label)) is not None
    ]
    return Section("conditions", "Improvement by condition", drawings=drawings)


def _phonemes(comparison: Comparison) -> Section:
    """Return the heat maps of differences to the baseline, class by class."""
    tests = comparison.differences
    part = tests[(tests["level"] == "phoneme") & (tests["class"] != ALL) & (tests["group"] == ALL)]
    drawings = []
    for metric, cells in part.groupby("metric", sort=False):
        cells = cells[cells["baseline"] == comparison.baseline]
        # dropna=False: a class without a difference keeps its row.
        values = cells.pivot_table("difference", "class", "system", sort=False, dropna=False)
        marks = cells.pivot_table("significant", "class", "system", sort=False, dropna=False)
        drawings.append(
            heat_map(
                values,
                marks.reindex_like(values).fillna(0) > 0,
                describe(str(metric)),
                caption=f"{metric}: difference to {comparison.baseline} per phoneme class; "
                "* significant after correction over all classes.",
            )
        )
    return Section("phonemes", "Phoneme classes", drawings=drawings)


def _spectra(systems: Mapping[str, TestSet], jobs: int) -> Section:
    try:
        table = spectra(systems, jobs=jobs)
    except FileNotFoundError as error:  # another system's folder may come without the noise
        logger.warning("no spectral diagnostics: %s", error)
        return Section("spectra", "Spectra")
    drawings = [average_spectra(table), band_ratios(table), *class_ratios(table)]
    return Section("spectra", "Spectral diagnostics", drawings=drawings)


def _training(systems: Mapping[str, TestSet], root: str | None) -> Section:
    histories = {}
    for name, testset in systems.items():
        if testset.is_paired:
            continue  # another system's audio has no training here
        path = find_experiment(testset.system, root).history
        if path.is_file():
            histories[name] = pd.read_csv(path)
    drawing = learning_curves(histories)
    return Section("training", "Training", drawings=[drawing] if drawing else [])
