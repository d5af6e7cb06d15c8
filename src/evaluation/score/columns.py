"""Columns of the published tables, means of all samples, and means within groups of samples.

Groups are those by SNR, noise type, speaker, seen or unseen noise, and noise type crossed with SNR.
A column that the samples' table lacks makes no group; samples without a value in it form a group of
their own, `(unknown)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from auditus import get_metric
from auditus.metric import Metric
from evaluation.testset.testset import TestSet
from evaluation.work.tables import read_table

__all__ = [
    "CROSSED",
    "GROUPS",
    "column_name",
    "drawn_columns",
    "group_tables",
    "grouping",
    "keys_of",
    "read_sample_table",
    "sample_table",
    "snr_classes",
    "summary_table",
    "value_columns",
]

# The published columns, in their order; others follow.
_PUBLISHED = (
    "SI-SIR_in",
    "SI-SIR_out",
    "Delta_SI-SIR",
    "SI-SAR_out",
    "SI-SDR_out",
    "FW-SIR_out",
    "FW-SAR_out",
    "FW-SDR_out",
    "PESQ",
    "STOI",
)
# Published without a suffix for the estimate.
_BARE = ("PESQ", "STOI")
# An unprocessed mixture lies in the plane of speech and noise: it has no artefact to rate.
_WITHOUT_INPUT = ("si_sar", "si_sar_leroux", "fw_sar")
# Columns of samples.csv that are no condition to compare scores by: what is said in a sample.
SPOKEN = ("transcript", "textgrid", "phones", "speech_file")
# The reference microphone is the first one of the manifest.
REFERENCE_MICROPHONE = 0

GROUPS = ("snr_db", "noise_type", "seen", "speaker")
CROSSED = ("noise_type", "snr_db")
UNKNOWN = "(unknown)"
# More different SNRs than this are drawn from a range, not chosen, and are sorted into classes. So
# are fewer, if they are not multiples of 0.5 dB and have fewer samples each than LEAST_SAMPLES.
MOST_SNRS = 12
LEAST_SAMPLES = 1.5
STEP_DB = 5.0


def keys_of(
    metrics: Iterable[Metric], signals: Mapping[str, Mapping[str, object]]
) -> tuple[str, ...]:
    """Return the keys to compute: of the estimate, and of the mixture where that means anything.

    ``signals`` are those that each sample has; without any mixture it has no scores.
    """
    mixtures = any("mixture" in files for files in signals.values())
    keys = []
    for metric in metrics:
        keys.append(f"out/{metric.name}")
        if mixtures and metric.name not in _WITHOUT_INPUT:
            keys.append(f"in/{metric.name}")
    return tuple(keys)


def column_name(key: str) -> str:
    """Return the column of a key: `out/si_sdr` -> `SI-SDR_out`, `out/pesq_wb` -> `PESQ`."""
    side, name = key.split("/")
    label = get_metric(name).label
    return label if side == "out" and label in _BARE else f"{label}_{side}"


def drawn_columns(keys: Sequence[str]) -> dict[str, Metric]:
    """Return the columns of the estimate, with their metrics."""
    names = [key.split("/")[1] for key in keys if key.startswith("out/")]
    return {column_name(f"out/{name}"): get_metric(name) for name in names}


def value_columns(table: pd.DataFrame, keys: Sequence[str]) -> dict[str, Metric]:
    """Return the table's columns of values: estimate's, mixture's, their difference; by metric."""
    metrics = {}
    for key in keys:
        metric = get_metric(key.split("/")[1])
        metrics[column_name(key)] = metrics[f"Delta_{metric.label}"] = metric
    return {column: metrics[column] for column in table if column in metrics}


def read_sample_table(testset: TestSet) -> pd.DataFrame:
    """Return the scores that ``utt_eval`` wrote, a row per sample, by the manifest's id.

    Raises:
        FileNotFoundError: The test set has not been scored.
    """
    path = testset.metrics / "metrics_by_sample.csv"
    if not path.is_file():
        system = f"--experiment_tag {testset.system}"
        system = f"--estimates {testset.estimates}" if testset.is_paired else system
        raise FileNotFoundError(f"no {path}: run evaluation.utt_eval {system}")
    return read_table(path).set_index("id")


def sample_table(
    samples: pd.DataFrame, values: Mapping[str, Mapping[str, float]], keys: Sequence[str]
) -> pd.DataFrame:
    """Return one row per sample: identity, published columns, further columns, improvements."""
    rows = [values[sample] for sample in samples["Sample_ID"]]
    columns = {column_name(key): [row.get(key) for row in rows] for key in keys}
    table = pd.DataFrame(columns, dtype="float64")
    for key in keys:
        side, name = key.split("/")
        after, before = column_name(f"out/{name}"), column_name(f"in/{name}")
        if side == "in" and after in table:
            table[f"Delta_{get_metric(name).label}"] = table[after] - table[before]
    first = [column for column in _PUBLISHED if column in table]
    rest = [column for column in table if column not in first]
    conditions = samples.drop(columns=["Sample_ID", *SPOKEN], errors="ignore")
    table = pd.concat([table[first + rest], conditions.set_axis(table.index)], axis=1)
    table.insert(0, "Sample_ID", list(samples["Sample_ID"]))
    table.insert(1, "Microphone", REFERENCE_MICROPHONE)
    return table


