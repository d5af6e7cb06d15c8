"""Launcher of evaluation: the stages of ``evaluate_<net>.sh``, one after the other.

A stage that is started again does what is missing; one that fails ends the program with status 1.
With ``--part I/N`` the stages that can be shared (1 and 2) are done for one part of the test set.
The part that finds all others done runs all stages for the whole, which joins the parts to the
tables that one process would have made, byte for byte.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from asteroid.utils.system import lock_file
from seloss.program import UsageError, run_command
from seloss.root import ROOT

from .folders import experiment_folder, interpreter
from .plan import Plan, Task
from .profile import add_dry_run
from .recipes import RECIPES
from .submit import Parser, make_parser, run_here, shard_suffix

NAMES = {1: "inference", 2: "utt_eval", 3: "recognise", 4: "ph_eval"}
SHARED = (1, 2)
# What a manifest must say for a stage; ``all`` leaves the stage out otherwise.
_NEEDED = {3: ("transcript",), 4: ("transcript", "textgrid", "phones")}

_ARGUMENTS = """\
STAGE is 1 (enhance the test set), 2 (metrics of every utterance), 3 (word and phone error rates of
a recogniser), 4 (metrics by class of phone), a list such as 1,2 or "1 2", or all (3 and 4 then only
if the manifest says what is spoken: transcript, for 4 also textgrid or phones).
"""


def read_stages(text: str) -> list[int]:
    """Return the stages of ``1,2``, ``1 2`` or ``all``.

    Raises:
        UsageError: The text is none of them.
    """
    if text == "all":
        return list(NAMES)
    words = re.split(r"[, ]+", text.strip(", "))
    if not all(re.fullmatch("[1-4]", word) for word in words):
        raise UsageError(f"STAGE must be 1 to 4, a list of them, or all; got {text!r}")
    return [int(word) for word in words]


def stage_command(args: argparse.Namespace, stage: int, run_dir: Path, test: Path) -> list[str]:
    """Return the call of a stage's program."""
    which = ["--experiment_tag", run_dir.name, "--root", str(run_dir.parent)]
    which += ["--testset", test.stem]
    jobs = ["--jobs", args.jobs] if args.jobs else []
    if stage == 1 and args.net == "fasnet":  # the network of several microphones has its own
        words = [str(ROOT / "egs/TAC/custom_inference.py"), "--experiment_tag", args.experiment_tag]
        words += ["--model_path", str(run_dir / "best_model.pth"), "--input_json", str(test)]
        words += ["--output_dir", str(run_dir / test.stem), "--device", args.device]
    elif stage == 1:
        words = ["-m", "evaluation.infer", *which, "--manifest", str(test), "--device", args.device]
    else:
        words = ["-m", f"evaluation.{NAMES[stage]}", *which, *jobs]
    if stage == 2 and args.metrics:
        words += ["--metrics", *re.split(r"[, ]+", args.metrics)]
    if stage == 3 and args.recogniser:
        words += ["--recogniser", args.recogniser]
    return [interpreter(), *words]


def run_stages(args: argparse.Namespace, stages: Sequence[int], test: Path) -> int:
    """Run stages; return the first status that is not 0."""
    run_dir = experiment_folder(args.experiment_tag)
    for stage in stages:
        name = NAMES[stage]
        if args.stage == "all" and not _says_enough(stage, test):
            continue
        print(
            f"[stage {stage}] {name} of {args.experiment_tag} on {test.stem}",
            file=sys.stderr,
            flush=True,
        )
        command = stage_command(args, stage, run_dir, test)
        if args.dry_run:
            print(shlex.join(command))
            continue
        task = Task(str(run_dir), name + shard_suffix(), command)
        status = run_here(Plan("local", 1, 1, [task]))
        if status > 128:
            return status
        if status:
            raise RuntimeError(f"stage {stage} ({name}) failed")
    return 0


