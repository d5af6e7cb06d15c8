"""Means, differences, intervals and tests of several systems, as two long tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import statistics
from .columns import describe
from .panel import ALL, Panel, Slice
from .statistics import ClusterSums

__all__ = ["FEW", "CompareOptions", "differences", "means", "pairs_of"]

# With fewer clusters no two-sided signed-rank or sign-flip test can reach 0.05 (2 / 2^5 = 0.0625).
FEW = 6
# Scores are read from tables of six digits: relative error of a value and of a difference of two.
RESOLUTION = 1e-5
# Comparisons whose replicates are held at a time: bounds the memory.
AT_ONCE = 60


@dataclass(frozen=True)
class CompareOptions:
    """How to compare.

    Attributes:
        test: see `statistics.paired_test`.
        correction: see `statistics.adjust`.
        alpha: level of significance; intervals have 1 - alpha.
        draws: of the bootstrap.
        seed: of all draws.
        cluster: the column of units whose values are drawn as a whole.
    """

    test: str = "wilcoxon"
    correction: str = "holm"
    alpha: float = 0.05
    draws: int = 10_000
    seed: int = 0
    cluster: str = "id"


class _Pair(NamedTuple):
    """One comparison before its bootstrap: the sums of both systems over the units both have."""

    row: dict[str, object]
    ours: ClusterSums
    theirs: ClusterSums


def pairs_of(names: Sequence[str], baseline: str, *, every: bool) -> list[tuple[str, str]]:
    """Return the pairs to compare: each with the baseline, or every two; the second is the base."""
    others = [name for name in names if name != baseline]
    pairs = [(name, baseline) for name in others]
    if every:
        pairs += [(second, first) for first, second in combinations(others, 2)]
    return pairs


def cluster_codes(panel: Panel, column: str) -> NDArray[np.intp]:
    """Return the number of each unit's cluster.

    Raises:
        ValueError: the table lacks the column, or a unit has no value in it.
    """
    if column not in panel.units:
        raise ValueError(f"{panel.level.file} has no column {column!r} to cluster by")
    codes, _ = pd.factorize(panel.units[column])
    if (codes < 0).any():
        sample = panel.units.loc[codes < 0, "id"].iloc[0]
        raise ValueError(f"{sample!r} has no {column}; every sample needs one")
    return np.asarray(codes, dtype=np.intp)


def means(panel: Panel, parts: Sequence[Slice], options: CompareOptions) -> pd.DataFrame:
    """Return a row per metric, part and system: mean over the units that all systems have.

    Columns: what is averaged; `n` units and `clusters`; `missing` units of this system; `mean`,
    `std` over units, `ci_low`, `ci_high`; of several seeds their number and the standard deviation
    of their means.
    """
    codes = cluster_codes(panel, options.cluster)
    rows: list[dict[str, object]] = []
    sums: list[ClusterSums] = []
    sides: list[int] = []
    for name in panel.scores:
        scored = {system: panel.scored(system, name) for system in panel.values}
        shared = np.logical_and.reduce(list(scored.values()))
        for part in parts:
            chosen = shared & part.chosen & (panel.weights[name] > 0)
            for side, system in enumerate(panel.values):
                total = panel.sums(system, name, chosen, codes)
                values = panel.values[system][name].mean(0)[chosen]
                row = _head(panel, name, part) | {"system": system, "n": int(chosen.sum())}
                row["clusters"] = int(total.filled.sum())
                row["missing"] = int((part.chosen & ~scored[system]).sum())
                row["mean"] = total.mean
                row["std"] = values.std(ddof=1) if len(values) > 1 else np.nan
                rows.append(row)
                sums.append(total)
                sides.append(side)
    for start in range(0, len(rows), AT_ONCE):
        block = slice(start, start + AT_ONCE)
        drawn = statistics.bootstrap_means(sums[block], options.draws, options.seed, sides[block])
        for row, total, replicates in zip(rows[block], sums[block], drawn, strict=True):
            # With several seeds the bootstrap draws those too, which no jackknife describes.
            jackknife = _without_each(total)[total.filled] if len(total.values) == 1 else None
            low, high = statistics.interval(replicates, total.mean, jackknife, 1 - options.alpha)
            row |= {"ci_low": low, "ci_high": high, **_seeds("", total)}
    return pd.DataFrame(rows)


def differences(
    panel: Panel,
    parts: Sequence[Slice],
    pairs: Sequence[tuple[str, str]],
    options: CompareOptions,
) -> pd.DataFrame:
    """Return a row per metric, part and pair: difference, interval, test, effect sizes.

    A unit counts where both systems of the pair have the score. Tests are corrected in families:
    those over everything, those of classes of phones, those within groups. A difference over
    everything thus has one p-value, whatever parts are looked at besides.
    """
    codes = cluster_codes(panel, options.cluster)
    names = list(panel.values)
    compared = [
        _pair(panel, name, part, pair, codes)
        for name in panel.scores
        for part in parts
        for pair in pairs
    ]
    for start in range(0, len(compared), AT_ONCE):
        block = compared[start : start + AT_ONCE]
        sums = [total for pair in block for total in (pair.ours, pair.theirs)]
        sides = [
            names.index(str(pair.row[role])) for pair in block for role in ("system", "baseline")
        ]
        drawn = statistics.bootstrap_means(sums, options.draws, options.seed, sides)
        # Rows alternate between a pair's system and its baseline.
        for pair, ours, theirs in zip(block, drawn[::2], drawn[1::2], strict=True):
            pair.row.update(_compared(pair, ours - theirs, options))
    table = pd.DataFrame([pair.row for pair in compared])
    if table.empty:
        return table
    adjusted = table.groupby("family")["p"].transform(
        lambda p: statistics.adjust(p.to_numpy(np.float64), options.correction)
    )
    table.insert(table.columns.get_loc("p") + 1, "p_adjusted", adjusted)
    # The corrected p-value is small, and the interval (which includes the seeds) agrees.
    low_p = (table["p_adjusted"] < options.alpha) & (table["clusters"] >= FEW)
    table["significant"] = low_p & ((table["ci_low"] > 0) | (table["ci_high"] < 0))
    ahead = (table["difference"] > 0) == table["higher_is_better"].astype(bool)
    table["better"] = table["system"].where(ahead, table["baseline"])
    table.loc[~table["significant"], "better"] = ""
    return table


def _head(panel: Panel, name: str, part: Slice) -> dict[str, object]:
    column = describe(name)
    return {
        "level": panel.level.name,
        "metric": name,
        "unit": column.unit,
        "higher_is_better": column.higher_is_better,
        "class": part.of_class,
        "group": part.group,
    }


def _pair(
    panel: Panel, name: str, part: Slice, pair: tuple[str, str], codes: NDArray[np.intp]
) -> _Pair:
    both = panel.scored(pair[0], name) & panel.scored(pair[1], name)
    chosen = part.chosen & both & (panel.weights[name] > 0)
    row = _head(panel, name, part) | {"system": pair[0], "baseline": pair[1]}
    row |= {"n": int(chosen.sum()), "missing": int((part.chosen & ~both).sum())}
    return _Pair(row, *(panel.sums(system, name, chosen, codes) for system in pair))


def _compared(
    pair: _Pair, replicates: NDArray[np.float64], options: CompareOptions
) -> dict[str, object]:
    """Return the numbers of one comparison."""
    row, ours, theirs = pair
    gaps = ours.cluster_means - theirs.cluster_means
    largest = max(np.abs(total.cluster_means).max(initial=0.0) for total in (ours, theirs))
    # Ranks and signs need exact ties, means do not.
    tied = statistics.with_ties(gaps, RESOLUTION * largest)
    difference = ours.mean - theirs.mean
    several = max(len(ours.values), len(theirs.values)) > 1
    jackknife = None if several else (_without_each(ours) - _without_each(theirs))[ours.filled]
    low, high = statistics.interval(replicates, difference, jackknife, 1 - options.alpha)
    # The permuted statistic is the difference of means itself: sums, not means, change sign.
    summed = (ours.values.mean(0) - theirs.values.mean(0))[ours.filled]
    tested = {"permutation": summed, "wilcoxon": tied}.get(options.test, gaps)
    # Tests that are corrected together.
    overall = "overall" if row["class"] == ALL else "classes"
    return {
        "clusters": len(gaps),
        "mean_system": ours.mean,
        "mean_baseline": theirs.mean,
        "difference": difference,
        "ci_low": low,
        "ci_high": high,
        "interval": "percentile, seeds drawn" if several else "BCa",
        "test": options.test,
        "family": overall if row["group"] == ALL else "groups",
        "p": statistics.paired_test(tested, options.test, options.seed),
        "d_z": statistics.effect_size(gaps),
        "cliffs_delta": statistics.dominance(tied),
        **_seeds("_system", ours),
        **_seeds("_baseline", theirs),
        "p_seeds": statistics.seed_test(ours.seed_means, theirs.seed_means),
        "note": f"only {len(gaps)} x {options.cluster}: too few" if len(gaps) < FEW else "",
    }


def _without_each(total: ClusterSums) -> NDArray[np.float64]:
    """Return the mean without each cluster in turn `(clusters,)`, that of all if none is left."""
    left = total.weights.sum() - total.weights
    left = np.where(left > 0, left, np.nan)
    values = total.values.mean(0)
    rest: NDArray[np.float64] = (values.sum() - values) / left
    return np.where(np.isfinite(rest), rest, total.mean)


def _seeds(suffix: str, total: ClusterSums) -> dict[str, object]:
    spread = total.seed_means.std(ddof=1) if len(total.values) > 1 else math.nan
    return {f"seeds{suffix}": len(total.values), f"std_of_seeds{suffix}": spread}