def summary_table(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return one row per column: mean over the samples that were scored, and how many were."""
    rows = []
    for column, metric in value_columns(table, keys).items():
        scored = table[column].dropna()
        rows.append(
            {
                "Metric": column,
                "Mean": scored.mean(),
                "Std": scored.std(),
                "Scored": len(scored),
                "Failed": len(table) - len(scored),
                "Unit": metric.unit,
                "Higher_is_better": metric.higher_is_better,
                "Source": metric.source,
            }
        )
    return pd.DataFrame(rows)


def snr_classes(snr_db: pd.Series, edges: Sequence[float] | None = None) -> pd.Series:
    """Return each sample's class of SNR, ordered, as a categorical.

    Args:
        snr_db: in dB, NaN where unknown.
        edges: classes are below the first, from one to the next (the lower one included), from the
            last on. By default every SNR is a class of its own. Where SNRs look drawn from a range
            (more than 12, or fractions that hardly come twice), classes are of 5 dB.

    Raises:
        ValueError: the edges do not rise.
    """
    values = pd.to_numeric(snr_db, errors="coerce").astype(float)
    distinct = np.unique(values.dropna())
    if edges is None and not _is_continuous(values.dropna().to_numpy()):
        labels = [f"{value:g}" for value in distinct]
        named = values.map(dict(zip(distinct, labels, strict=True)))
        return pd.Series(pd.Categorical(named, labels, ordered=True), index=values.index)
    if edges is None:  # multiples of 5 dB strictly between the lowest and the highest SNR
        first = math.floor(distinct[0] / STEP_DB) + 1
        last = math.ceil(distinct[-1] / STEP_DB) - 1
        edges = [STEP_DB * step for step in range(first, max(first, last) + 1)]
    if any(after <= before for before, after in pairwise(edges)):
        raise ValueError(f"the edges of SNR classes must rise; got {list(edges)}")
    labels = [
        f"< {edges[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(edges)),
        f">= {edges[-1]:g}",
    ]
    bins = [-math.inf, *edges, math.inf]
    return pd.cut(values, bins, right=False, labels=labels, ordered=True)


def group_tables(
    table: pd.DataFrame, columns: Sequence[str], edges: Sequence[float] | None = None
) -> dict[str, pd.DataFrame]:
    """Return, for each grouping that the table has, one row per group and column of values.

    Returns:
        By name, as `snr_db` or `noise_type_snr_db`: columns of the group, then Metric, Mean, Std,
        Scored, Failed.
    """
    groupings = {name: grouping(table[name], edges) for name in GROUPS if name in table}
    values = table[list(columns)].astype(float)
    tables = {name: _group_summary(values, {name: groups}) for name, groups in groupings.items()}
    if all(name in groupings for name in CROSSED):
        crossed = {name: groupings[name] for name in CROSSED}
        tables["_".join(CROSSED)] = _group_summary(values, crossed)
    return tables


def grouping(values: pd.Series, edges: Sequence[float] | None = None) -> pd.Series:
    """Return the group of every sample, its categories in order.

    ``values`` is NaN where unknown; its name is one of ``GROUPS``.
    """
    if values.name == "snr_db":
        groups = snr_classes(values, edges)
    else:
        text = values.map(lambda value: None if pd.isna(value) else str(value))
        groups = pd.Series(pd.Categorical(text, sorted(set(text.dropna()))), index=values.index)
    if groups.isna().any():
        groups = groups.cat.add_categories([UNKNOWN]).fillna(UNKNOWN)
    return groups.cat.remove_unused_categories()


def _group_summary(values: pd.DataFrame, groups: Mapping[str, pd.Series]) -> pd.DataFrame:
    names = list(groups)
    long = values.assign(**groups).melt(names, list(values), "Metric", "value")
    long["Metric"] = pd.Categorical(long["Metric"], list(values), ordered=True)
    grouped = long.groupby([*names, "Metric"], observed=True, sort=True)["value"]
    summary = grouped.agg(Mean="mean", Std="std", Scored="count", Samples="size").reset_index()
    summary["Failed"] = summary.pop("Samples") - summary["Scored"]
    return summary


def _is_continuous(snrs: np.ndarray) -> bool:
    """Return whether SNRs look drawn from a range."""
    distinct = np.unique(snrs)
    rare = len(snrs) < LEAST_SAMPLES * len(distinct)
    return len(distinct) > MOST_SNRS or (rare and bool(np.any(distinct % 0.5)))
