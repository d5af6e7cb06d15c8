"""Launcher of evaluation on a cluster: ``evaluate_<net>_job.sh``, one task or an array.

A part that failed, or is older than the network or the test set, is submitted again by the same
command, the others are not.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from seloss.program import UsageError

from .evaluate import SHARED, add_test_set, find_experiment, is_part_done, read_stages
from .folders import interpreter
from .plan import Task
from .profile import add_options, count, make_request
from .recipes import RECIPES
from .submit import carry_out, make_parser, run_launcher


def make_tasks(args: argparse.Namespace, run_dir: Path, test: Path) -> list[Task]:
    """Return the tasks to submit.

    Raises:
        UsageError: The stages cannot be shared.
    """
    program = [interpreter(), "-m", "seloss.cli.cluster.evaluate", args.net, *args.extra]
    words = [args.stage, args.experiment_tag, str(test)]
    name, n = f"eval_{test.stem}", args.shards
    if n == 1:
        return [Task(str(run_dir), name, [*program, *words])]
    if not set(SHARED) & set(read_stages(args.stage)):
        raise UsageError(f"stages 1 and 2 are shared among tasks; got {args.stage!r}")
    missing = [i for i in range(1, n + 1) if not is_part_done(run_dir, test, i, n)]
    return [
        Task(str(run_dir), f"{name}_{i}_of_{n}", [*program, "--part", f"{i}/{n}", *words])
        for i in missing or [n]  # all are done: what is missing is the join
    ]


def _work(args: argparse.Namespace) -> int:
    run_dir = find_experiment(args.net, args.experiment_tag)
    read_stages(args.stage)
    test = RECIPES[args.net].find_data("test", args.input)
    stem = f"eval_{test.stem}"
    request = make_request(args, run_dir / "logs", stem, f"{args.experiment_tag}.{stem}")
    request = dataclasses.replace(request, ranks=1)  # however many GPUs there are
    return carry_out(request, make_tasks(args, run_dir, test), dry_run=args.dry_run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    net, *words = sys.argv[1:] if argv is None else argv
    text = f"Submit the evaluation of an experiment. Options of evaluate_{net}.sh follow after --."
    parser = make_parser(f"evaluate_{net}_job.sh", text)
    example = f"bash scripts/evaluate/evaluate_{net}_job.sh --shards 8 XP1 all 2 slurm"
    parser.epilog = f"Example: {example}"
    parser.set_defaults(net=net, nodes=1, ranks=1)
    parser.add_word("EXPERIMENT_TAG", "name of the experiment, as in training")
    parser.add_word("STAGE", f"of evaluate_{net}.sh: 1 to 4, a list of them, or all")
    parser.add_word("WALLTIME", "hours, or H:MM:SS; -: as the profile says")
    parser.add_word("CLUSTER", "local, auto, or a profile's name")
    add_test_set(parser, "INPUT", net)
    parser.add_argument(
        "--shards",
        type=count,
        default=1,
        metavar="N",
        help="share stages 1 and 2 among N tasks; the tables are those of one process",
    )
    parser.add_argument("--gpus", default="-", metavar="N", help="of each task; -: the profile's")
    add_options(parser, processes=False)
    return run_launcher(parser, _work, words)


if __name__ == "__main__":
    sys.exit(main())
