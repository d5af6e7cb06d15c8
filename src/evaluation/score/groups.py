"""Means within groups of samples: by SNR, noise type, speaker, seen or unseen noise, and crossed.

A group that the samples' table does not know is not made; samples of which it is not known form a
group of their own, `(unknown)`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

__all__ = ["CROSSED", "GROUPS", "group_tables", "grouping", "snr_classes"]

GROUPS = ("snr_db", "noise_type", "seen", "speaker")
CROSSED = ("noise_type", "snr_db")
UNKNOWN = "(unknown)"
# More different SNRs than this are drawn from a range, not chosen: they are sorted into classes.
MOST_SNRS = 12
STEP_DB = 5.0


def snr_classes(snr_db: pd.Series, edges: Sequence[float] | None = None) -> pd.Series:
    """Return each sample's class of SNR, ordered, as a categorical.

    Args:
        snr_db: in dB, NaN where unknown.
        edges: classes are below the first, from one to the next (the lower one included), from the
            last on. By default every SNR is a class of its own, or, where there are more than 12,
            classes of 5 dB.

    Raises:
        ValueError: the edges do not rise.
    """
    values = pd.to_numeric(snr_db, errors="coerce").astype(float)
    distinct = np.unique(values.dropna())
    if edges is None and len(distinct) <= MOST_SNRS:
        labels = [_number(value) for value in distinct]
        named = values.map(dict(zip(distinct, labels, strict=True)))
        return pd.Series(pd.Categorical(named, labels, ordered=True), index=values.index)
    if edges is None:
        edges = _default_edges(distinct)
    if any(after <= before for before, after in pairwise(edges)):
        raise ValueError(f"the edges of SNR classes must rise; got {list(edges)}")
    labels = [
        f"< {_number(edges[0])}",
        *(f"{_number(a)} to {_number(b)}" for a, b in pairwise(edges)),
        f">= {_number(edges[-1])}",
    ]
    bins = [-math.inf, *edges, math.inf]
    return pd.cut(values, bins, right=False, labels=labels, ordered=True)


def group_tables(
    table: pd.DataFrame, columns: Sequence[str], edges: Sequence[float] | None = None
) -> dict[str, pd.DataFrame]:
    """Return, for each group that is known, one row per group and figure.

    Args:
        table: a row per sample: figures and what is known.
        columns: the figures.
        edges: see `snr_classes`.

    Returns:
        By name, as `snr_db` or `noise_type_snr_db`: columns of the group, then Metric, Mean, Std,
        Scored, Failed.
    """
    known = {name: grouping(table[name], edges) for name in GROUPS if name in table}
    figures = table[list(columns)].astype(float)
    tables = {name: _summary(figures, {name: groups}) for name, groups in known.items()}
    if all(name in known for name in CROSSED):
        crossed = {name: known[name] for name in CROSSED}
        tables["_".join(CROSSED)] = _summary(figures, crossed)
    return tables


def grouping(known: pd.Series, edges: Sequence[float] | None = None) -> pd.Series:
    """Return the group of every sample, its categories in order.

    Args:
        known: what is known of each, NaN where it is not; its name is one of `GROUPS`.
        edges: see `snr_classes`.
    """
    if known.name == "snr_db":
        groups = snr_classes(known, edges)
    else:
        text = known.map(lambda value: None if pd.isna(value) else str(value))
        groups = pd.Series(pd.Categorical(text, sorted(set(text.dropna()))), index=known.index)
    if groups.isna().any():
        groups = groups.cat.add_categories([UNKNOWN]).fillna(UNKNOWN)
    return groups.cat.remove_unused_categories()


def _summary(figures: pd.DataFrame, groups: Mapping[str, pd.Series]) -> pd.DataFrame:
    names = list(groups)
    long = figures.assign(**groups).melt(names, list(figures), "Metric", "value")
    long["Metric"] = pd.Categorical(long["Metric"], list(figures), ordered=True)
    grouped = long.groupby([*names, "Metric"], observed=True, sort=True)["value"]
    summary = grouped.agg(Mean="mean", Std="std", Scored="count", Samples="size").reset_index()
    summary["Failed"] = summary.pop("Samples") - summary["Scored"]
    return summary


def _default_edges(values: np.ndarray) -> list[float]:
    """Return multiples of 5 dB between the lowest and the highest SNR."""
    first = math.floor(values[0] / STEP_DB) + 1
    last = math.ceil(values[-1] / STEP_DB) - 1
    return [STEP_DB * step for step in range(first, max(first, last) + 1)]


def _number(value: float) -> str:
    return f"{value:g}"