def run_part(args: argparse.Namespace, stages: Sequence[int], test: Path) -> int:
    """Do one part; if all others are done, join them."""
    index, count = map(int, args.part.split("/"))
    run_dir = experiment_folder(args.experiment_tag)
    marker = part_marker(run_dir, test, index, count)
    marker.unlink(missing_ok=True)
    os.environ["SELOSS_SHARD"] = args.part
    status = run_stages(args, [stage for stage in stages if stage in SHARED], test)
    if status:
        return status
    marker.touch()
    del os.environ["SELOSS_SHARD"]
    if not all(is_part_done(run_dir, test, i, count) for i in range(1, count + 1)):
        return 0
    print(f"[part {args.part}] all parts are done: joining them", file=sys.stderr, flush=True)
    with marker.with_name(f".eval_{test.stem}.join").open("a") as lock:
        lock_file(lock, wait=True)  # two parts that end at once both join: the same tables
        return run_stages(args, stages, test)


def part_marker(run_dir: Path, test: Path, index: int, count: int) -> Path:
    """Return the file that says that a part is done."""
    return run_dir / "logs" / f".eval_{test.stem}_{index}_of_{count}.done"


def is_part_done(run_dir: Path, test: Path, index: int, count: int) -> bool:
    """Return whether a part was done with the network and the test set as they are now."""
    marker = part_marker(run_dir, test, index, count)
    inputs = [path for path in (run_dir / "best_model.pth", test) if path.exists()]
    newest = max((path.stat().st_mtime_ns for path in inputs), default=0)
    return marker.is_file() and marker.stat().st_mtime_ns > newest


def find_experiment(net: str, tag: str) -> Path:
    """Return the folder of an experiment.

    Raises:
        FileNotFoundError: There is none.
    """
    folder = experiment_folder(tag)
    if not folder.is_dir():
        trainer = f"scripts/train/train_{net}.sh"
        raise FileNotFoundError(f"no experiment {folder}: train it first ({trainer})")
    return folder


def add_test_set(parser: Parser, name: str, net: str) -> None:
    """Add the last argument: the test set."""
    default = RECIPES[net].data.format("test")
    parser.add_word(name, f"test set ($SELOSS_TEST_JSON, else {default})", "")


def _says_enough(stage: int, test: Path) -> bool:
    """Return whether the test set says of what is spoken as much as the stage needs."""
    keys = _NEEDED.get(stage)
    if keys is None or test.suffix != ".json":
        return True
    value = r'\s*:\s*["\[][^\]"]'  # neither empty text nor an empty list
    if re.search(f'"({"|".join(keys)})"{value}', test.read_text(encoding="utf-8")):
        return True
    print(
        f"[stage {stage}] {NAMES[stage]} left out: {test} has no {', '.join(keys)}", file=sys.stderr
    )
    return False


def _work(args: argparse.Namespace) -> int:
    stages = read_stages(args.stage)
    if not args.dry_run:
        find_experiment(args.net, args.experiment_tag)
    test = RECIPES[args.net].find_data("test", args.test)
    return (run_part if args.part else run_stages)(args, stages, test)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    net, *words = sys.argv[1:] if argv is None else argv
    recipe = RECIPES[net]
    name = f"evaluate_{net}.sh"
    parser = make_parser(name, "Enhance a test set with a trained network and evaluate the result.")
    parser.epilog = f"{_ARGUMENTS}A stage that is started again does what is missing."
    if recipe.metrics:
        example = f'bash scripts/evaluate/{name} --metrics "{recipe.metrics}" all TAG'
        parser.epilog += f"\n\nThe measures of the paper:\n  {example}"
    parser.set_defaults(net=net)
    parser.add_word("STAGE", "see below")
    parser.add_word("EXPERIMENT_TAG", "name of the experiment, as in training")
    add_test_set(parser, "TEST", net)
    parser.add_argument("--metrics", default="", metavar="LIST", help='of stage 2: "pesq_wb stoi"')
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:0 ... (a GPU if there is)"
    )
    parser.add_argument("--jobs", metavar="N", help="processes of stages 2 to 4 (all cores)")
    parser.add_argument(
        "--recogniser",
        metavar="R",
        help="of stage 3: moonshine (default), pocketsphinx, whisper:PATH, wav2vec2:PATH",
    )
    parser.add_argument("--part", metavar="I/N", help="do one part, as a task of a job array")
    add_dry_run(parser)
    return run_command(parser, _work, words)


if __name__ == "__main__":
    sys.exit(main())
