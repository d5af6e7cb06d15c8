"""Columns of scores: which way is better, in which unit, with how many decimals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from auditus import METRICS, get_metric
from evaluation.score.columns import column_name

__all__ = ["ScoreColumn", "describe", "is_outcome"]

_RATES = ("WER_out", "PER_out", "WER", "PER")


@dataclass(frozen=True)
class ScoreColumn:
    """A column of scores.

    Attributes:
        name: the column.
        unit: "dB", "%" or "".
        higher_is_better: whether more is better.
    """

    name: str
    unit: str
    higher_is_better: bool

    @property
    def decimals(self) -> int:
        """Of differences and intervals: scores of small range need more."""
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
    """Return what is known of a column.

    An improvement has the direction of its metric, a mixture's score as well.

    Raises:
        ValueError: the column is no score of a known metric.
    """
    outcomes = _outcomes()
    bare = column.removeprefix("Delta_").removesuffix("_in")
    if bare not in outcomes:
        raise ValueError(
            f"{column!r} is no score whose direction is known; known are "
            f"{', '.join(METRICS.names())}, WER, PER, each with its column's name"
        )
    return ScoreColumn(column, outcomes[bare].unit, outcomes[bare].higher_is_better)
