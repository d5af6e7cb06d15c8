"""Launcher of training: ``train_<net>.sh``, its published arguments translated to the recipe's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from seloss.root import ROOT
from seloss.train.options.option import read_yaml

from .folders import experiment_folder, interpreter
from .plan import Task
from .profile import add_options, make_request
from .recipes import RECIPES, Recipe
from .submit import carry_out, make_parser, run_launcher

_CLUSTER = """\
CLUSTER is local (train here), auto (sbatch or oarsub if one is found, else here), or the name of a
profile in configs/clusters; GPUS and WALLTIME may be -: as the profile says. Options of the recipe
follow after --. Results go to $SELOSS_EXPERIMENTS/TAG, by default experiments/TAG in the folder
where you are. The same command started again resumes a run that was stopped; scripts/status.sh TAG
shows how far it is.
"""


def recipe_flags(net: str, values: dict[str, str]) -> list[str]:
    """Return the recipe's options.

    Args:
        net: The network.
        values: Values of the published arguments.
    """
    recipe = RECIPES[net]
    if net == "dcunet" and values["mask"] in ("", "-"):
        values = {**values, "mask": "magnitude" if values["form"] == "RMRn" else "tanh"}
    flags = {word.flag: values[word.name.lower()] for word in (*recipe.first, *recipe.last)}
    if net == "dccrn" and values["loss"] in read_yaml(ROOT / "configs" / "losses.yml"):
        flags = {"--loss_preset": flags.pop("--loss"), **flags}
    return [word for flag in flags.items() for word in flag]


def train_command(args: argparse.Namespace, recipe: Recipe, *, progress_bar: bool) -> list[str]:
    """Return the call of the recipe's program.

    Raises:
        FileNotFoundError: There is no data.
    """
    folder = experiment_folder(args.tag)
    words = [interpreter(), str(ROOT / recipe.program), "--exp_dir", str(folder)]
    for part in ("train", "valid"):
        words += [f"--{part}_json", str(recipe.find_data(part, getattr(args, f"{part}_json")))]
    # How many GPUs a profile gives is known in the job only: -1 takes them all.
    words += ["--gpus", "-1" if args.gpus == "-" else args.gpus]
    words += [*recipe_flags(args.net, vars(args)), *args.extra]
    return [*words, "--progress_bar", "true"] if progress_bar else words


def _work(args: argparse.Namespace) -> int:
    folder = experiment_folder(args.tag)
    request = make_request(args, folder / "logs", "train", f"{args.tag}.train")
    progress_bar = request.scheduler == "local" and sys.stderr.isatty()
    command = train_command(args, RECIPES[args.net], progress_bar=progress_bar)
    return carry_out(request, [Task(str(folder), "train", command)], dry_run=args.dry_run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    net, *words = sys.argv[1:] if argv is None else argv
    recipe = RECIPES[net]
    text = f"Train by {recipe.program}. {recipe.note}"
    parser = make_parser(f"train_{net}.sh", text)
    parser.epilog = f"{_CLUSTER}\nExample: bash scripts/train/train_{net}.sh {recipe.example}"
    parser.set_defaults(net=net)
    parser.add_word("TAG", "name of the experiment")
    for name, _, text, default, choices in recipe.first:
        parser.add_word(name, text, default, choices)
    parser.add_word("CLUSTER", "local, auto, or a profile's name")
    parser.add_word("GPUS", "GPUs of each machine; 0: CPU; -: as the profile says")
    parser.add_word("WALLTIME", "hours, or H:MM:SS (for schedulers; not used locally)")
    for name, _, text, default, choices in recipe.last:
        parser.add_word(name, text if default == "-" else f"{text} ({default})", default, choices)
    for part in ("train", "valid"):
        default = f"$SELOSS_{part.upper()}_JSON, else {recipe.data.format(part)}"
        parser.add_argument(f"--{part}_json", default="", metavar="FILE", help=default)
    add_options(parser)
    return run_launcher(parser, _work, words)


if __name__ == "__main__":
    sys.exit(main())
