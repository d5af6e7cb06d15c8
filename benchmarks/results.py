"""Results of all benchmarks as one Markdown page, with the machine they were measured on."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from seloss.train.run.environment import describe_environment

from .row import Row, row_from_json
from .table import markdown_table

__all__ = ["Result", "describe_setting", "machine", "page", "read_lines"]

_HEAD = """# Speed and memory

Written by `make bench`; what each benchmark does stands at the top of its file. Times are medians,
the least in brackets. "times faster" is the median, over pairs of runs one after the other in one
process, with the same weights and inputs, of the anchor's time to ours. "limit" is the larger of
two times that no step can beat: its multiplications with additions at the measured rate of matrix
products, and the bytes it has to move at the measured bandwidth; "of limit" is how much of our time
that would be.
"""


@dataclass
class Result:
    """What one benchmark left.

    Attributes:
        name: Of its module.
        title: For the heading.
        command: What was run.
        about: Device, threads, clock, rates; empty if it did not get so far.
        rows: What it measured.
        seconds: How long it took.
        failure: Why it ended early; empty if it did not.
    """

    name: str
    title: str
    command: Sequence[str]
    about: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""


def read_lines(path: Path, result: Result) -> None:
    """Add what a benchmark has written to its file; a line cut by its death is left out."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "about" in entry:
            result.about = entry["about"]
        else:
            result.rows.append(row_from_json(entry["row"]))


def machine() -> list[str]:
    """Return lines that say when, on what and with what was measured."""
    facts = describe_environment(seed=0)
    hardware, gpus = facts["hardware"], facts["hardware"]["gpus"]
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    versions = ", ".join(f"{name} {value}" for name, value in facts["versions"].items() if value)
    commit = facts["commit"] or "unknown (no git)"
    if facts["modified_files"]:
        commit += f", with {facts['modified_files']} files changed since"
    return [
        f"- Date: {facts['started']}",
        f"- Hardware: {_processor()}, {hardware['cpus']} cores, {memory:.0f} GiB; "
        f"GPU: {', '.join(gpus) if gpus else 'none'}; {hardware['system']}",
        f"- Load of the machine at the start, processes: {load:.1f}",
        f"- Commit: {commit}",
        f"- Versions: {versions}",
    ]


def _processor() -> str:
    """Return the processor's name as Linux knows it, else as Python does."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def page(results: Iterable[Result], facts: Sequence[str]) -> str:
    """Return the page: the machine, goals at a glance, a table for each benchmark."""
    results = list(results)
    goals = [goal for result in results for row in result.rows for goal in row.goals]
    met = sum(goal.met for goal in goals)
    total = sum(result.seconds for result in results)
    lines = [*facts, f"- Took {total / 60:.1f} minutes; {met} of {len(goals)} goals met"]
    return "\n".join([_HEAD, *lines, "", *(_section(result) for result in results)])


def describe_setting(about: Mapping[str, Any]) -> str:
    """Return device, threads, clock and the machine's rates in one line."""
    return (
        f"{about['device']}, {about['threads']} threads, {about['clock']} time, "
        f"{about['pairs_per_s'] / 1e9:.0f} G products/s, {about['bytes_per_s'] / 1e9:.1f} GB/s"
    )


def _section(result: Result) -> str:
    lines = [f"## {result.title}", "", f"`{shlex.join(result.command)}`, {result.seconds:.0f} s"]
    if result.about:
        lines[-1] += f"; {describe_setting(result.about)}"
        lines[-1] += "; **smallest sizes, not to be cited**" if result.about["quick"] else ""
    if result.failure:
        lines += ["", f"**Ended early: {result.failure}**"]
    table = markdown_table(result.rows) if result.rows else "Nothing was measured.\n"
    return "\n".join([*lines, "", table])
