"""Compare systems: means, paired intervals, corrected tests, effect sizes.

    python -m evaluation.compare XP1 XP2 XP3 -o comparison
    python -m evaluation.compare base=B_s0,B_s1,B_s2 new=N_s0,N_s1,N_s2 --by snr_db

takes experiments (or folders of other systems' audio) that utt_eval, ph_eval or recognise has
evaluated on one test set, and writes, for each table that all of them have,

    means.csv         a row per metric, phoneme class, group and system
    differences.csv   a row per metric, class, group and pair: difference, interval, p, effect sizes
    tables.md, tables.tex
    forest_<level>.png, forest_<level>.csv

The bootstrap (bias-corrected and accelerated) draws utterances with all their phones. P-values are
corrected in families, per table: tests of all data, of phone classes, of groups (--by); those of
all data do not depend on the others. NAME=TAG,TAG,... collects seeds of one configuration: scores
are averaged over them utterance by utterance, and the bootstrap draws seeds as well as utterances.
A difference is significant if its corrected p-value is below the level *and* its interval excludes
0 (a rank test can disagree with an interval of means). A star marks a mean that differs from the
baseline's; the best mean is bold only if it is better than every other it was tested against.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from asteroid.utils.files import write_text
from evaluation.phonemes.classes import read_classes
from evaluation.phonemes.options import FOLDER
from evaluation.plots.drawing import figure_style, save_figure
from evaluation.score.columns import GROUPS
from evaluation.testset.options import add_experiment_options
from evaluation.work.cli import positive_int, program
from evaluation.work.tables import read_table, to_latex, to_markdown, write_table

from .differences import FEW, CompareOptions, differences, means, pairs_of
from .forest import forest_plot
from .panel import ALL, LEVELS, Level, read_panel, slices
from .statistics import CORRECTIONS, TESTS
from .systems import System, check_same_testset, common_ids, parse_system
from .tables import difference_grids, mean_grids

__all__ = ["Comparison", "compare", "main", "write"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """Means and differences as two long tables; columns as in the files."""

    means: pd.DataFrame
    differences: pd.DataFrame
    baseline: str


def compare(
    systems: Sequence[System],
    *,
    baseline: str | None = None,
    every_pair: bool = False,
    levels: Sequence[str] | None = None,
    scores: Sequence[str] | None = None,
    by: str | None = None,
    common: bool = False,
    options: CompareOptions | None = None,
) -> Comparison:
    """Compare systems that were evaluated on the same test set.

    Args:
        systems: at least two, with different names.
        baseline: name of the system that the others are compared with; default: the first.
        every_pair: test every two, not only each against the baseline.
        levels: names out of `LEVELS`; default: those whose tables all systems have.
        scores: columns to compare; default: all that score the estimate.
        by: `snr_db`, `noise_type`, `seen` or `speaker`: every group by itself, too.
        common: compare the samples that all have, where some lack some.
        options: of the statistics.

    Raises:
        ValueError: fewer than two systems, a name twice, another test set, an unknown column.
        FileNotFoundError: a system has not been evaluated.
    """
    options = options or CompareOptions()
    names = [system.name for system in systems]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"expected two or more systems of different names; got {', '.join(names)}")
    baseline = baseline or names[0]
    if baseline not in names:
        raise ValueError(f"the baseline must be one of {', '.join(names)}; got {baseline!r}")
    check_same_testset(systems, ids_too=not common)
    pairs = pairs_of(names, baseline, every=every_pair)
    for name in levels or ():
        if name not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}; got {name!r}")
    chosen = [LEVELS[name] for name in levels] if levels else _available(systems)
    parts = [_compare_level(systems, level, pairs, scores, by, options) for level in chosen]
    means, tests = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    return Comparison(means, tests, baseline)


def _available(systems: Sequence[System]) -> list[Level]:
    """Return the levels that every system has been evaluated at."""
    folders = [testset.metrics for system in systems for _, testset in system.testsets]
    available = []
    for level in LEVELS.values():
        lacking = [folder for folder in folders if not (folder / level.file).is_file()]
        if not lacking:
            available.append(level)
        elif len(lacking) < len(folders):
            logger.warning("%s is left out: %s has no %s", level.name, lacking[0], level.file)
    if not available:
        expected = ", ".join(f"{level.file} ({level.program})" for level in LEVELS.values())
        raise FileNotFoundError(
            f"no table is in all of {', '.join(map(str, folders))}; expected {expected}"
        )
    return available


def _compare_level(
    systems: Sequence[System],
    level: Level,
    pairs: Sequence[tuple[str, str]],
    scores: Sequence[str] | None,
    by: str | None,
    options: CompareOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    panel = read_panel(systems, level, scores, ids=common_ids(systems))
    if by is not None and by not in panel.units:
        raise ValueError(f"{level.file} has no {by!r}: add it to the manifest, or omit --by")
    parts = list(slices(panel, by, read_classes()))
    tested = differences(panel, parts, pairs, options)
    whole = tested[(tested["class"] == ALL) & (tested["group"] == ALL)]
    fewest = int(whole["clusters"].min())
    if fewest < FEW:
        logger.warning(
            "%s: only %d x %s: no two-sided test can reach significance with fewer than %d, and "
            "the intervals are rough; no difference is marked as significant",
            *(level.name, fewest, options.cluster, FEW),
        )
    if missing := int(whole["missing"].max()):
        cause = _sources(systems) if level.name == "phoneme" else ""
        logger.warning(
            "%s: up to %d of %d scores are missing in one of a pair and left out in both%s",
            *(level.name, missing, len(panel.units), cause),
        )
    return means(panel, parts, options), tested


def _sources(systems: Sequence[System]) -> str:
    """Return a warning that names the sources of the systems' phones, "" if all have the same."""
    sources = {}
    for system in systems:
        for tag, testset in system.testsets:
            path = testset.folder / FOLDER / "alignments.csv"
            if path.is_file():
                sources[tag] = ", ".join(sorted(set(read_table(path)["source"].dropna())))
    if len(set(sources.values())) < 2:
        return ""
    listed = "; ".join(f"{tag}: {source}" for tag, source in sources.items())
    return (
        f": phones are paired by their times, which differ by source ({listed}); run ph_eval on "
        "all systems with one --source"
    )


