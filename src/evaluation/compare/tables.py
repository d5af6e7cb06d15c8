"""Tables of a comparison: means with marks, and the differences behind them."""

from __future__ import annotations

import pandas as pd

from evaluation.work.tables import Cell, Grid, number

from .columns import describe
from .panel import ALL

__all__ = ["difference_grids", "marked_mean", "mean_grids"]


def mean_grids(means: pd.DataFrame, tests: pd.DataFrame, baseline: str) -> list[Grid]:
    """Return tables of means: systems x metrics for utterances, classes x systems for phonemes."""
    grids = []
    for (level, group), part in means.groupby(["level", "group"], sort=False):
        where = "" if group == ALL else f", {group}"
        if set(part["class"]) == {ALL}:
            caption = f"Means ({level}{where})"
            grids.append(_by_metric(part, tests, baseline, caption))
            continue
        for metric, rows in part.groupby("metric", sort=False):
            caption = f"{describe(str(metric)).title} per phoneme class{where}"
            grids.append(_by_class(rows, tests, baseline, caption))
    return grids


def _by_metric(means: pd.DataFrame, tests: pd.DataFrame, baseline: str, caption: str) -> Grid:
    metrics = list(dict.fromkeys(means["metric"]))
    systems = list(dict.fromkeys(means["system"]))
    cells = {(row["system"], row["metric"]): row for row in means.to_dict("records")}
    rows = [
        [Cell(system), *(marked_mean(cells[system, metric], tests, baseline) for metric in metrics)]
        for system in systems
    ]
    counts = {metric: cells[systems[0], metric]["n"] for metric in metrics}
    head = ["system", *(f"{describe(metric).title}, n = {counts[metric]}" for metric in metrics)]
    return Grid(caption, head, rows)


def _by_class(means: pd.DataFrame, tests: pd.DataFrame, baseline: str, caption: str) -> Grid:
    systems = list(dict.fromkeys(means["system"]))
    rows = []
    for name, part in means.groupby("class", sort=False):
        cells = {row["system"]: row for row in part.to_dict("records")}
        marked = [marked_mean(cells[system], tests, baseline) for system in systems]
        rows.append([Cell(str(name)), Cell(str(cells[systems[0]]["n"])), *marked])
    return Grid(caption, ["class", "n", *systems], rows)


def marked_mean(mean: dict[object, object], tests: pd.DataFrame, baseline: str) -> Cell:
    """Return a mean, starred if it differs from the baseline's, bold if it is proven the best."""
    same = tests
    for key in ("level", "metric", "class", "group"):
        same = same[same[key] == mean[key]]
    system = mean["system"]
    named = {system, baseline}
    sides = zip(same["system"], same["baseline"], strict=True)
    with_baseline = same[[{*pair} == named for pair in sides]]
    star = system != baseline and bool(with_baseline["significant"].any())
    own = same[(same["system"] == system) | (same["baseline"] == system)]
    value = float(str(mean["mean"]))
    sign = 1 if mean["higher_is_better"] else -1
    others = pd.concat([same["mean_system"], same["mean_baseline"]]) * sign
    # Pairwise means may rest on other units than the common ones: equal within rounding counts.
    leads = (others <= sign * value + 1e-9 * (1 + abs(value))).all()
    best = len(own) > 0 and bool((own["better"] == system).all() and leads)
    return Cell(number(value, describe(str(mean["metric"])).decimals), best, star)


def difference_grids(tests: pd.DataFrame, alpha: float = 0.05) -> list[Grid]:
    """Return a table of differences per level, class by class, group by group."""
    grids = []
    for (level, group), part in tests.groupby(["level", "group"], sort=False):
        where = "" if group == ALL else f", {group}"
        classes = set(part["class"]) != {ALL}
        test, share = part["test"].iloc[0], f"{100 * (1 - alpha):g} %"
        head = ["metric", *(["class"] if classes else []), "system − baseline", "n"]  # noqa: RUF001
        head += ["difference", f"{share} interval", "p (corrected)", "d_z", "Cliff's delta"]
        rows = [_difference_row(row, classes=classes) for row in part.to_dict("records")]
        grids.append(Grid(f"Differences ({level}{where}; {test})", head, rows))
    return grids


def _difference_row(row: dict[object, object], *, classes: bool) -> list[Cell]:
    column = describe(str(row["metric"]))
    values = {
        key: float(str(row[key])) for key in ("difference", "ci_low", "ci_high", "p_adjusted")
    }
    bounds = [number(values[key], column.decimals) for key in ("ci_low", "ci_high")]
    pair = f"{row['system']} − {row['baseline']}"  # noqa: RUF001
    few = " (few)" if row["note"] else ""
    return [
        Cell(column.title),
        *([Cell(str(row["class"]))] if classes else []),
        Cell(pair),
        Cell(f"{row['n']}{few}"),
        Cell(number(values["difference"], column.decimals), star=bool(row["significant"])),
        Cell(f"[{', '.join(bounds)}]"),
        Cell("< 0.001" if values["p_adjusted"] < 0.001 else number(values["p_adjusted"], 3)),
        Cell(number(float(str(row["d_z"])), 2)),
        Cell(number(float(str(row["cliffs_delta"])), 2)),
    ]
