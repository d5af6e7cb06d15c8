"""Options that name experiments, systems and their references on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from evaluation.work.cli import positive_int

from .experiment import ROOT_VARIABLE, find_experiment, open_system
from .references import EARS, References
from .testset import TestSet

__all__ = ["add_experiment_options", "add_system_options", "systems_of"]


def add_experiment_options(parser: argparse.ArgumentParser, *, testset: bool = False) -> None:
    """Add ``--root``, and ``--testset`` where a program takes one test set of each experiment."""
    if testset:
        parser.add_argument(
            "--testset", metavar="NAME", help="needed where an experiment has several"
        )
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        help=f"folder of the experiments (default: ${ROOT_VARIABLE}, else ./experiments)",
    )


def add_system_options(parser: argparse.ArgumentParser, *aliases: str) -> None:
    """Add the options that name an experiment, or any system's folder.

    ``aliases`` are published names of --experiment_tag, as --loss.
    """
    system = parser.add_mutually_exclusive_group(required=True)
    system.add_argument("--experiment_tag", *aliases, metavar="TAG", help="an experiment")
    system.add_argument(
        "--estimates",
        type=Path,
        metavar="FOLDER",
        help="or any other system's audio, paired by name",
    )
    parser.add_argument(
        "--testset", metavar="NAME", help="one test set of the experiment (default: all)"
    )
    add_experiment_options(parser)
    group = parser.add_argument_group(
        "references of a folder of estimates",
        "a manifest, or folders; a folder that was evaluated before needs neither",
    )
    group.add_argument("--input_json", type=Path, metavar="MANIFEST", help="the mixtures' manifest")
    group.add_argument("--targets", type=Path, metavar="FOLDER", help="clean speech")
    group.add_argument("--noises", type=Path, metavar="FOLDER", help="the noise in each mixture")
    group.add_argument("--mixtures", type=Path, metavar="FOLDER", help="the unprocessed mixtures")
    group.add_argument(
        "--pair_pattern",
        metavar="REGEX",
        help="the common part of the names, in a group, as '(?P<id>fileid_[0-9]+)', in place of "
        "the rules: equal path, equal stem, folder of that name, name within a name, equal but for "
        "a role as clean or enhanced",
    )
    group.add_argument(
        "--information",
        type=Path,
        metavar="CSV",
        help="for folders: table with columns id, and any of speaker, noise_type, snr_db, seen",
    )
    group.add_argument(
        "--ears",
        type=positive_int,
        nargs=2,
        default=EARS,
        metavar=("LEFT", "RIGHT"),
        help="the manifest's microphones for binaural metrics (default: 1 2)",
    )
    group.add_argument(
        "--results", type=Path, metavar="FOLDER", help="tables (default: FOLDER_results)"
    )


def systems_of(args: argparse.Namespace) -> list[TestSet]:
    """Return the test sets that the options of `add_system_options` name; at least one.

    Raises:
        FileNotFoundError: an experiment, a folder or a manifest is not there.
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
    """Return the references that the options name, None where they name none."""
    paths = (args.input_json, args.targets, args.noises, args.mixtures)
    if all(path is None for path in paths):
        return None
    return References(
        *paths, pattern=args.pair_pattern, ears=tuple(args.ears), information=args.information
    )