def write(comparison: Comparison, folder: Path, options: CompareOptions) -> list[Path]:
    """Write all files; return their paths."""
    tests = comparison.differences
    grids = [
        *mean_grids(comparison.means, tests, comparison.baseline),
        *difference_grids(tests, options.alpha),
    ]
    texts = {
        "tables.md": "\n".join(map(to_markdown, grids)) + "\n" + _legend(comparison, options),
        "tables.tex": "% needs \\usepackage{booktabs}\n" + "\n".join(map(to_latex, grids)),
    }
    paths = []
    for name, frame in (("means.csv", comparison.means), ("differences.csv", tests)):
        write_table(folder / name, frame)
        paths.append(folder / name)
    for name, text in texts.items():
        write_text(folder / name, text)
        paths.append(folder / name)
    with figure_style():
        for level, part in tests.groupby("level", sort=False):
            picture = folder / f"forest_{level}.png"
            paths += [picture, save_figure(forest_plot(part, comparison.baseline), picture, part)]
    return paths


def _legend(comparison: Comparison, options: CompareOptions) -> str:
    """Return what the marks and numbers mean."""
    share = f"{100 * (1 - options.alpha):g} %"
    return (
        f"\\* differs from {comparison.baseline} (p < {options.alpha:g}, {options.test} test per "
        f"{options.cluster}, corrected in each family: {options.correction}, and 0 outside the "
        f"interval); **bold**: better than every system it was tested against. Intervals: {share}, "
        f"{options.draws} bootstrap draws of {options.cluster}. d_z and Cliff's delta: of paired "
        f"differences per {options.cluster}.\n"
    )


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise ValueError(text)
    return value


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("systems", nargs="+", metavar="SYSTEM", help="TAG, folder, or NAME=TAG,TAG,...")
    add("-o", "--output", type=Path, default=Path("comparison"), metavar="FOLDER", help="results")
    add("--baseline", metavar="NAME", help="system to compare with (default: the first)")
    add("--pairs", choices=("baseline", "all"), default="baseline", help="pairs that are tested")
    add("--levels", nargs="+", choices=tuple(LEVELS), metavar="LEVEL", help="tables (default: all)")
    add("--metrics", nargs="+", metavar="COLUMN", help="default: all that score the estimate")
    add("--by", choices=GROUPS, help="compare within each group as well")
    add("--cluster", default="id", metavar="COLUMN", help="id: utterances (default), or speaker")
    add("--test", choices=TESTS, default=TESTS[0], help="paired test (default: %(default)s)")
    corrected = "correction for multiple tests (default: %(default)s)"
    add("--correction", choices=CORRECTIONS, default=CORRECTIONS[0], help=corrected)
    level = "significance level (default: %(default)s)"
    add("--alpha", type=_share, default=0.05, metavar="P", help=level)
    draws = "bootstrap draws (default: %(default)s)"
    add("--draws", type=positive_int, default=10_000, metavar="N", help=draws)
    add("--seed", type=int, default=0, metavar="N", help="of the draws (default: %(default)s)")
    add("--common", action="store_true", help="compare only the samples that all systems have")
    add_experiment_options(parser, testset=True)


def _work(args: argparse.Namespace) -> int:
    options = CompareOptions(
        args.test, args.correction, args.alpha, args.draws, args.seed, cluster=args.cluster
    )
    comparison = compare(
        [parse_system(text, args.testset, args.root) for text in args.systems],
        baseline=args.baseline,
        every_pair=args.pairs == "all",
        levels=args.levels,
        scores=args.metrics,
        by=args.by,
        common=args.common,
        options=options,
    )
    paths = write(comparison, args.output, options)
    overall = comparison.differences
    overall = overall[(overall["class"] == ALL) & (overall["group"] == ALL)]
    for grid in difference_grids(overall, options.alpha):
        print(to_markdown(grid))
    print("\n".join(map(str, paths)))
    return 0


main = program("compare", __doc__, _add_options, _work)
