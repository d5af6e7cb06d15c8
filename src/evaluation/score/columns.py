"""From metrics to the columns of the published tables, and the tables themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from auditus import get_metric
from auditus.metric import Metric
from evaluation.work.ledger import Record

__all__ = [
    "column_name",
    "drawn_columns",
    "figure_columns",
    "keys_of",
    "sample_table",
    "summary_table",
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
# What is said in a sample is no condition to compare figures by.
_SAID = ("transcript", "textgrid", "phones", "speech_file")
# The reference microphone is the first one of the manifest.
REFERENCE_MICROPHONE = 0


def keys_of(
    metrics: Iterable[Metric], signals: Mapping[str, Mapping[str, object]]
) -> tuple[str, ...]:
    """Return the keys to compute: of the estimate, and of the mixture where that tells anything.

    Args:
        metrics: which figures.
        signals: of each sample the signals there are; without any mixture it has no figures.
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


def figure_columns(table: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return the table's columns of figures: estimate's, mixture's, and their difference."""
    found = set(_metric_by_column(keys))
    return [column for column in table if column in found]


def _metric_by_column(keys: Sequence[str]) -> dict[str, Metric]:
    metrics = {}
    for key in keys:
        metric = get_metric(key.split("/")[1])
        metrics[column_name(key)] = metrics[f"Delta_{metric.label}"] = metric
    return metrics


def sample_table(
    samples: pd.DataFrame, records: Mapping[str, Record], keys: Sequence[str]
) -> pd.DataFrame:
    """Return one row per sample: identity, published columns, further columns, improvements."""
    rows = [records[sample].values for sample in samples["Sample_ID"]]
    figures = {column_name(key): [row.get(key) for row in rows] for key in keys}
    table = pd.DataFrame(figures, dtype="float64")
    for key in keys:
        side, name = key.split("/")
        after, before = column_name(f"out/{name}"), column_name(f"in/{name}")
        if side == "in" and after in table:
            table[f"Delta_{get_metric(name).label}"] = table[after] - table[before]
    first = [column for column in _PUBLISHED if column in table]
    rest = [column for column in table if column not in first]
    known = samples.drop(columns=["Sample_ID", *_SAID], errors="ignore")
    table = pd.concat([table[first + rest], known.set_axis(table.index)], axis=1)
    table.insert(0, "Sample_ID", list(samples["Sample_ID"]))
    table.insert(1, "Microphone", REFERENCE_MICROPHONE)
    return table


def summary_table(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return one row per figure: mean over the samples that were scored, and how many were."""
    sources = _metric_by_column(keys)
    rows = []
    for column in figure_columns(table, keys):
        scored = table[column].dropna()
        rows.append(
            {
                "Metric": column,
                "Mean": scored.mean(),
                "Std": scored.std(),
                "Scored": len(scored),
                "Failed": len(table) - len(scored),
                "Unit": sources[column].unit,
                "Higher_is_better": sources[column].higher_is_better,
                "Source": sources[column].source,
            }
        )
    return pd.DataFrame(rows)
