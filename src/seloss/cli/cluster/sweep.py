"""Sweeps: trainings of all combinations of options that a YAML file lists.

All runs are one job array, submitted once the recipe has accepted the options of each. The same
command again submits only what is neither finished nor queued nor running; scripts/status.sh shows
all.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seloss.program import UsageError, run_command
from seloss.root import ROOT
from seloss.train.options.option import read_yaml

from .folders import experiments_folder, interpreter
from .jobs import find_state
from .plan import Task
from .profile import add_options, make_request
from .recipes import RECIPES, Recipe
from .submit import carry_out, make_parser

_KEYS = ("recipe", "evaluate", "stages", "options", "runs")
_RESERVED = {"exp_dir", "train_json", "valid_json", "gpus", "overwrite"}


@dataclass(frozen=True)
class Run:
    """One experiment of a sweep: its tag, its options, and its name without the seed."""

    tag: str
    options: tuple[tuple[str, str], ...]
    configuration: str

    @property
    def flags(self) -> list[str]:
        """The options as the recipe's command line takes them."""
        return [word for name, value in self.options for word in (f"--{name}", value)]


@dataclass(frozen=True)
class Sweep:
    """The content of a file such as ``configs/sweeps/losses.yml``, which explains every key."""

    path: Path
    program: Path
    evaluate: str
    stages: str
    runs: tuple[Run, ...]

    @property
    def recipe(self) -> Recipe:
        """The network; of a program that has no launcher the data are those of FaSNet-TAC."""
        recipes = (recipe for recipe in RECIPES.values() if ROOT / recipe.program == self.program)
        return next(recipes, RECIPES["fasnet"])


def read_sweep(path: Path) -> Sweep:
    """Return a sweep.

    Raises:
        UsageError: The file is missing or wrong; the message says where.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or not set(content) <= set(_KEYS):
        raise UsageError(f"{path} must hold {', '.join(_KEYS)} and nothing else")
    program = ROOT / str(content.get("recipe", ""))
    if not program.is_file() or program.suffix != ".py":
        raise UsageError(
            f"{path}: recipe must be a program such as egs/TAC/train.py; got {program}"
        )
    common, entries = content.get("options") or {}, content.get("runs")
    if not isinstance(common, dict):
        raise UsageError(f"{path}: options must hold 'key: value' lines; got {common!r}")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"{path}: runs must be a list of options; got {entries!r}")
    runs = tuple(run for entry in entries for run in _combinations(path, {**common, **entry}))
    tags = [run.tag for run in runs]
    duplicates = sorted({tag for tag in tags if tags.count(tag) > 1})
    if duplicates or not runs:
        what = f"several runs have the tag {duplicates[0]}" if duplicates else "there is no run"
        raise UsageError(f"{path}: {what}: a tag must name every option that is a list")
    evaluate, stages = (str(content.get(key) or "") for key in ("evaluate", "stages"))
    return Sweep(path, program, evaluate, stages or "all", runs)


def _combinations(path: Path, entry: dict[str, Any]) -> Iterator[Run]:
    """Yield a run for each combination of the values that are lists."""
    template = str(entry.pop("tag", ""))
    choices = {name: value if isinstance(value, list) else [value] for name, value in entry.items()}
    for name, values in choices.items():
        _check_option(f"{path}: {template}: {name}", name, values)
    for combination in itertools.product(*choices.values()):
        texts = (v if isinstance(v, str) else json.dumps(v, default=str) for v in combination)
        options = dict(zip(choices, texts, strict=True))
        tag = _fill(path, template, options)
        if not re.fullmatch(r"[^./\-][^/]*", tag):
            raise UsageError(f"{path}: the tag must be the plain name of a folder; got {tag!r}")
        seedless = _fill(path, re.sub(r"[-_.]?[a-z]*\{seed\}", "", template), options)
        yield Run(tag, tuple(options.items()), seedless or tag)


def _check_option(where: str, name: Any, values: list[Any]) -> None:
    """Refuse what can be no option of any recipe."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][\w.-]*", name):
        raise UsageError(f"{where} is no option's name")
    if name in _RESERVED:
        raise UsageError(f"{where} is set by sweep.sh, for all runs")
    if not values or any(isinstance(value, (list, dict)) for value in values):
        raise UsageError(f"{where} must be a value or a list of values; got {values!r}")


