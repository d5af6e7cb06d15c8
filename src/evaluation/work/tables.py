"""Tables: CSV files with the types they were written with, and grids as Markdown and LaTeX."""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from asteroid.utils.files import atomic_path

__all__ = [
    "DASH",
    "TEXT_COLUMNS",
    "Cell",
    "Grid",
    "number",
    "read_table",
    "to_latex",
    "to_markdown",
    "write_table",
]

# Columns of text, even if it looks like a number: an id may be `007` or `NA`.
TEXT_COLUMNS = frozenset(
    {
        *("Sample_ID", "id", "speaker", "noise_type", "transcript", "textgrid", "phones", "notice"),
        "speech_file",
        *("phone", "class", "phoneme", "preceding", "following", "system", "signal", "metric"),
        *("Metric", "Reason", "Unit", "Source", "reference", "guessed", "reason", "participant"),
        *("utterance", "pair"),
    }
)
DASH = "–"  # noqa: RUF001 - where there is no number
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "−": "$-$",  # noqa: RUF001 - a minus sign, meant
    "–": "--",  # noqa: RUF001 - a dash, meant
}


def read_table(path: Path) -> pd.DataFrame:
    """Return a CSV table: `TEXT_COLUMNS` as text, only empty cells missing.

    A spreadsheet's are read too: UTF-16, or with semicolons and decimal commas.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no table {path}")
    with path.open("rb") as file:
        start = file.read(2)
    encoding = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        with path.open(encoding=encoding) as lines:
            head = lines.readline()
        excel = ";" in head and "," not in head
        return pd.read_csv(
            path,
            sep=";" if excel else ",",
            decimal="," if excel else ".",
            encoding=encoding,
            dtype=dict.fromkeys(TEXT_COLUMNS, str),
            keep_default_na=False,
            na_values=[""],
        )
    except (UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path} is no table of comma-separated values: {error}") from error


def write_table(path: Path, table: pd.DataFrame, *, digits: int | None = 6) -> None:
    """Write a CSV table in one step.

    ``digits`` are the significant ones of numbers; None: all.
    """
    form = None if digits is None else f"%.{digits}g"
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format=form)


@dataclass(frozen=True)
class Cell:
    """Cell of a grid: its text, in bold or not, starred or not."""

    text: str
    bold: bool = False
    star: bool = False


@dataclass(frozen=True)
class Grid:
    """Table to print: caption ("" for none), headings, rows; first `names` columns of text."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    names: int = 1


def number(value: float, decimals: int) -> str:
    """Return a number as text, a dash where there is none."""
    return f"{value:.{decimals}f}" if math.isfinite(value) else DASH


def to_markdown(grid: Grid) -> str:
    """Return a Markdown table under its caption."""
    lines = [f"**{_escaped(grid.caption)}**", ""] if grid.caption else []
    lines.append(f"| {' | '.join(map(_escaped, grid.head))} |")
    # Names to the left, numbers to the right.
    lines.append(f"|{'---|' * grid.names}{'---:|' * (len(grid.head) - grid.names)}")
    for row in grid.rows:
        texts = []
        for cell in row:
            text = _escaped(cell.text) + (r"\*" if cell.star else "")
            texts.append(f"**{text}**" if cell.bold else text)
        lines.append(f"| {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def to_latex(grid: Grid) -> str:
    """Return a LaTeX table (packages: booktabs)."""
    layout = "l" * grid.names + "r" * (len(grid.head) - grid.names)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_latex(grid.caption)}}}"]
    lines += [rf"\begin{{tabular}}{{{layout}}}", r"\toprule"]
    lines += [" & ".join(map(_latex, grid.head)) + r" \\", r"\midrule"]
    for row in grid.rows:
        texts = []
        for cell in row:
            text = _latex(cell.text)
            text = rf"\textbf{{{text}}}" if cell.bold else text
            texts.append(text + (r"$^{*}$" if cell.star else ""))
        lines.append(" & ".join(texts) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
