"""Submit the evaluation of an experiment: one task, or an array that shares the test set.

Each task of an array enhances and judges its part, then looks whether it was the last; the last one
joins the parts by the same command without a part. A part that failed, or is older than the network
or the test set, is submitted again by the same command, the others are not.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from profiles import ROOT, UsageError
from request import Task, add_options, make_request
from submit import carry_out, guarded

_SHARED_STAGES = "12"


def marker(run_dir: Path, testset: str, index: int, count: int) -> Path:
    """Return the file that says that a part is done."""
    return run_dir / "logs" / f".eval_{testset}_{index}_of_{count}.done"


def tasks_of(args: argparse.Namespace, run_dir: Path, test: Path) -> list[Task]:
    """Return the tasks to submit.

    Raises:
        UsageError: The stages cannot be shared.
    """
    script = ROOT / "scripts/evaluate" / f"evaluate_{args.net}.sh"
    if not script.is_file():
        raise UsageError(f"there is no {script}")
    words = [args.stage, args.tag, str(test), *args.extra]
    count, name = args.shards, f"eval_{test.stem}"
    if count == 1:
        return [Task(run_dir, name, ("bash", str(script), *words))]
    shared = _shared(args.stage)
    if not shared:
        raise UsageError(f"stages 1 and 2 are shared among tasks; got {args.stage!r}")
    part = str(ROOT / "scripts/evaluate/part.sh")
    newest = max(p.stat().st_mtime for p in (run_dir / "best_model.pth", test) if p.exists())
    missing = [i for i in range(1, count + 1) if not _is_done(run_dir, test.stem, i, count, newest)]
    return [
        Task(
            run_dir,
            f"{name}_{index}_of_{count}",
            ("bash", part, str(index), str(count), str(run_dir), shared, str(script), *words),
        )
        for index in missing or [count]  # all are done: what is missing is the join
    ]


def _is_done(run_dir: Path, testset: str, index: int, count: int, newest: float) -> bool:
    path = marker(run_dir, testset, index, count)
    return path.is_file() and path.stat().st_mtime > newest


def _shared(stage: str) -> str:
    """Return those of the stages that can be shared, as `1,2`."""
    return ",".join(one for one in _SHARED_STAGES if stage == "all" or one in stage)


def _work(args: argparse.Namespace) -> int:
    run_dir, test = (Path(os.path.abspath(path)) for path in (args.run_dir, args.test))
    tasks = tasks_of(args, run_dir, test)
    stem = f"eval_{test.stem}"
    request = make_request(args, run_dir / "logs", stem, f"{run_dir.name}.{stem}")
    return carry_out(request, tasks, args.dry_run)


def main() -> int:
    """Run the program; return its exit status."""
    parser = argparse.ArgumentParser(prog="evaluate.py", description=__doc__)
    parser.add_argument("--net", required=True, help="as in evaluate_<net>.sh")
    parser.add_argument("--tag", required=True)
    parser.add_argument("--run-dir", required=True, help="the experiment's folder")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--test", required=True, help="the test set")
    parser.add_argument("--shards", type=int, default=1, help="number of tasks")
    add_options(parser)
    parser.add_argument("extra", nargs="*", help="options of evaluate_<net>.sh, after --")
    return guarded(_work, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
