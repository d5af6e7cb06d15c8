"""Rows as a table: plain for the terminal, Markdown for a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .row import Goal, Limit, Row

__all__ = ["HEADINGS", "cells", "format_bytes", "format_seconds", "markdown_table", "plain_row"]

HEADINGS = (
    *("case", "time (least)", "memory", "anchor", "its time", "its memory"),
    *("times faster", "goal", "limit", "of limit"),
)
_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_COUNTS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def _three(value: float) -> str:
    """Return a number with three digits that mean something."""
    if value >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _scaled(value: float, units: Sequence[tuple[float, str]]) -> str:
    """Return a value in the first unit that it reaches; empty if it reaches none."""
    for size, unit in units:
        if value >= size:
            return f"{_three(value / size)} {unit}"
    return ""


def format_seconds(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    return _scaled(seconds, _TIMES) or f"{_three(seconds * 1e6)} µs"


def format_bytes(count: float) -> str:
    """Return an amount of memory in the unit that suits it."""
    return _scaled(count, _SIZES) or f"{count:.0f} B"


def _goal(goal: Goal) -> str:
    sign = "≤" if goal.at_most else "≥"
    verdict = "met" if goal.met else "**not met**"
    return f"{goal.what} {_three(goal.value)} ({sign} {goal.bound:g}): {verdict}"


def _limit(limit: Limit) -> str:
    if limit.pairs_s >= limit.moved_s:
        count = _scaled(limit.pairs, _COUNTS) or f"{limit.pairs:.0f}"
        return f"{format_seconds(limit.pairs_s)} ({count} products)"
    return f"{format_seconds(limit.moved_s)} ({format_bytes(limit.moved)} moved)"


def cells(row: Row) -> tuple[str, ...]:
    """Return what stands under each of `HEADINGS`."""

    def maybe(value: float | None, form: object) -> str:
        return "" if value is None else str(form(value))  # type: ignore[operator]

    return (
        row.case,
        f"{format_seconds(row.seconds)} ({format_seconds(row.best)})",
        maybe(row.memory, format_bytes),
        row.anchor,
        maybe(row.anchor_seconds, format_seconds),
        maybe(row.anchor_memory, format_bytes),
        maybe(row.faster, _three),
        "; ".join(map(_goal, row.goals)),
        "" if row.limit is None else _limit(row.limit),
        "" if row.limit is None else f"{row.limit.seconds / row.seconds:.0%}",
    )


def plain_row(row: Row) -> str:
    """Return a row for the terminal: what there is of it, each value with its name."""
    named = zip(HEADINGS[1:], cells(row)[1:], strict=True)
    line = f"{row.case}: " + ", ".join(f"{name} {text}" for name, text in named if text)
    line = line.replace("goal ", "").replace("**", "")
    return f"{line}\n    {row.note}" if row.note else line


def markdown_table(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table, without columns that are empty, and their notes below."""
    rows = list(rows)
    texts = [cells(row) for row in rows]
    used = [i for i in range(len(HEADINGS)) if i == 0 or any(text[i] for text in texts)]
    lines = [_line([HEADINGS[i] for i in used])]
    lines.append(_line(["---" if i in (0, 3, 7) else "---:" for i in used]))
    lines += [_line([text[i] for i in used]) for text in texts]
    notes = [f"- {row.case}: {row.note}" for row in rows if row.note]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
