"""Judge a test set by class of phone: plosives, nasals, close vowels, ...

    python -m evaluation.ph_eval --experiment_tag XP1 --testset test
    python src/evaluation/ph_eval.py --testset test --loss XP1 --phoneme all

writes, in <root>/<tag>/<testset>/metrics/,

    metrics_by_phoneme.csv         a row per class: published columns, then others
    phoneme_segments.csv           a row per phone: what, where, and its figures
    metrics_by_sample_phoneme.csv  a row per utterance and class
    phoneme_summary.csv            a row per class and figure: means over utterances, over segments
    phoneme_failures.csv           figures that are not defined, and why
    metrics_by_phoneme_concatenated.csv   with --method concatenated or both

and figures/phonemes.png with its numbers. Two ways of computing: `pooled` (default) judges whole
utterances and sums the samples, frames or windows that lie in each phone; `concatenated`, as
published, cuts all segments of a class out of all utterances, joins them and judges the result.
Finished utterances are kept in a journal, so that a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

import pandas as pd

from asteroid.utils.files import atomic_path
from auditus import METRICS, get_metrics
from auditus.pooling import POOLED, why_not_pooled
from auditus.ratios import VARIANTS
from evaluation.plots.style import figure_style, save_figure
from evaluation.score.columns import column_name, keys_of
from evaluation.testset.experiment import TestSet
from evaluation.work.cli import systems_of
from seloss.program import run_command

from . import tables
from .classes import read_classes
from .concatenated import join_testset
from .figure import class_figure
from .options import add_phone_options, named_classes, options_of
from .pooled import pool_testset
from .segments import Segments, retrieve

__all__ = ["main"]

logger = logging.getLogger(__name__)

METHODS = ("pooled", "concatenated", "both")
DEFAULT = ("si_sir", "si_sar", "si_sdr", "fw_sir", "fw_sar", "fw_sdr", "stoi", "estoi")
#: What every table of failures says of a figure without a value.
FAILURES = ["Sample_ID", "phoneme", "Metric", "Method", "Reason"]

Failure = tuple[str, str, str, str]


def _evaluate(testset: TestSet, args: argparse.Namespace) -> pd.DataFrame:
    """Compute and write everything for one test set; return its table of classes."""
    options = options_of(args, testset)
    names = named_classes(args.phoneme, read_classes(options.classes))
    segments = retrieve(testset, options, jobs=args.jobs)
    failures = [
        dict(zip(FAILURES, (sample, "all", "all", "alignment", reason), strict=True))
        for sample, reason in segments.failures.items()
    ]
    shown = pd.DataFrame()
    if args.method != "concatenated":
        chosen = [name for name in args.metrics if name in POOLED or args.method == "pooled"]
        shown, found = _pooled(testset, segments, names, chosen, args)
        failures += _listed(found, "pooled")
    if args.method != "pooled":
        joined, found = _concatenated(testset, segments, names, args)
        failures += _listed(found, "concatenated")
        shown = joined if shown.empty else shown
    _write(testset, "phoneme_failures.csv", pd.DataFrame(failures, columns=FAILURES))
    if failures:
        place = testset.metrics / "phoneme_failures.csv"
        logger.warning("%d figures or utterances without a value: see %s", len(failures), place)
    return shown


def _pooled(
    testset: TestSet,
    segments: Segments,
    names: Sequence[str],
    metrics: Sequence[str],
    args: argparse.Namespace,
) -> tuple[pd.DataFrame, list[Failure]]:
    keys = keys_of(get_metrics(metrics), testset.signals())
    pooled = pool_testset(testset, segments, keys, jobs=args.jobs)
    by_segment = tables.segment_table(segments.table, pooled.segments, keys)
    utterances = tables.utterance_table(testset.samples(), pooled.classes, keys)
    means = tables.mean_by_class(utterances, names)
    by_class = tables.class_table(testset, names, means, "pooled")
    members = {name: segments.classes.members(name) for name in names}
    for name, frame in (
        ("phoneme_segments.csv", tables.renamed(by_segment)),
        ("metrics_by_sample_phoneme.csv", tables.renamed(utterances)),
        ("phoneme_summary.csv", tables.summary_table(utterances, by_segment, members)),
        ("metrics_by_phoneme.csv", by_class),
    ):
        _write(testset, name, frame)
    if not args.no_figure and means:
        with figure_style():
            figure, numbers = class_figure(utterances, names, args.bars)
            save_figure(figure, testset.folder / "figures" / "phonemes.png", numbers)
    return by_class, [(sample, "all", key, reason) for sample, key, reason in pooled.failures]


def _concatenated(
    testset: TestSet, segments: Segments, names: Sequence[str], args: argparse.Namespace
) -> tuple[pd.DataFrame, list[Failure]]:
    keys = keys_of(get_metrics(args.metrics), testset.signals())
    joined, failures = join_testset(
        testset, segments, names, keys, variant=args.variant, jobs=args.jobs
    )
    rows = joined.set_index("phoneme")
    found = {str(name): row for name, row in rows.iterrows() if row["segments"]}
    method = "concatenated" if args.variant == VARIANTS[0] else f"concatenated, {args.variant}"
    table = tables.class_table(testset, names, found, method)
    _write(testset, "metrics_by_phoneme_concatenated.csv", table)
    return table, failures


def _listed(found: Sequence[Failure], method: str) -> list[dict[str, str]]:
    """Return rows of the table of failures: sample, class, key and reason are given."""
    rows = []
    for sample, phoneme, key, reason in found:
        name = "all" if key == "all" else column_name(key)
        rows.append(dict(zip(FAILURES, (sample, phoneme, name, method, reason), strict=True)))
    return rows


def _write(testset: TestSet, name: str, frame: pd.DataFrame) -> None:
    with atomic_path(testset.metrics / name) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ph_eval", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    mono = [name for name in METRICS.names() if METRICS.get(name).channels == 1]
    parser.add_argument("--method", choices=METHODS, default=METHODS[0], help="default: pooled")
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=[*mono, "all"],
        default=list(DEFAULT),
        metavar="NAME",
        help=f"default: {' '.join(DEFAULT)}; pooled or joined: {', '.join(POOLED)}; joined only: "
        f"{', '.join(name for name in mono if name not in POOLED)}; all: whatever the method has",
    )
    parser.add_argument(
        "--variant",
        choices=VARIANTS,
        default=VARIANTS[0],
        help="published: SI and FW ratios as the original computed them; concatenated only",
    )
    parser.add_argument("--bars", default="si_sdr", metavar="NAME", help="metric of the bars")
    parser.add_argument("--no_figure", action="store_true", help="draw nothing")
    add_phone_options(parser)
    return parser


def _checked(args: argparse.Namespace) -> None:
    """Complete and check what belongs together.

    Raises:
        ValueError: a metric or variant that the method does not have.
    """
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
        figures = table.drop(columns=["testset", "loss", "method"]).set_index("phoneme")
        print(f"{testset.system} / {testset.name}: {table['method'].iloc[0]}")
        published = [name for name in tables.PUBLISHED if name in figures]
        shown = figures[[*published, *figures.columns[-3:]]] if published else figures
        print(shown.to_string(float_format="%.2f", na_rep="-"))
        scored += int(figures.iloc[:, :-3].notna().to_numpy().sum())
    if not scored:
        raise RuntimeError("no figure could be computed: see phoneme_failures.csv")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    return run_command(_parser(), _work, argv)
