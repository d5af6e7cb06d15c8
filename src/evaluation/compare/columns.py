"""Columns of scores: their direction, unit and decimals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from auditus import METRICS, get_metric
from evaluation.score.columns import column_name

__all__ = ["ScoreColumn", "describe", "is_outcome"]

_RATES = ("WER_out", "PER_out", "WER", "PER")


@dataclass(frozen=True)
class ScoreColumn:
    """A column of scores, with its unit ("dB", "%" or "") and direction."""

    name: str
    unit: str
    higher_is_better: bool

    @property
    def decimals(self) -> int:
        """Decimals of differences and intervals: scores of small range need more."""
        return 2 if self.unit in ("dB", "%") else 3

    @property
    def title(self) -> str:
        """The heading of a table: name and unit."""
        name = self.name.removesuffix("_out")
        return f"{name} ({self.unit})" if self.unit else name


@cache
def _outcomes() -> dict[str, ScoreColumn]:
    """Return the columns of estimates; a metric's has its label, bare or with `_out`."""
    columns = {name: ScoreColumn(name, "%", higher_is_better=False) for name in _RATES}
    for name in METRICS.names():
        metric = get_metric(name)
        for column in (column_name(f"out/{name}"), f"{metric.label}_out", metric.label, name):
            columns.setdefault(column, ScoreColumn(column, metric.unit, metric.higher_is_better))
    return columns


def is_outcome(column: str) -> bool:
    """Return whether a column scores the estimate (not the mixture, not an improvement)."""
    return column in _outcomes()


def describe(column: str) -> ScoreColumn:
    """Return unit and direction of a column, which may be an improvement or a mixture's score.

    Raises:
        ValueError: the column is no score of a metric.
    """
    outcomes = _outcomes()
    bare = column.removeprefix("Delta_").removesuffix("_in")
    if bare not in outcomes:
        raise ValueError(
            f"{column!r} is the column of no metric; metrics are {', '.join(METRICS.names())}, "
            "WER, PER"
        )
    return ScoreColumn(column, outcomes[bare].unit, outcomes[bare].higher_is_better)
