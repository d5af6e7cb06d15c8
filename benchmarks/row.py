"""Result of one case of a benchmark: a line of its table, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .timing import Times, ratio

__all__ = ["Goal", "Limit", "Row", "row_from_json", "row_of"]


@dataclass(frozen=True)
class Goal:
    """A value and what it should be.

    Attributes:
        what: What the value is, for example ``times faster``.
        value: As measured.
        bound: What it should reach.
        at_most: Whether it should stay at or below the bound instead.
    """

    what: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is what it should be; NaN is not."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound


@dataclass(frozen=True)
class Limit:
    """What the machine needs for a step without any overhead.

    Attributes:
        pairs: Multiplications with an addition.
        moved: Bytes that have to be read and written.
        pairs_s: Seconds that the pairs take at the measured rate of matrix products.
        moved_s: Seconds that the bytes take at the measured bandwidth of the memory.
    """

    pairs: float
    moved: float
    pairs_s: float
    moved_s: float

    @property
    def seconds(self) -> float:
        """The larger of both: no step can take less."""
        return max(self.pairs_s, self.moved_s)


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        case: What was measured, for example ``4 of 6 microphones``.
        seconds: Median time of it.
        best: Least time of it, in seconds.
        memory: Most bytes it needed at a time, beyond what was in use before; None: not measured.
        anchor: What it is compared with; empty: nothing.
        anchor_seconds: Median time of that.
        anchor_memory: Most bytes of that.
        faster: Median, over pairs of runs one after the other, of the anchor's time to ours.
        goals: What is asked of it.
        limit: What the machine allows; None: not known.
        note: What a reader has to know beside the values, and why a goal is out of reach.
    """

    case: str
    seconds: float
    best: float
    memory: float | None = None
    anchor: str = ""
    anchor_seconds: float | None = None
    anchor_memory: float | None = None
    faster: float | None = None
    goals: tuple[Goal, ...] = ()
    limit: Limit | None = None
    note: str = ""


def row_of(
    case: str,
    times: Mapping[str, Times],
    memory: Mapping[str, float | None] | None = None,
    **fields: Any,
) -> Row:
    """Return the row of timed steps.

    Args:
        case: What was measured.
        times: Of ``ours`` and, if it was compared, of ``anchor``.
        memory: Most bytes of these.
        **fields: Of the row: the anchor's name, goals, limit, note.
    """
    ours, anchor, memory = times["ours"], times.get("anchor"), memory or {}
    row = Row(case, ours.median, ours.best, memory.get("ours"), **fields)
    if anchor is None:
        return row
    faster = ratio(ours, anchor)
    return replace(
        row, anchor_seconds=anchor.median, anchor_memory=memory.get("anchor"), faster=faster
    )


def row_from_json(entry: Mapping[str, Any]) -> Row:
    """Return the row of which ``dataclasses.asdict`` made an entry."""
    goals = tuple(Goal(**goal) for goal in entry["goals"])
    limit = None if entry["limit"] is None else Limit(**entry["limit"])
    return Row(**{**entry, "goals": goals, "limit": limit})
