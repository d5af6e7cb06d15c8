"""Options that programs share: what to evaluate, numbers, processes."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from evaluation.testset.experiment import (
    ROOT_VARIABLE,
    References,
    TestSet,
    find_experiment,
    open_system,
)
from evaluation.testset.references import EARS

__all__ = [
    "add_experiment_options",
    "add_system_options",
    "available_cpus",
    "natural_int",
    "positive_int",
    "systems_of",
]


def add_experiment_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where experiments lie."""
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        help=f"folder of the experiments (default: ${ROOT_VARIABLE}, else ./experiments)",
    )


def add_system_options(parser: argparse.ArgumentParser, *aliases: str) -> None:
    """Add the options that say what is judged: an experiment, or a folder of any other system.

    Args:
        parser: where to.
        aliases: published names of --experiment_tag, as --loss.
    """
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--experiment_tag", *aliases, metavar="TAG", help="an experiment")
    which.add_argument(
        "--estimates",
        type=Path,
        metavar="FOLDER",
        help="or any other system's audio, paired by name",
    )
    parser.add_argument(
        "--testset", metavar="NAME", help="one test set of the experiment (default: all there are)"
    )
    add_experiment_options(parser)
    group = parser.add_argument_group(
        "what a folder of estimates is judged against",
        "a manifest, or folders; a folder that was judged before needs neither",
    )
    group.add_argument("--input_json", type=Path, metavar="MANIFEST", help="the mixtures' manifest")
    group.add_argument("--targets", type=Path, metavar="FOLDER", help="clean speech")
    group.add_argument("--noises", type=Path, metavar="FOLDER", help="the noise in each mixture")
    group.add_argument("--mixtures", type=Path, metavar="FOLDER", help="the unprocessed mixtures")
    group.add_argument(
        "--pair_pattern",
        metavar="REGEX",
        help="what the names have in common, in a group, as '(?P<id>fileid_[0-9]+)', in place of "
        "the rules: equal path, equal stem, folder of that name, name within a name",
    )
    group.add_argument(
        "--information",
        type=Path,
        metavar="CSV",
        help="for folders: columns id, and speaker, noise_type, snr_db, seen where known",
    )
    group.add_argument(
        "--ears",
        type=positive_int,
        nargs=2,
        default=EARS,
        metavar=("LEFT", "RIGHT"),
        help="the manifest's microphones for binaural figures (default: 1 2)",
    )
    group.add_argument(
        "--results", type=Path, metavar="FOLDER", help="where to write (default: FOLDER_results)"
    )


def systems_of(args: argparse.Namespace) -> list[TestSet]:
    """Return the test sets that the options of `add_system_options` name; at least one.

    Raises:
        FileNotFoundError: something named is not there.
        ValueError: options contradict each other; names do not pair.
    """
    if args.estimates is not None:
        if args.testset is not None:
            raise ValueError("--testset is a part of an experiment; a folder of estimates has none")
        return [
            open_system(
                # absolute: never the tag of an experiment
                args.estimates.absolute(),
                references=_references_of(args),
                results=args.results,
            )
        ]
    for name in ("targets", "noises", "mixtures", "pair_pattern", "information", "results"):
        if getattr(args, name) is not None:
            raise ValueError(
                f"--{name} goes with --estimates; an experiment has its own references"
            )
    experiment = find_experiment(args.experiment_tag, args.root)
    if args.testset is not None:
        return [experiment.testset(args.testset)]
    if not experiment.testsets():
        raise FileNotFoundError(
            f"{experiment.folder} holds no enhanced samples: run evaluation.infer first"
        )
    return experiment.testsets()


def _references_of(args: argparse.Namespace) -> References | None:
    """Return what the options name, None where they name nothing."""
    named = (args.input_json, args.targets, args.noises, args.mixtures)
    if all(one is None for one in named):
        return None
    return References(
        *named, pattern=args.pair_pattern, ears=tuple(args.ears), information=args.information
    )


def positive_int(text: str) -> int:
    """Read a whole number from 1 on, for `type=`."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def natural_int(text: str) -> int:
    """Read a whole number from 0 on, for `type=`."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def available_cpus() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
