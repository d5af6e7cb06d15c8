"""Tables of scores: by segment, by class in each utterance, by class, published columns first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from auditus import get_metric
from evaluation.score.columns import column_name
from evaluation.testset.testset import TestSet

__all__ = [
    "PUBLISHED",
    "class_column",
    "class_table",
    "mean_by_class",
    "renamed",
    "segment_table",
    "summary_table",
    "utterance_table",
]

# The published columns, in their order; others follow.
PUBLISHED = (
    "si-sir_in",
    "si-sir_out",
    "si-sar_out",
    "si-sdr_out",
    "fw-si-sir_in",
    "fw-si-sir_out",
    "fw-si-sar_out",
    "fw-si-sdr_out",
)
_FACTS = ("speaker", "noise_type", "snr_db", "seen")
_COUNTS = ("utterances", "segments", "duration_s")


def class_column(key: str) -> str:
    """Return the column of a key in the table of classes, as published.

    >>> class_column("out/fw_sdr"), class_column("in/stoi"), class_column("delta/si_sdr")
    ('fw-si-sdr_out', 'stoi_in', 'delta_si-sdr')
    """
    side, name = key.split("/")
    label = name.replace("_", "-")
    if name in ("fw_sdr", "fw_sir", "fw_sar"):
        label = label.replace("fw-", "fw-si-")
    return f"delta_{label}" if side == "delta" else f"{label}_{side}"


def _with_deltas(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Add ``delta/<metric>``, the estimate's value less the mixture's, where there are both."""
    deltas = {
        key.replace("in/", "delta/"): table[key.replace("in/", "out/")] - table[key]
        for key in keys
        if key.startswith("in/") and key.replace("in/", "out/") in table
    }
    return pd.concat([table, pd.DataFrame(deltas, index=table.index)], axis=1)


def _values(table: pd.DataFrame) -> list[str]:
    """Return the columns of values, which are keys."""
    return [column for column in table if "/" in column]


def renamed(table: pd.DataFrame) -> pd.DataFrame:
    """Name values as the table of utterances does: ``SI-SDR_out``, ``Delta_SI-SDR``."""
    names = {}
    for key in _values(table):
        side, name = key.split("/")
        names[key] = f"Delta_{get_metric(name).label}" if side == "delta" else column_name(key)
    return table.rename(columns=names)


def segment_table(
    segments: pd.DataFrame, values: pd.DataFrame, keys: Sequence[str]
) -> pd.DataFrame:
    """Return one row per phone: label, class, times, and its values by key."""
    return pd.concat([segments, _with_deltas(values, keys).set_axis(segments.index)], axis=1)


def utterance_table(
    samples: pd.DataFrame, classes: pd.DataFrame, keys: Sequence[str]
) -> pd.DataFrame:
    """Return one row per utterance and class, with the conditions of the utterance."""
    facts = ["Sample_ID", "id", *(fact for fact in _FACTS if fact in samples)]
    table = samples[facts].merge(classes, on="Sample_ID", how="right", sort=False)
    values = table[list(keys)].astype("float64")
    return pd.concat([table.drop(columns=list(keys)), _with_deltas(values, keys)], axis=1)


def class_table(
    testset: TestSet, names: Sequence[str], by_class: Mapping[str, pd.Series], method: str
) -> pd.DataFrame:
    """Return metrics_by_phoneme.csv: one row per class, the published columns first.

    Classes without a phone have a row too. ``by_class`` gives of a class its values by key,
    utterances, segments and duration_s.
    """
    rows = []
    for name in names:
        values = dict(by_class.get(name, {}))
        # "loss", as published: there every system was trained with another loss.
        row: dict[str, object] = {"testset": testset.name, "loss": testset.system, "phoneme": name}
        row |= {class_column(key): value for key, value in values.items() if "/" in key}
        row |= {count: values.get(count, 0) for count in _COUNTS}
        rows.append(row | {"method": method})
    table = pd.DataFrame(rows)
    first = ["testset", "loss", "phoneme", *(name for name in PUBLISHED if name in table)]
    last = [*_COUNTS, "method"]
    rest = [column for column in table if column not in (*first, *last)]
    return table[[*first, *rest, *last]].astype({"utterances": int, "segments": int})


def mean_by_class(utterances: pd.DataFrame, names: Sequence[str]) -> dict[str, pd.Series]:
    """Average the values of each class over the utterances that have it."""
    means = {}
    for name in names:
        rows = utterances[utterances["phoneme"] == name]
        if len(rows):
            counts = {"utterances": len(rows), **rows[["segments", "duration_s"]].sum()}
            means[name] = pd.Series({**rows[_values(utterances)].mean(), **counts})
    return means


def summary_table(
    utterances: pd.DataFrame, segments: pd.DataFrame, members: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Return one row per class and value: means over utterances and over segments, with counts.

    ``members`` gives the classes in each class or group.
    """
    rows = []
    for name, classes in members.items():
        mine = utterances[utterances["phoneme"] == name]
        parts = segments[segments["class"].isin(classes)]
        for key in _values(utterances):
            row = {"phoneme": name, "figure": class_column(key)}
            row["unit"] = get_metric(key.split("/")[1]).unit
            for unit, values in (("utterances", mine[key]), ("segments", parts[key])):
                row[f"mean_over_{unit}"], row[f"std_over_{unit}"] = values.mean(), values.std()
                row[unit] = values.count()
            rows.append(row | {"segments_without_value": int(parts[key].isna().sum())})
    return pd.DataFrame(rows)