def _fill(path: Path, template: str, options: dict[str, str]) -> str:
    """Put options into a tag."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in options:
            raise UsageError(f"{path}: the tag {template!r} names {match[1]}, which is no option")
        return options[match[1]]

    return re.sub(r"\{(\w+)\}", value, template)


def check_runs(sweep: Sweep) -> None:
    """Have the recipe read every option's values before anything is submitted.

    Raises:
        UsageError: It refuses one; the message says which and why.
    """
    unread = {option for run in sweep.runs for option in run.options}
    while unread:  # the recipe takes seconds, so it reads as many values as it can each time
        run = max(sweep.runs, key=lambda run: len(unread.intersection(run.options)))
        unread.difference_update(run.options)
        words = [interpreter(), str(sweep.program), *run.flags, "--print_config"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            raise UsageError(f"{sweep.path}: {run.tag}: {lines[-1]}")


def train_tasks(sweep: Sweep, args: argparse.Namespace) -> list[Task]:
    """Return the trainings that are neither finished nor queued nor running.

    Raises:
        UsageError: The recipe refuses the options of one.
        FileNotFoundError: There is no data.
    """
    words = ["--gpus", "-1" if args.gpus == "-" else args.gpus]
    for part in ("train", "valid"):
        path = sweep.recipe.find_data(part, getattr(args, f"{part}_json"))
        words += [f"--{part}_json", str(path)]
    check_runs(sweep)
    tasks = []
    for run in sweep.runs:
        folder = experiments_folder() / run.tag
        if not is_trained(folder) and not find_state(folder, "train").active:
            command = [interpreter(), str(sweep.program), "--exp_dir", str(folder)]
            tasks.append(Task(str(folder), "train", [*command, *words, *run.flags]))
    return tasks


def evaluation_tasks(sweep: Sweep, test: Path) -> list[Task]:
    """Return the evaluations of finished trainings that are not done, queued or running.

    Raises:
        UsageError: The file names no network.
    """
    if sweep.evaluate not in RECIPES:
        names = ", ".join(RECIPES)
        raise UsageError(f"{sweep.path}: evaluate must be one of {names}; got {sweep.evaluate!r}")
    name = f"eval_{test.stem}"
    program = [interpreter(), "-m", "seloss.cli.cluster.evaluate", sweep.evaluate, sweep.stages]
    tasks = []
    for run in sweep.runs:
        folder = experiments_folder() / run.tag
        due = is_trained(folder) and not is_evaluated(folder, test)
        if due and not find_state(folder, name).active:
            tasks.append(Task(str(folder), name, [*program, run.tag, str(test)]))
    return tasks


def is_trained(folder: Path) -> bool:
    """Return whether a training has ended."""
    return (folder / "best_model.pth").is_file()


def is_evaluated(folder: Path, test: Path) -> bool:
    """Return whether the network as it is now has been evaluated on a test set."""
    table = folder / test.stem / "metrics" / "metrics_by_sample.csv"
    model = folder / "best_model.pth"
    return table.is_file() and table.stat().st_mtime > model.stat().st_mtime


def compare_command(sweep: Sweep, test: Path, out: Path) -> list[str]:
    """Return the comparison of what is evaluated; a configuration's seeds count as one system.

    Raises:
        RuntimeError: Fewer than two configurations are evaluated.
    """
    root = experiments_folder()
    systems: dict[str, list[str]] = {}
    for run in sweep.runs:
        if is_trained(root / run.tag) and is_evaluated(root / run.tag, test):
            systems.setdefault(run.configuration, []).append(run.tag)
    if len(systems) < 2:
        message = f"{len(systems)} configuration(s) are evaluated on {test.stem}: too few"
        raise RuntimeError(message)
    names = [f"{name}={','.join(tags)}" for name, tags in systems.items()]
    words = [interpreter(), "-m", "evaluation.compare", *names, "--root", str(root)]
    return [*words, "--testset", test.stem, "-o", str(out)]


def _work(args: argparse.Namespace) -> int:
    sweep = read_sweep(Path(args.sweep))
    folder = experiments_folder() / f"sweep-{sweep.path.stem}"
    if args.stage == "train":
        tasks = train_tasks(sweep, args)
    else:
        test = sweep.recipe.find_data("test", args.test_json)
        if args.stage == "compare":
            command = compare_command(sweep, test, folder / "comparison")
            print(shlex.join(command))
            return 0 if args.dry_run else subprocess.run(command, check=False).returncode
        tasks = evaluation_tasks(sweep, test)
    numbers = f"{len(sweep.runs)} runs, {len(tasks)} to {args.stage}"
    print(f"{sweep.path.stem}: {numbers}", file=sys.stderr)
    if not tasks:
        return 0
    title = f"{sweep.path.stem}.{args.stage}"
    request = make_request(args, folder / "logs", args.stage, title)
    return carry_out(request, tasks, dry_run=args.dry_run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    parser = make_parser("seloss sweep", __doc__ or "")
    parser.add_word("SWEEP", "a file such as configs/sweeps/losses.yml")
    parser.add_word("CLUSTER", "local, auto (default), or a profile's name", "auto")
    parser.add_word("GPUS", "of each machine; - (default): as the profile says", "-")
    parser.add_word("WALLTIME", "of each training; - (default): as the profile says", "-")
    parser.add_argument(
        "--stage",
        choices=("train", "evaluate", "compare"),
        default="train",
        help="train (default); evaluate what is trained, as an array too; compare: one table of "
        "all that is evaluated, with confidence intervals, in experiments/sweep-NAME/comparison",
    )
    for part in ("train", "valid", "test"):
        text = f"default: $SELOSS_{part.upper()}_JSON, else that of the recipe"
        parser.add_argument(f"--{part}_json", default="", metavar="FILE", help=text)
    add_options(parser)
    return run_command(parser, _work, argv)


if __name__ == "__main__":
    sys.exit(main())
