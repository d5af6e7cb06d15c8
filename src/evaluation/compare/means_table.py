"""Table of means: the unprocessed mixture and each experiment, over their common samples.

python -m evaluation.table XP1 XP2 --format markdown
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from asteroid.utils.files import write_text
from evaluation.score.columns import read_sample_table
from evaluation.testset.experiment import ExperimentFolder, find_experiment
from evaluation.testset.options import add_experiment_options
from evaluation.work.cli import program
from evaluation.work.tables import Cell, Grid, number, to_markdown

__all__ = ["common_samples", "comparison_table", "main"]

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
DECIMALS = {"n": 0, "PESQ": 2, "STOI": 3, **dict.fromkeys(OPINIONS, 2)}


def comparison_table(
    experiments: Sequence[ExperimentFolder], testset: str | None = None
) -> pd.DataFrame:
    """Return means by experiment; `n` is the number of samples they have in common.

    A sample for which a metric is undefined in one row is left out of its mean in all.

    Raises:
        FileNotFoundError: an experiment has not been evaluated.
        ValueError: the experiments have no sample in common.
    """
    tables = common_samples(experiments, testset)
    first = next(iter(tables.values()))
    rows: dict[str, dict[str, float]] = {UNPROCESSED: {}, **{tag: {} for tag in tables}}
    for heading, after, before in COLUMNS:
        columns = {tag: table[after] for tag, table in tables.items() if after in table}
        if before in first:
            columns[UNPROCESSED] = first[before]
        values = pd.DataFrame(columns).dropna()
        for name in columns:
            rows[name][heading] = float(values[name].mean())
    result = pd.DataFrame.from_dict(rows, orient="index")
    headings = [heading for heading, _, _ in COLUMNS if heading in result]
    result = result[headings]
    result.insert(0, "n", len(first))
    return result.rename_axis("system")


def common_samples(
    experiments: Sequence[ExperimentFolder], testset: str | None
) -> dict[str, pd.DataFrame]:
    """Return metrics_by_sample.csv of each experiment, the samples that all have in one order.

    Raises:
        FileNotFoundError: an experiment has not been evaluated.
        ValueError: the experiments have no sample in common.
    """
    tables = {
        experiment.label(testset): read_sample_table(experiment.testset(testset))
        for experiment in experiments
    }
    common = sorted(set.intersection(*(set(table.index) for table in tables.values())))
    if not common:
        tags = ", ".join(tables)
        raise ValueError(f"no sample is in all of {tags}: were they given the same manifest?")
    if len(common) < max(map(len, tables.values())):
        logger.warning("only the %d samples that all experiments have are compared", len(common))
    return {tag: table.loc[common] for tag, table in tables.items()}


def to_grid(table: pd.DataFrame) -> Grid:
    """Return the table as it is printed, a dash where a mean does not exist."""
    rows = [
        [
            Cell(str(name)),
            *(Cell(number(value, DECIMALS.get(str(title), 1))) for title, value in row.items()),
        ]
        for name, row in table.iterrows()
    ]
    return Grid("", ["", *table.columns], rows)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tags", nargs="+", metavar="TAG", help="experiments, one row each")
    parser.add_argument("--format", choices=("text", "markdown", "csv"), default="text")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write to a file (default: print)"
    )
    add_experiment_options(parser, testset=True)


def _work(args: argparse.Namespace) -> int:
    table = comparison_table([find_experiment(tag, args.root) for tag in args.tags], args.testset)
    if args.format == "csv":
        text = table.to_csv(float_format="%.6g")
    elif args.format == "markdown":
        text = to_markdown(to_grid(table))
    else:
        text = table.to_string(float_format="%.3f", na_rep="-") + "\n"
    if args.output is None:
        print(text, end="")
        return 0
    write_text(args.output, text)
    return 0


main = program("table", __doc__, _add_options, _work)
