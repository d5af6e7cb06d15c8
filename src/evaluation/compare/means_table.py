"""One table of means: the unprocessed mixture and each experiment, over their common samples.

python -m evaluation.table XP1 XP2 --format markdown
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from asteroid.utils.files import atomic_path
from evaluation.testset.experiment import Experiment, find_experiment
from evaluation.work.cli import add_experiment_options
from seloss.program import run_command

__all__ = ["comparison_table", "main", "read_metrics", "to_markdown"]

logger = logging.getLogger(__name__)

UNPROCESSED = "unprocessed mixture"
OPINIONS = ("CSIG", "CBAK", "COVL", "DNSMOS-SIG", "DNSMOS-BAK", "DNSMOS-OVRL")
# Heading, column of the estimate, column of the unprocessed mixture.
COLUMNS = (
    ("SI-SDR (dB)", "SI-SDR_out", "SI-SDR_in"),
    ("SI-SIR (dB)", "SI-SIR_out", "SI-SIR_in"),
    ("SI-SAR (dB)", "SI-SAR_out", None),
    ("FW-SDR (dB)", "FW-SDR_out", "FW-SDR_in"),
    ("PESQ", "PESQ", "PESQ_in"),
    ("STOI", "STOI", "STOI_in"),
    *((name, f"{name}_out", f"{name}_in") for name in OPINIONS),
    ("segSNR (dB)", "segSNR_out", "segSNR_in"),
)
DECIMALS = {"PESQ": 2, "STOI": 3, **dict.fromkeys(OPINIONS, 2)}


def comparison_table(experiments: Sequence[Experiment], testset: str | None = None) -> pd.DataFrame:
    """Return means by experiment, `n` the number of samples they have in common.

    A figure that is not defined for a sample is left out of that figure's mean, in every row alike.

    Raises:
        FileNotFoundError: an experiment has not been judged.
        ValueError: the experiments have no sample in common.
    """
    tables = {one.label(testset): read_metrics(one, testset) for one in experiments}
    common = set.intersection(*(set(table.index) for table in tables.values()))
    if not common:
        tags = ", ".join(tables)
        raise ValueError(f"no sample is in all of {tags}: were they given the same manifest?")
    widest = max(len(table) for table in tables.values())
    if len(common) < widest:
        logger.warning("only the %d samples that all experiments have are compared", len(common))
    tables = {tag: table.loc[sorted(common)] for tag, table in tables.items()}
    first = next(iter(tables.values()))
    rows: dict[str, dict[str, float]] = {UNPROCESSED: {}, **{tag: {} for tag in tables}}
    for heading, after, before in COLUMNS:
        columns = {tag: table[after] for tag, table in tables.items() if after in table}
        if before in first:
            columns[UNPROCESSED] = first[before]
        figures = pd.DataFrame(columns).dropna()
        for name in columns:
            rows[name][heading] = float(figures[name].mean())
    result = pd.DataFrame.from_dict(rows, orient="index")
    headings = [heading for heading, _, _ in COLUMNS if heading in result]
    result = result[headings]
    result.insert(0, "n", len(common))
    return result.rename_axis("system")


def to_markdown(table: pd.DataFrame) -> str:
    """Return the table in Markdown, a dash where a figure does not exist."""
    head = ["", *table.columns]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' + '---:|' * len(table.columns)}"]
    for name, row in table.iterrows():
        cells = [str(name), *(_cell(heading, value) for heading, value in row.items())]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(heading: object, value: float) -> str:
    if pd.isna(value):
        return "–"  # noqa: RUF001 - a dash, meant
    return str(int(value)) if heading == "n" else f"{value:.{DECIMALS.get(str(heading), 1)}f}"


def read_metrics(experiment: Experiment, testset: str | None) -> pd.DataFrame:
    """Return metrics_by_sample.csv by the manifest's id."""
    path = experiment.testset(testset).metrics / "metrics_by_sample.csv"
    if not path.is_file():
        hint = f"run evaluation.utt_eval --experiment_tag {experiment.tag}"
        raise FileNotFoundError(f"no {path}: {hint}")
    table = pd.read_csv(path, dtype={"id": str}, keep_default_na=False, na_values=[""])
    return table.set_index("id")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="table", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tags", nargs="+", metavar="TAG", help="experiments, one row each")
    parser.add_argument("--testset", metavar="NAME", help="needed where an experiment has several")
    parser.add_argument("--format", choices=("text", "markdown", "csv"), default="text")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write to a file (default: print)"
    )
    add_experiment_options(parser)
    return parser


def _work(args: argparse.Namespace) -> int:
    table = comparison_table([find_experiment(tag, args.root) for tag in args.tags], args.testset)
    if args.format == "csv":
        text = table.to_csv(float_format="%.6g")
    elif args.format == "markdown":
        text = to_markdown(table)
    else:
        text = table.to_string(float_format="%.3f", na_rep="-") + "\n"
    if args.output is None:
        print(text, end="")
        return 0
    with atomic_path(args.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    return run_command(_parser(), _work, argv)
