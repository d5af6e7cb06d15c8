"""Tables: types survive being written and read, grids keep their marks in every form."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evaluation.work.tables import (
    Cell,
    Grid,
    number,
    read_table,
    to_latex,
    to_markdown,
    write_table,
)

NAMES = ["NA", "null", "nan", "None", "007", "1e5", "-inf", "true", "a,b", 'c"d', " e "]


def test_tables_are_read_with_the_types_they_were_written_with(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "id": NAMES,
            "speaker": [None, *NAMES[1:]],
            "SI-SDR_out": [1.5, float("nan"), *range(9)],
            "seen": [True, False] * 5 + [True],
        }
    )
    write_table(tmp_path / "new" / "t.csv", table)
    read = read_table(tmp_path / "new" / "t.csv")
    assert read["id"].tolist() == NAMES
    assert read["speaker"].isna().tolist() == [True] + [False] * 10
    assert read["speaker"].tolist()[1:] == NAMES[1:]
    assert read["SI-SDR_out"].isna().tolist() == [False, True] + [False] * 9
    assert read["seen"].tolist() == table["seen"].tolist()


def test_numbers_have_six_digits_or_all(tmp_path: Path) -> None:
    table = pd.DataFrame({"snr_db": [2 / 3]})
    write_table(tmp_path / "t.csv", table)
    assert read_table(tmp_path / "t.csv")["snr_db"][0] == 0.666667
    write_table(tmp_path / "t.csv", table, digits=None)
    assert read_table(tmp_path / "t.csv")["snr_db"][0] == 2 / 3


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no table .*t\.csv"):
        read_table(tmp_path / "t.csv")
    for content in (b"", b"id,a\n1,2,3\n4,5\n6,7,8,9\n", b"id\n\xff\xff\x80\n"):
        (tmp_path / "t.csv").write_bytes(content)
        with pytest.raises(ValueError, match=r"t\.csv is no table"):
            read_table(tmp_path / "t.csv")


def test_grids_keep_marks_and_escape_names() -> None:
    rows = [[Cell("a|b_1"), Cell("1.50", bold=True, star=True), Cell(number(float("nan"), 2))]]
    grid = Grid("100 % & more", ["system", "x < y", "n"], rows)
    dash = "\N{EN DASH}"
    assert to_markdown(grid) == (
        "**100 % & more**\n\n| system | x < y | n |\n|---|---:|---:|\n"
        f"| a\\|b_1 | **1.50\\*** | {dash} |\n"
    )
    latex = to_latex(grid)
    assert r"\caption{100 \% \& more}" in latex
    assert r"system & x $<$ y & n \\" in latex
    assert r"a|b\_1 & \textbf{1.50}$^{*}$ & -- \\" in latex
    assert to_markdown(Grid("", ["a", "b", "c"], [], names=2)) == "| a | b | c |\n|---|---|---:|\n"
