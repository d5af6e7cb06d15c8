"""Scores of a test set by phone class: plosives, nasals, close vowels, ...

    python -m evaluation.ph_eval --experiment_tag XP1 --testset test
    python src/evaluation/ph_eval.py --testset test --loss XP1 --phoneme all

writes, in <root>/<tag>/<testset>/metrics/,

    metrics_by_phoneme.csv         a row per class: published columns, then others
    phoneme_segments.csv           a row per phone: label, class, times, and its values
    metrics_by_sample_phoneme.csv  a row per utterance and class
    phoneme_summary.csv            a row per class and value: means over utterances, over segments
    phoneme_failures.csv           values that are not defined, and the reasons
    metrics_by_phoneme_concatenated.csv   with --method concatenated or both

and figures/phonemes.png with its numbers. There are two methods: `pooled` (default) scores whole
utterances and sums the samples, frames or windows that lie in each phone; `concatenated`, as
published, cuts all segments of a class out of all utterances, joins them and scores the result.
Finished utterances are kept, so that a stopped run resumes.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from auditus import METRICS, get_metrics
from auditus.pooling import POOLED, why_not_pooled
from auditus.ratios import VARIANTS
from evaluation.plots.drawing import figure_style, save_figure
from evaluation.score.columns import column_name, keys_of
from evaluation.testset.options import systems_of
from evaluation.testset.testset import TestSet
from evaluation.work.cli import program
from evaluation.work.tables import write_table

from . import tables
from .classes import read_classes
from .concatenated import join_testset
from .options import add_phone_options, named_classes, options_of
from .plot import class_figure
from .pooled import pool_testset
from .segments import Segments, retrieve

__all__ = ["main"]

logger = logging.getLogger(__name__)

METHODS = ("pooled", "concatenated", "both")
DEFAULT = ("si_sir", "si_sar", "si_sdr", "fw_sir", "fw_sar", "fw_sdr", "stoi", "estoi")
#: Columns of the table of failures.
FAILURES = ["Sample_ID", "phoneme", "Metric", "Method", "Reason"]
# Columns of the table of classes that are no values.
_FACTS = ("testset", "loss", "phoneme", "utterances", "segments", "duration_s", "method")


def _evaluate(testset: TestSet, args: argparse.Namespace) -> pd.DataFrame:
    """Compute and write everything for one test set; return its table of classes.

    Where no value is defined the tables of an earlier run stay, and the table is empty.
    """
    options = options_of(args, testset)
    names = named_classes(args.phoneme, read_classes(options.classes))
    segments = retrieve(testset, options, jobs=args.jobs)
    failures: list[tuple[str, ...]] = [
        (sample, "all", "all", "alignment", reason) for sample, reason in segments.failures.items()
    ]
    results: dict[str, pd.DataFrame] = {}
    if args.method != "concatenated":
        results |= _pooled(testset, segments, names, args, failures)
    if args.method != "pooled":
        results |= _concatenated(testset, segments, names, args, failures)
    if failures:
        logger.warning(
            "%d values or utterances without a value: see %s",
            len(failures),
            testset.metrics / "phoneme_failures.csv",
        )
    write_table(testset.metrics / "phoneme_failures.csv", pd.DataFrame(failures, columns=FAILURES))
    by_class = next(table for name, table in results.items() if name.startswith("metrics_by_ph"))
    if not any(_n_values(table) for table in results.values() if "loss" in table):
        return by_class.iloc[:0]
    for name, table in results.items():
        write_table(testset.metrics / name, table)
    return by_class


def _n_values(by_class: pd.DataFrame) -> int:
    """Return how many values of a table of classes are defined."""
    return int(by_class.drop(columns=list(_FACTS)).notna().to_numpy().sum())


def _pooled(
    testset: TestSet,
    segments: Segments,
    names: Sequence[str],
    args: argparse.Namespace,
    failures: list[tuple[str, ...]],
) -> dict[str, pd.DataFrame]:
    """Return the tables by file name; draw the plot; add to the failures."""
    metrics = [name for name in args.metrics if name in POOLED]
    keys = keys_of(get_metrics(metrics), testset.signals())
    pooled = pool_testset(testset, segments, keys, jobs=args.jobs)
    rows = [(sample, "all", key, reason) for sample, key, reason in pooled.failures]
    failures += _listed(rows, "pooled")
    by_segment = tables.segment_table(segments.table, pooled.segments, keys)
    utterances = tables.utterance_table(testset.samples(), pooled.classes, keys)
    by_class = tables.class_table(testset, names, tables.mean_by_class(utterances, names), "pooled")
    if not args.no_figure and _n_values(by_class):
        with figure_style():
            figure, numbers = class_figure(utterances, names, args.bars)
            save_figure(figure, testset.folder / "figures" / "phonemes.png", numbers)
    members = {name: segments.classes.members(name) for name in names}
    return {
        "metrics_by_phoneme.csv": by_class,
        "phoneme_segments.csv": tables.renamed(by_segment),
        "metrics_by_sample_phoneme.csv": tables.renamed(utterances),
        "phoneme_summary.csv": tables.summary_table(utterances, by_segment, members),
    }


def _concatenated(
    testset: TestSet,
    segments: Segments,
    names: Sequence[str],
    args: argparse.Namespace,
    failures: list[tuple[str, ...]],
) -> dict[str, pd.DataFrame]:
    """Return the table by file name; add to the failures."""
    keys = keys_of(get_metrics(args.metrics), testset.signals())
    joined, reasons = join_testset(
        testset, segments, names, keys, variant=args.variant, jobs=args.jobs
    )
    failures += _listed(reasons, "concatenated")
    by_class: Mapping[str, pd.Series] = {
        str(name): row for name, row in joined.set_index("phoneme").iterrows() if row["segments"]
    }
    method = "concatenated" if args.variant == VARIANTS[0] else f"concatenated, {args.variant}"
    table = tables.class_table(testset, names, by_class, method)
    return {"metrics_by_phoneme_concatenated.csv": table}


def _listed(reasons: Iterable[tuple[str, ...]], method: str) -> list[tuple[str, ...]]:
    """Return rows of the table of failures for sample, class, key and reason."""
    return [
        (sample, phoneme, "all" if key == "all" else column_name(key), method, reason)
        for sample, phoneme, key, reason in reasons
    ]


def _add_options(parser: argparse.ArgumentParser) -> None:
    mono = [name for name in METRICS.names() if METRICS.get(name).channels == 1]
    parser.add_argument("--method", choices=METHODS, default=METHODS[0], help="default: pooled")
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=[*mono, "all"],
        default=list(DEFAULT),
        metavar="NAME",
        help=f"default: {' '.join(DEFAULT)}; for both methods: {', '.join(POOLED)}; concatenated "
        f"only: {', '.join(name for name in mono if name not in POOLED)}; all: all of the method",
    )
    parser.add_argument(
        "--variant",
        choices=VARIANTS,
        default=VARIANTS[0],
        help="published: SI and FW ratios as the original computed them; concatenated only",
    )
    parser.add_argument("--bars", default="si_sdr", metavar="NAME", help="metric of the bar plot")
    parser.add_argument("--no_figure", action="store_true", help="draw no plot")
    add_phone_options(parser)


def _checked(args: argparse.Namespace) -> None:
    """Complete the metrics and check them against the method."""
    if "all" in args.metrics:
        mono = [name for name in METRICS.names() if METRICS.get(name).channels == 1]
        args.metrics = list(POOLED) if args.method == "pooled" else mono
    args.metrics = list(dict.fromkeys(args.metrics))
    if args.method == "pooled":
        for reason in filter(None, map(why_not_pooled, args.metrics)):
            raise ValueError(reason)
        if args.variant != VARIANTS[0]:
            raise ValueError("--variant published has no pooled form: add --method concatenated")
    if not any(name in POOLED for name in args.metrics) and args.method == "both":
        raise ValueError("none of these metrics can be pooled: use --method concatenated")


def _work(args: argparse.Namespace) -> int:
    _checked(args)
    scored = 0
    for testset in systems_of(args):
        table = _evaluate(testset, args)
        if table.empty:
            continue
        scored += _n_values(table)
        print(f"{testset.system} / {testset.name}: {table['method'].iloc[0]}")
        values = table.drop(columns=["testset", "loss", "method"]).set_index("phoneme")
        published = [name for name in tables.PUBLISHED if name in values]
        shown = values[[*published, *values.columns[-3:]]] if published else values
        print(shown.to_string(float_format="%.2f", na_rep="-"))
    if not scored:
        raise RuntimeError(
            "no value could be computed: see phoneme_failures.csv; earlier tables are unchanged"
        )
    return 0


main = program("ph_eval", __doc__, _add_options, _work)
