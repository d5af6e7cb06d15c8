"""Sweeps: a YAML file says which options go together; each combination is an experiment.

``configs/sweeps/losses.yml`` is an example that explains every key.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jobs import find_state
from profiles import ROOT, CommandError, UsageError
from request import Task, add_options, make_request
from submit import carry_out, guarded

_KEYS = ("recipe", "evaluate", "stages", "options", "runs")
_SET_HERE = {"exp_dir", "train_json", "valid_json", "gpus", "overwrite"}


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
    """What a file of configs/sweeps says."""

    name: str
    recipe: Path
    evaluate: str
    stages: str
    runs: tuple[Run, ...]


def read_sweep(path: Path) -> Sweep:
    """Return a sweep.

    Raises:
        UsageError: The file is missing or wrong; the message says where.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {error}") from None
    if not isinstance(content, dict) or not set(content) <= set(_KEYS):
        raise UsageError(f"{path} must hold {', '.join(_KEYS)} and nothing else")
    recipe = ROOT / str(content.get("recipe", ""))
    if not recipe.is_file() or recipe.suffix != ".py":
        raise UsageError(f"{path}: recipe must be a program such as egs/TAC/train.py; got {recipe}")
    common = content.get("options") or {}
    entries = content.get("runs")
    if not isinstance(common, dict):
        raise UsageError(f"{path}: options must hold 'key: value' lines; got {common!r}")
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise UsageError(f"{path}: runs must be a list of options; got {entries!r}")
    runs = tuple(run for entry in entries for run in _combinations(path, {**common, **entry}))
    tags = [run.tag for run in runs]
    twice = sorted({tag for tag in tags if tags.count(tag) > 1})
    if twice or not runs:
        found = f"several runs have the tag {twice[0]}" if twice else "there is no run"
        raise UsageError(f"{path}: {found}: a tag must name every option that is a list")
    evaluate, stages = (str(content.get(key) or "") for key in ("evaluate", "stages"))
    return Sweep(path.stem, recipe, evaluate, stages or "all", runs)


def _combinations(path: Path, entry: dict[str, Any]) -> Iterator[Run]:
    """Yield a run for each combination of the values that are lists."""
    template = str(entry.pop("tag", ""))
    names = list(entry)
    values = [value if isinstance(value, list) else [value] for value in entry.values()]
    for name, choices in zip(names, values, strict=True):
        _check_option(f"{path}: {template}: {name}", name, choices)
    for chosen in itertools.product(*values):
        options = {name: _as_text(value) for name, value in zip(names, chosen, strict=True)}
        tag = _fill(path, template, options)
        if not re.fullmatch(r"[^./\-][^/]*", tag):
            raise UsageError(f"{path}: the tag must be the plain name of a folder; got {tag!r}")
        bare = _fill(path, re.sub(r"[-_.]?[a-z]*\{seed\}", "", template), options)
        yield Run(tag, tuple(options.items()), bare or tag)


def _check_option(where: str, name: Any, choices: list[Any]) -> None:
    """Refuse what can be no option of any recipe."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][\w.-]*", name):
        raise UsageError(f"{where} is no option's name")
    if name in _SET_HERE:
        raise UsageError(f"{where} is set by sweep.sh, for all runs")
    if not choices or any(isinstance(one, (list, dict)) for one in choices):
        raise UsageError(f"{where} must be a value or a list of values; got {choices!r}")


def _fill(path: Path, template: str, options: dict[str, str]) -> str:
    """Put options into a tag."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in options:
            raise UsageError(f"{path}: the tag {template!r} names {match[1]}, which is no option")
        return options[match[1]]

    return re.sub(r"\{(\w+)\}", value, template)


