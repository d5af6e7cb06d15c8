"""One table per figure: kinds of noise and SNRs down, the noisy speech and each experiment across.

    python -m evaluation.noise_table DCCRN_mse DCCRN_si_snr DCCRN_si_snr_lms -o tables

The layout of "DCCRN with various loss functions": seen and unseen noise, each with its SNRs and
their mean, then the mean of all. Writes tables.md to read and tables.csv to compute with; without
-o it prints the former. Every cell is a mean over the samples of that noise and SNR for which every
experiment has the figure. `--rows noise_type` has a block per noise instead.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from asteroid.utils.files import atomic_path
from evaluation.score.groups import snr_classes
from evaluation.testset.experiment import Experiment, find_experiment
from evaluation.work.cli import add_experiment_options
from seloss.program import run_command

from .means_table import read_metrics

__all__ = ["noise_tables", "to_markdown"]

logger = logging.getLogger(__name__)

NOISY = "noisy"
#: Figure by its column, what it is called, decimals, and its column of the unprocessed mixture.
FIGURES = {
    "PESQ": ("PESQ", 2, "PESQ_in"),
    "STOI": ("STOI", 3, "STOI_in"),
    "ESTOI": ("ESTOI", 3, "ESTOI_in"),
    "SI-SDR": ("SI-SDR (dB)", 2, "SI-SDR_in"),
}
AVERAGE = "mean"
#: Of a table's index: what `seen` is called.
CLASSES = {"True": "seen", "False": "unseen"}


def noise_tables(
    experiments: Sequence[Experiment],
    testset: str | None = None,
    *,
    figures: Sequence[str] = ("PESQ", "STOI"),
    rows: str = "seen",
) -> dict[str, pd.DataFrame]:
    """Return a table for each figure, indexed by noise and SNR, with the number of samples first.

    Args:
        experiments: The columns.
        testset: Its name; None if the experiments have only one.
        figures: Some of `FIGURES`.
        rows: ``seen`` or ``noise_type``: what the blocks are.

    Raises:
        FileNotFoundError: An experiment has not been judged.
        ValueError: The samples do not say their noise and SNR, the experiments have none in common,
            or a figure was not computed.
    """
    tables = {one.label(testset): read_metrics(one, testset) for one in experiments}
    common = sorted(set.intersection(*(set(table.index) for table in tables.values())))
    if not common:
        raise ValueError(f"no sample is in all of {', '.join(tables)}")
    if len(common) < max(map(len, tables.values())):
        logger.warning("only the %d samples that all experiments have are compared", len(common))
    tables = {tag: table.loc[common] for tag, table in tables.items()}
    first = next(iter(tables.values()))
    groups = _groups(first, rows)
    result = {}
    for figure in figures:
        title, _, before = FIGURES[figure]
        after = f"{figure}_out" if f"{figure}_out" in first else figure
        lacking = [tag for tag, table in tables.items() if after not in table]
        if lacking:
            raise ValueError(
                f"{figure} of {', '.join(lacking)} is not known: see utt_eval --metrics"
            )
        columns = {NOISY: first[before]} if before in first else {}
        columns |= {tag: table[after] for tag, table in tables.items()}
        result[title] = _means(pd.DataFrame(columns).astype(float).dropna(), groups)
    return result


def _groups(table: pd.DataFrame, rows: str) -> pd.DataFrame:
    """Return each sample's noise and SNR, as they are to be called."""
    for name in (rows, "snr_db"):
        if name not in table or table[name].isna().any():
            raise ValueError(f"the samples do not all say their {name}: the test set must know it")
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


def to_markdown(tables: dict[str, pd.DataFrame]) -> str:
    """Return the tables in Markdown; the best experiment of each row is bold."""
    decimals = {title: places for title, places, _ in FIGURES.values()}
    text = []
    for title, table in tables.items():
        heads = ["noise", "SNR (dB)", *map(str, table.columns)]
        text += [f"**{title}**", "", f"| {' | '.join(heads)} |"]
        text.append(f"|---|---:|{'---:|' * len(table.columns)}")
        text += [_row(keys, row, decimals[title]) for keys, row in table.iterrows()]
        text.append("")
    return "\n".join(text)


def _row(keys: object, row: pd.Series, places: int) -> str:
    assert isinstance(keys, tuple)
    cells = {str(name): f"{value:.{places}f}" for name, value in row.items() if name != "n"}
    systems = [name for name in cells if name != NOISY]
    best = max(float(cells[name]) for name in systems)
    bold = [f"**{c}**" if n in systems and float(c) == best else c for n, c in cells.items()]
    return f"| {' | '.join([*map(str, keys), str(int(row['n'])), *bold])} |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="noise_table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tags", nargs="+", metavar="TAG", help="experiments, one column each")
    parser.add_argument("--testset", metavar="NAME", help="needed where an experiment has several")
    parser.add_argument(
        "--figures",
        nargs="+",
        choices=list(FIGURES),
        default=["PESQ", "STOI"],
        metavar="NAME",
        help=f"some of {', '.join(FIGURES)} (default: PESQ STOI)",
    )
    parser.add_argument(
        "--rows", choices=("seen", "noise_type"), default="seen", help="blocks (default: seen)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="NAME", help="writes NAME.md and NAME.csv"
    )
    add_experiment_options(parser)
    return parser


def _work(args: argparse.Namespace) -> int:
    experiments = [find_experiment(tag, args.root) for tag in args.tags]
    tables = noise_tables(experiments, args.testset, figures=args.figures, rows=args.rows)
    if args.output is None:
        print(to_markdown(tables), end="")
        return 0
    long = pd.concat(tables, names=["figure"])
    for suffix, text in (
        (".md", to_markdown(tables)),
        (".csv", long.to_csv(float_format="%.6g")),
    ):
        with atomic_path(args.output.with_name(args.output.name + suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(f"{args.output}.md and {args.output}.csv")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    return run_command(_parser(), _work, argv)
