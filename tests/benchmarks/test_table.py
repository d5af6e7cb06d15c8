"""Rows as tables, on their way through files, and as a page."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from benchmarks.results import Result, machine, page, read_lines
from benchmarks.row import Goal, Limit, Row, row_from_json
from benchmarks.table import format_bytes, format_seconds, markdown_table, plain_row

ROW = Row(
    "a | b",
    0.25,
    0.2,
    3 * 2**20,
    "Asteroid",
    1.0,
    2**30,
    4.0,
    (Goal("times faster", 4.0, 3.0), Goal("memory, ratio", 0.9, 0.7, at_most=True)),
    Limit(2e9, 1e6, 0.1, 0.05),
    "why it is so",
)
BARE = Row("bare", 2e-6, 1e-6)


def test_a_row_shows_every_figure_with_its_unit():
    header, rule, first, second, *notes = markdown_table([ROW, BARE]).splitlines()
    assert header.count("|") == rule.count("|") == second.count("|") == 11
    cells = [cell.strip() for cell in first.replace("\\|", "/").split("|")[1:-1]]
    assert cells == [
        "a / b",
        "250 ms (200 ms)",
        "3.00 MiB",
        "Asteroid",
        "1.00 s",
        "1.00 GiB",
        "4.00",
        "times faster 4.00 (≥ 3): met; memory, ratio 0.90 (≤ 0.7): **not met**",
        "100 ms (2.00 G products)",
        "40%",
    ]
    assert notes == ["", "- a | b: why it is so"]
    line = plain_row(ROW)
    assert "not met" in line
    assert "*" not in line


def test_columns_without_a_figure_are_left_out():
    assert markdown_table([BARE]).splitlines()[0] == "| case | time (least) |"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(123.4, "123 s"), (1.0, "1.00 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 µs"), (0, "0 µs")],
)
def test_times_have_three_digits_and_a_unit(seconds, text):
    assert format_seconds(seconds) == text


def test_sizes_have_a_unit():
    assert [format_bytes(size) for size in (12, 2048, 1.5 * 2**30)] == [
        "12 B",
        "2.00 KiB",
        "1.50 GiB",
    ]


def test_goals_are_met_at_their_bounds_and_never_by_nan():
    assert Goal("x", 2.0, 2.0).met
    assert Goal("x", 2.0, 2.0, at_most=True).met
    assert not Goal("x", 1.9, 2.0).met
    assert not Goal("x", 2.1, 2.0, at_most=True).met
    assert not Goal("x", float("nan"), 2.0).met
    assert not Goal("x", float("nan"), 2.0, at_most=True).met


def test_the_limit_is_the_larger_time():
    assert Limit(1, 1, 0.1, 0.2).seconds == 0.2
    moved = Row("x", 1.0, 1.0, limit=Limit(1, 2**20, 0.1, 0.2))
    assert "1.00 MiB moved" in markdown_table([moved])


def test_rows_travel_by_json():
    for row in (ROW, BARE):
        assert row_from_json(json.loads(json.dumps(asdict(row)))) == row


def test_a_line_cut_by_a_kill_loses_only_itself(tmp_path):
    path = tmp_path / "a.jsonl"
    whole = json.dumps({"row": asdict(ROW)})
    path.write_text(json.dumps({"about": {"quick": False}}) + f"\n{whole}\n{whole[:50]}")
    result = Result("a", "A", ["python"])
    read_lines(path, result)
    read_lines(tmp_path / "missing.jsonl", result)
    assert result.about == {"quick": False}
    assert result.rows == [ROW]


def test_a_page_names_the_machine_the_commands_and_what_failed():
    about = {"device": "cpu", "threads": 2, "clock": "wall", "quick": True}
    about |= {"pairs_per_s": 5e10, "bytes_per_s": 1e10}
    good = Result("a", "Good", ["python", "-m", "benchmarks.a"], about, [ROW], 61.0)
    bad = Result("b", "Bad", ["python", "-m", "benchmarks.b"], failure="exit status 1")
    facts = machine()
    text = page([good, bad], facts)
    for name in ("Date:", "Hardware:", "Commit:", "Versions:"):
        assert sum(line.startswith(f"- {name}") for line in facts) == 1
        assert name in text
    assert "1.0 minutes; 1 of 2 goals met" in text
    assert "## Good\n\n`python -m benchmarks.a`, 61 s; cpu, 2 threads, wall time, 50 G" in text
    assert "smallest sizes, not to be cited" in text
    assert "## Bad" in text
    assert "**Ended early: exit status 1**" in text
    assert "Nothing was measured." in text