def _as_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def check_runs(path: Path, sweep: Sweep) -> None:
    """Have the recipe read the options before anything is submitted: each value once.

    Raises:
        UsageError: It refuses one; the message says which and why.
    """
    seen: set[tuple[str, str]] = set()
    python = os.environ.get("PYTHON") or sys.executable
    for run in sweep.runs:
        if seen.issuperset(run.options):
            continue
        seen.update(run.options)
        words = [python, str(sweep.recipe), *run.flags, "--print_config"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            raise UsageError(f"{path}: {run.tag}: {said[-1]}")


def train_tasks(sweep: Sweep, root: Path, args: argparse.Namespace) -> list[Task]:
    """Return the trainings that are neither finished nor queued nor running."""
    gpus = "-1" if args.gpus == "-" else args.gpus
    data = ["--train_json", args.train_json, "--valid_json", args.valid_json, "--gpus", gpus]
    python = os.environ.get("PYTHON") or sys.executable
    tasks = []
    for run in sweep.runs:
        folder = root / run.tag
        if is_trained(folder) or find_state(folder, "train").active:
            continue
        words = [python, str(sweep.recipe), "--exp_dir", str(folder), *data, *run.flags]
        tasks.append(Task(folder, "train", tuple(words)))
    return tasks


def evaluation_tasks(sweep: Sweep, root: Path, test: Path) -> list[Task]:
    """Return the evaluations of finished trainings that are not done, queued or running."""
    script = ROOT / "scripts/evaluate" / f"evaluate_{sweep.evaluate}.sh"
    if not script.is_file():
        raise UsageError(f"evaluate: {sweep.evaluate!r}: there is no {script}")
    name = f"eval_{test.stem}"
    return [
        Task(root / run.tag, name, ("bash", str(script), sweep.stages, run.tag, str(test)))
        for run in sweep.runs
        if is_trained(root / run.tag)
        and not is_judged(root / run.tag, test)
        and not find_state(root / run.tag, name).active
    ]


def is_trained(folder: Path) -> bool:
    """Return whether a training has ended."""
    return (folder / "best_model.pth").is_file()


def is_judged(folder: Path, test: Path) -> bool:
    """Return whether the network as it is now has been judged on a test set."""
    table = folder / test.stem / "metrics" / "metrics_by_sample.csv"
    model = folder / "best_model.pth"
    return table.is_file() and table.stat().st_mtime > model.stat().st_mtime


def compare_command(sweep: Sweep, root: Path, test: Path, out: Path) -> list[str]:
    """Return the comparison of what is judged; the seeds of a configuration count as one system.

    Raises:
        CommandError: Fewer than two configurations are judged.
    """
    systems: dict[str, list[str]] = {}
    for run in sweep.runs:
        if is_trained(root / run.tag) and is_judged(root / run.tag, test):
            systems.setdefault(run.configuration, []).append(run.tag)
    if len(systems) < 2:
        raise CommandError(f"{len(systems)} configuration(s) are judged on {test.stem}: too few")
    names = [f"{name}={','.join(tags)}" for name, tags in systems.items()]
    python = os.environ.get("PYTHON") or sys.executable
    words = [python, "-m", "evaluation.compare", *names, "--root", str(root)]
    return [*words, "--testset", test.stem, "-o", str(out)]


def _work(args: argparse.Namespace) -> int:
    sweep, root = read_sweep(Path(args.config)), Path(os.path.abspath(args.root))
    test, folder = Path(os.path.abspath(args.test_json)), root / f"sweep-{sweep.name}"
    if args.stage == "compare":
        command = compare_command(sweep, root, test, folder / "comparison")
        print(shlex.join(command))
        return 0 if args.dry_run else subprocess.run(command, check=False).returncode
    train = args.stage == "train"
    if train:
        check_runs(Path(args.config), sweep)
    tasks = train_tasks(sweep, root, args) if train else evaluation_tasks(sweep, root, test)
    print(f"{sweep.name}: {len(sweep.runs)} runs, {len(tasks)} to {args.stage}", file=sys.stderr)
    if not tasks:
        return 0
    request = make_request(args, folder / "logs", args.stage, f"{sweep.name}.{args.stage}")
    return carry_out(request, tasks, args.dry_run)


def main() -> int:
    """Run the program; return its exit status."""
    parser = argparse.ArgumentParser(prog="sweep.py", description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--root", required=True, help="folder of the experiments")
    parser.add_argument("--stage", choices=("train", "evaluate", "compare"), default="train")
    for name in ("train", "valid", "test"):
        parser.add_argument(f"--{name}_json", required=True)
    add_options(parser)
    return guarded(_work, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
