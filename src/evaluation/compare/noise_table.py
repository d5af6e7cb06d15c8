"""Tables of means by noise and SNR: rows of noises and SNRs, columns of systems.

    python -m evaluation.noise_table DCCRN_mse DCCRN_si_snr DCCRN_si_snr_lms -o tables

The layout of "DCCRN with various loss functions": seen and unseen noise, each with its SNRs and
their mean, then the mean of all. Writes tables.md to read and tables.csv to compute with; without
-o it prints the former. Every cell is a mean over the samples of that noise and SNR for which every
experiment has the metric. `--rows noise_type` has a block per noise instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from asteroid.utils.files import write_text
from evaluation.score.columns import snr_classes
from evaluation.testset.experiment import ExperimentFolder, find_experiment
from evaluation.testset.options import add_experiment_options
from evaluation.work.cli import program
from evaluation.work.tables import Cell, Grid, number, to_markdown

from .means_table import common_samples

__all__ = ["main", "noise_tables"]

NOISY = "noisy"
# Metric by its column: title, decimals, and its column of the unprocessed mixture.
METRICS = {
    "PESQ": ("PESQ", 2, "PESQ_in"),
    "STOI": ("STOI", 3, "STOI_in"),
    "ESTOI": ("ESTOI", 3, "ESTOI_in"),
    "SI-SDR": ("SI-SDR (dB)", 2, "SI-SDR_in"),
}
AVERAGE = "mean"
# Names of the values of `seen` in the index.
CLASSES = {"True": "seen", "False": "unseen"}


def noise_tables(
    experiments: Sequence[ExperimentFolder],
    testset: str | None = None,
    *,
    metrics: Sequence[str] = ("PESQ", "STOI"),
    rows: str = "seen",
) -> dict[str, pd.DataFrame]:
    """Return a table for each metric, indexed by noise and SNR, with the number of samples first.

    ``metrics`` are some of ``METRICS``; ``rows``, `seen` or `noise_type`, is what the blocks are.

    Raises:
        FileNotFoundError: An experiment has not been evaluated.
        ValueError: The samples do not say their noise and SNR, the experiments have none in common,
            or a metric was not computed.
    """
    tables = common_samples(experiments, testset)
    first = next(iter(tables.values()))
    groups = _groups(first, rows)
    result = {}
    for metric in metrics:
        title, _, before = METRICS[metric]
        after = f"{metric}_out" if f"{metric}_out" in first else metric
        lacking = [tag for tag, table in tables.items() if after not in table]
        if lacking:
            raise ValueError(
                f"{', '.join(lacking)} was not scored by {metric}: see utt_eval --metrics"
            )
        columns = {NOISY: first[before]} if before in first else {}
        columns |= {tag: table[after] for tag, table in tables.items()}
        result[title] = _means(pd.DataFrame(columns).astype(float).dropna(), groups)
    return result


def _groups(table: pd.DataFrame, rows: str) -> pd.DataFrame:
    """Return each sample's noise and SNR, as the index names them."""
    for name in (rows, "snr_db"):
        if name not in table or table[name].isna().any():
            raise ValueError(f"not all samples have a {name}: the manifest must name it")
    noise = table[rows].astype(str)
    return pd.DataFrame(
        {"noise": noise.map(CLASSES).fillna(noise), "snr_db": snr_classes(table["snr_db"])}
    )


def _means(values: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """Return means of each noise at each SNR, of each noise, and of all."""
    groups = groups.loc[values.index]
    blocks = []
    for noise in sorted(groups["noise"].unique()):
        mine = values[groups["noise"] == noise]
        by_snr = mine.groupby(groups["snr_db"], observed=True)
        block = by_snr.mean()
        block.insert(0, "n", by_snr.size())
        block.index = pd.MultiIndex.from_product([[noise], block.index.astype(str)])
        blocks += [block, _average(mine, noise)]
    blocks.append(_average(values, "all"))
    return pd.concat(blocks).rename_axis(["noise", "SNR (dB)"])


def _average(values: pd.DataFrame, noise: str) -> pd.DataFrame:
    row = values.mean().to_frame().T
    row.insert(0, "n", len(values))
    row.index = pd.MultiIndex.from_tuples([(noise, AVERAGE)])
    return row


def _grid(title: str, table: pd.DataFrame) -> Grid:
    """Return a table as it is printed; the best experiment of each row is bold."""
    decimals = {heading: places for heading, places, _ in METRICS.values()}[title]
    rows = []
    for keys, row in table.iterrows():
        assert isinstance(keys, tuple)
        texts = {str(name): number(value, decimals) for name, value in row.items() if name != "n"}
        # Of the printed numbers, so that equal ones are bold alike; every metric here is better
        # if it is higher.
        best = max(float(text) for name, text in texts.items() if name != NOISY)
        cells = [
            Cell(text, bold=name != NOISY and float(text) == best) for name, text in texts.items()
        ]
        rows.append([*map(Cell, map(str, keys)), Cell(str(int(row["n"]))), *cells])
    return Grid(title, ["noise", "SNR (dB)", *map(str, table.columns)], rows)


def _to_markdown(tables: Mapping[str, pd.DataFrame]) -> str:
    return "\n".join(to_markdown(_grid(title, table)) for title, table in tables.items())


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tags", nargs="+", metavar="TAG", help="experiments, one column each")
    parser.add_argument(
        "--figures",
        nargs="+",
        choices=list(METRICS),
        default=["PESQ", "STOI"],
        metavar="NAME",
        help=f"some of {', '.join(METRICS)} (default: PESQ STOI)",
    )
    parser.add_argument(
        "--rows", choices=("seen", "noise_type"), default="seen", help="row blocks (default: seen)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="NAME", help="writes NAME.md and NAME.csv"
    )
    add_experiment_options(parser, testset=True)


def _work(args: argparse.Namespace) -> int:
    experiments = [find_experiment(tag, args.root) for tag in args.tags]
    tables = noise_tables(experiments, args.testset, metrics=args.figures, rows=args.rows)
    if args.output is None:
        print(_to_markdown(tables), end="")
        return 0
    long = pd.concat(tables, names=["figure"])
    for suffix, text in (
        (".md", _to_markdown(tables)),
        (".csv", long.to_csv(float_format="%.6g")),
    ):
        write_text(args.output.with_name(args.output.name + suffix), text)
    print(f"{args.output}.md and {args.output}.csv")
    return 0


main = program("noise_table", __doc__, _add_options, _work)
