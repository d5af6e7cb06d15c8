"""What a column of a table says: which way is better, in which unit, with how many decimals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from auditus import METRICS, get_metric
from evaluation.score.columns import column_name

__all__ = ["Figure", "figure", "is_outcome"]


@dataclass(frozen=True)
class Figure:
    """A column that judges an estimate.

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
        """How many decimals tables show: figures of small range need more."""
        if self.unit in ("dB", "%"):
            return 2
        return 3


@cache
def _known() -> dict[str, Figure]:
    """Return the figures by column; a metric's column has its label, bare or with `_out`."""
    rates = ("WER_out", "PER_out", "WER", "PER")
    known = {name: Figure(name, "%", higher_is_better=False) for name in rates}
    for name in METRICS.names():
        metric = get_metric(name)
        for column in (column_name(f"out/{name}"), f"{metric.label}_out", metric.label, name):
            known.setdefault(column, Figure(column, metric.unit, metric.higher_is_better))
    return known


def is_outcome(column: str) -> bool:
    """Return whether a column judges the estimate (not the mixture, not an improvement)."""
    return column in _known()


def figure(column: str) -> Figure:
    """Return what is known of a column.

    An improvement has the direction of its metric, a mixture's figure as well.

    Raises:
        ValueError: the column is no figure of a known metric.
    """
    known = _known()
    bare = column.removeprefix("Delta_").removesuffix("_in")
    if bare not in known:
        raise ValueError(
            f"{column!r} is no figure whose direction is known; known are "
            f"{', '.join(METRICS.names())}, WER, PER, each with its column's name"
        )
    return Figure(column, known[bare].unit, known[bare].higher_is_better)
