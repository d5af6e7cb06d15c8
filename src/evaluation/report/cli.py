"""Report: one page of several systems with tables, plots and an audio player.

    python -m evaluation.report XP1 XP2 -o report.html

takes experiments (or folders of other systems' audio that evaluation.utt_eval has scored) on one
test set. The page opens from disk, without a server or a network. Beside it, in report_figures/,
are the plots as PNG with their numbers as CSV. Results of evaluation.ph_eval and
evaluation.recognise are included if they were run on every system.

    python -m evaluation.report XP1 XP2 --blind mushra -o test.html

writes a blind listening test instead: unnamed systems at equal loudness, in random order for each
participant. Keep test_key.json to yourself: evaluation.listening_results reads the answers with it.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from asteroid.utils.files import write_text
from evaluation.plots.drawing import save_drawings
from evaluation.testset.experiment import open_systems
from evaluation.testset.options import add_experiment_options
from evaluation.testset.testset import TestSet
from evaluation.work.cli import available_cpus, positive_int, program

from .blind import blind_page, make_test
from .choice import choose_utterances
from .listening import CLEAN, MIXTURE, ScoreTable, read_scores, read_signals, utterance_data
from .page import report_page
from .sections import Section, build_sections
from .sound import FORMATS

__all__ = ["main"]

logger = logging.getLogger(__name__)

MEGABYTE = 1_000_000
TITLE = "Speech enhancement: a comparison"


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("systems", nargs="+", metavar="SYSTEM", help="TAG, a folder, or NAME=one of these")
    add("-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="the page")
    add("--title", default=TITLE, help="heading of the page")
    add("--baseline", metavar="NAME", help="compare with this system (default: the first)")
    add("--metric", metavar="NAME", help="metric that ranks the utterances (default: the first)")
    player = "utterances in the player (default: %(default)s)"
    add("--utterances", type=positive_int, default=12, metavar="N", help=player)
    add("--ids", nargs="+", default=[], metavar="ID", help="utterances always in the player")
    audio = "format of the audio (default: %(default)s, lossless)"
    add("--audio", choices=tuple(FORMATS), default="flac", help=audio)
    size = "largest size of the page (default: %(default)g)"
    add("--max_mb", type=float, default=20.0, metavar="MB", help=size)
    jobs = "processes (default: %(default)s)"
    add("--jobs", type=positive_int, default=available_cpus(), help=jobs)
    add("--blind", choices=("mushra", "abx"), help="a blind listening test instead of a report")
    add_experiment_options(parser, testset=True)


def _work(args: argparse.Namespace) -> int:
    systems = open_systems(args.systems, args.testset, args.root, taken=(MIXTURE, CLEAN))
    return _write_blind(args, systems) if args.blind else _write_report(args, systems)


def _write_blind(args: argparse.Namespace, systems: Mapping[str, TestSet]) -> int:
    """Write a blind listening test and its key."""
    chosen = _chosen(args, systems, read_scores(systems))
    test, key = make_test(args.blind, chosen, systems, sound_format=args.audio)
    title = "Listening test" if args.title == TITLE else args.title
    page = blind_page(title, test)
    if len(page.encode()) > args.max_mb * MEGABYTE:
        raise ValueError(
            f"the page would have {len(page.encode()) / MEGABYTE:.1f} MB: request fewer "
            f"--utterances than {len(chosen)}, or a larger --max_mb than {args.max_mb:g}"
        )
    key_file = args.output.with_name(f"{args.output.stem}_key.json")
    write_text(args.output, page)
    write_text(key_file, json.dumps(key, indent=1))
    print(
        f"{args.output} ({len(test['trials'])} trials); the key, not for participants: {key_file}"
    )
    return 0


def _write_report(args: argparse.Namespace, systems: Mapping[str, TestSet]) -> int:
    """Write the report and its figures."""
    baseline = args.baseline or next(iter(systems))
    if baseline not in systems:
        raise ValueError(f"--baseline must be one of {', '.join(systems)}; got {baseline!r}")
    tables = read_scores(systems)
    sections = build_sections(systems, tables, baseline=baseline, root=args.root, jobs=args.jobs)
    chosen = _chosen(args, systems, tables)
    n_all = len(tables[0].scores)
    # The signals that the player offers.
    first = next(iter(next(iter(systems.values())).signals().values()))
    labels = {MIXTURE: "noisy mixture"} if MIXTURE in first else {}
    labels |= {CLEAN: "clean speech", **{name: name for name in systems}}
    listening: dict[str, Any] = {
        "signals": [{"name": name, "label": label} for name, label in labels.items()],
        "systems": list(systems),
        "rated": list(tables[0].scores),
        "metrics": [table.described() for table in tables],
        "utterances": [],
    }
    # What the page without utterances leaves.
    budget: float = args.max_mb * MEGABYTE - len(_page(args, systems, sections, listening, n_all))
    for name in tqdm(chosen, unit="utterance", disable=None):
        utterance = utterance_data(name, systems, tables, sound_format=args.audio)
        texts = (utterance["sounds"], utterance["levels"], utterance["differences"])
        # 4096: about what its names, scores and phones take.
        size = sum(len(text) for group in texts for text in group.values()) + 4096
        if size > budget:
            logger.warning(
                "%d of %d utterances fit into %g MB (--max_mb): the others are left out",
                *(len(listening["utterances"]), len(chosen), args.max_mb),
            )
            break
        budget -= size
        listening["utterances"].append(utterance)
    rates = {utterance["sample_rate"] for utterance in listening["utterances"]}
    listening["top_khz"] = max(rates, default=0) / 2000
    page = _page(args, systems, sections, listening, n_all)
    write_text(args.output, page)
    folder = args.output.with_name(f"{args.output.stem}_figures")
    save_drawings([drawing for section in sections for drawing in section.drawings], folder)
    megabytes = len(page.encode()) / MEGABYTE
    shown = len(listening["utterances"])
    print(f"{args.output} ({megabytes:.1f} MB, {shown} utterances) and {folder}")
    return 0


def _chosen(
    args: argparse.Namespace, systems: Mapping[str, TestSet], tables: Sequence[ScoreTable]
) -> list[str]:
    """Return the utterances for the player; one with unusable audio is replaced by the next.

    Raises:
        ValueError: no utterance has usable audio, or a metric or an id does not exist.
    """
    by_name = {table.name: table for table in tables}
    if args.metric is not None and args.metric not in by_name:
        raise ValueError(f"--metric must be one of {', '.join(by_name)}; got {args.metric!r}")
    table = by_name[args.metric] if args.metric else tables[0]
    ranked = choose_utterances(
        table.scores[list(systems)],
        higher_is_better=table.higher_is_better,
        n=len(table.scores),
        first=args.ids,
    )
    most = max(args.utterances, len(args.ids))
    chosen = list(islice(filter(partial(_is_readable, systems=systems), ranked), most))
    if not chosen:
        raise ValueError("no utterance has usable audio: see the warnings above")
    return chosen


def _is_readable(name: str, systems: Mapping[str, TestSet]) -> bool:
    """Try to read an utterance; say why it cannot be."""
    try:
        read_signals(name, systems)
    except ValueError as error:
        logger.warning("%s is left out of the player: %s", name, error)
        return False
    return True


def _page(
    args: argparse.Namespace,
    systems: Mapping[str, TestSet],
    sections: Sequence[Section],
    listening: Mapping[str, Any],
    n_all: int,
) -> str:
    shown = len(listening["utterances"])
    notices = [f"{name}: {testset.notice}." for name, testset in systems.items() if testset.notice]
    return report_page(
        args.title,
        f"{len(systems)} systems on {n_all} utterances: {', '.join(systems)}.",
        sections,
        listening,
        introduction=f"{shown} of {n_all} utterances: the worst, the best, and those on which the "
        "systems differ most. All signals of an utterance are at equal loudness (ITU-R BS.1770).",
        notices=notices,
        footer=f"Written {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC by evaluation.report.",
    )


main = program("report", __doc__, _add_options, _work)
