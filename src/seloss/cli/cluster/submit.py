"""Submit a command to a cluster (SLURM or OAR, as its profile says), or run it here.

Two files are submitted and kept beside the logs: the tasks (``NAME_<digest>.json``) and a bash
script that prepares a node and runs them. The names hold a digest of the content, so that a job
that waits finds its own when others of the same name are submitted.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from seloss.program import UsageError, run_command

from .folders import interpreter
from .job import Job
from .jobs import Submission, find_state, record
from .plan import Plan, Task
from .profile import Request, add_options, make_request
from .schedulers import SCHEDULERS, SchedulerError, needs_own_log

# Handed on to the job beside all that begin with SELOSS_; the schedulers differ in what they keep.
_KEPT_VARIABLES = ("PYTHONPATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "LANG", "LC_ALL")
_OWN_VARIABLES = ("SELOSS_TASK", "SELOSS_SHARD", "SELOSS_LAUNCHER")


def carry_out(request: Request, tasks: Sequence[Task], *, dry_run: bool) -> int:
    """Show, run or submit tasks; return the exit status.

    Raises:
        UsageError: A task is queued or running already.
        SchedulerError: The scheduler refused.
    """
    plan = Plan(request.scheduler, request.nodes, request.ranks, list(tasks))
    if dry_run:
        _show(request, plan)
        return 0
    if request.scheduler == "local":
        return run_here(plan)
    for task in tasks:
        state = find_state(Path(task.run_dir), task.name)
        if state.active:
            raise UsageError(f"{task.tag}: {task.name} is {state.kind} already, as job {state.job}")
    for task, number in zip(tasks, _submit(request, plan), strict=True):
        print(f"{task.tag}: {task.name} is job {number} on {request.cluster} ({request.scheduler})")
    print(f"follow it: bash scripts/status.sh {shlex.quote(tasks[0].tag)}")
    return 0


def run_here(plan: Plan) -> int:
    """Run tasks one after the other; return the first status that is not 0."""
    statuses = []
    for index in range(1, len(plan.tasks) + 1):
        statuses.append(Job(plan, index).run())
        if statuses[-1] > 128:  # a signal ends all of them
            break
    return next((status for status in statuses if status), 0)


def shard_suffix() -> str:
    """Return what stands behind a task's name when it does one part of the work ($SELOSS_SHARD)."""
    shard = os.environ.get("SELOSS_SHARD")
    return f"_{shard.replace('/', '_of_')}" if shard else ""


class Parser(argparse.ArgumentParser):
    """Parser that takes options before, between and behind arguments that may be left out."""

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def, override]
        """Parse a command line."""
        return self.parse_intermixed_args(args, namespace)

    def add_word(
        self,
        name: str,
        text: str,
        default: str | None = None,
        choices: tuple[str, ...] | None = None,
    ) -> None:
        """Add a positional argument, whose attribute is its name in small letters.

        With a default it may be left out.
        """
        nargs = None if default is None else "?"
        self.add_argument(
            name.lower(), metavar=name, help=text, nargs=nargs, default=default, choices=choices
        )


def make_parser(name: str, text: str, usage: str | None = None) -> Parser:
    """Return a parser whose messages begin with the launcher that called the program.

    Args:
        name: The program without a launcher, as ``seloss submit``.
        text: Description, printed as it is.
        usage: What stands behind the name.
    """
    prog = os.environ.get("SELOSS_LAUNCHER") or name
    return Parser(
        prog=prog,
        usage=usage and f"{prog} {usage}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run_launcher(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None = None,
) -> int:
    """Run a program whose words after ``--`` are for another one; ``extra`` holds them.

    Returns:
        The exit status.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    place = words.index("--") if "--" in words else len(words)
    parser.set_defaults(extra=words[place + 1 :])
    return run_command(parser, work, words[:place])


def _submit(request: Request, plan: Plan) -> list[str]:
    """Submit tasks as one job or array; return the number of each."""
    for task in plan.tasks:
        task.path("").parent.mkdir(parents=True, exist_ok=True)
    request.folder.mkdir(parents=True, exist_ok=True)
    path = plan_path(request, plan)
    for suffix, text in ((".json", plan.to_json()), (".sh", script_text(request, path))):
        target = path.with_suffix(suffix)
        if not target.exists():  # under another name first: a waiting job reads only whole files
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            temporary.write_text(text, encoding="utf-8", errors="surrogateescape")
            temporary.replace(target)
    scheduler = SCHEDULERS[request.scheduler]
    words = scheduler.submission(request, len(plan.tasks), path.with_suffix(".sh"))
    now = float(int(time.time()))  # whole seconds, as in NAME.state
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    output = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise SchedulerError(f"{words[0]} failed with status {done.returncode}: {output}")
    ids, array = scheduler.read_ids(done.stdout, len(plan.tasks))
    if len(ids) != len(plan.tasks):
        raise SchedulerError(f"{words[0]} named no job: {output}")
    for index, (task, number) in enumerate(zip(plan.tasks, ids, strict=True), start=1):
        suffix = "%jobid%" if request.scheduler == "oar" else number
        log = str(request.folder / f"{request.stem}_{suffix}.log")
        submission = Submission(number, request.scheduler, request.cluster, array, index, log, now)
        record(Path(task.run_dir), task.name, submission)
    return ids


def plan_path(request: Request, plan: Plan) -> Path:
    """Return where the submitted plan goes; the script is beside it."""
    content = plan.to_json() + script_text(request, request.folder)
    digest = hashlib.sha256(content.encode(errors="surrogateescape")).hexdigest()[:8]
    return request.folder / f"{request.stem}_{digest}.json"


def script_text(request: Request, plan: Path) -> str:
    """Return the bash file to submit; every value in it is quoted."""
    kept = {
        key: value
        for key, value in sorted(os.environ.items())
        if (key.startswith("SELOSS_") and key not in _OWN_VARIABLES) or key in _KEPT_VARIABLES
    }
    lines = ["#!/usr/bin/env bash", f"# {request.title}, for {request.cluster}"]
    lines += ["set -euo pipefail"]
    if request.scheduler == "oar" and needs_own_log(request):
        log = shlex.quote(str(request.folder / request.stem))
        lines += [f'[[ -z ${{OAR_JOB_ID:-}} ]] || exec >>{log}_"$OAR_JOB_ID.log"']
    lines += ["exec 2>&1"]
    kept = {"LANG": "C.UTF-8", **kept, "PYTHON": interpreter()}
    lines += [f"export {key}={shlex.quote(value)}" for key, value in kept.items()]
    lines += request.profile.setup_lines()
    lines += [f"cd -- {shlex.quote(str(Path.cwd()))}"]
    # exec: the scheduler's signals go to the shell, and must reach the runner.
    lines += [f'exec "$PYTHON" -m seloss.cli.cluster.job {shlex.quote(str(plan))} "$@"']
    return "\n".join(lines) + "\n"


def _show(request: Request, plan: Plan) -> None:
    """Print what would be run or submitted, in words that a shell understands."""
    if request.scheduler == "local":
        for task in plan.tasks:
            print(shlex.join(plan.local_command(task)))
        return
    path = plan_path(request, plan)
    script = path.with_suffix(".sh")
    words = SCHEDULERS[request.scheduler].submission(request, len(plan.tasks), script)
    print(shlex.join(words))
    print(f"\n# {script}:\n{script_text(request, path)}\n# {path}:\n{plan.to_json()}", end="")


def _work(args: argparse.Namespace) -> int:
    run_dir, name = Path(os.path.abspath(args.run_dir)), args.name + shard_suffix()
    if not args.extra:
        raise UsageError("a command is needed, after --")
    tasks = [Task(str(run_dir), name, args.extra)]
    request = make_request(args, run_dir / "logs", name, f"{run_dir.name}.{name}")
    return carry_out(request, tasks, dry_run=args.dry_run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    text = f"{__doc__}\nOptions of the job; the command follows them after --."
    parser = make_parser("seloss submit", text, "[options] -- COMMAND...")
    parser.add_argument("--run-dir", required=True, help="the experiment's folder")
    parser.add_argument("--name", required=True, help="of the job, as train")
    parser.add_argument("--cluster", default="auto", help="profile's name (default: auto)")
    parser.add_argument("--gpus", default="-", help="of each node; -: as the profile says")
    parser.add_argument("--walltime", default="-", help="hours or H:MM:SS; -: the profile's")
    add_options(parser)
    return run_launcher(parser, _work, argv)


if __name__ == "__main__":
    sys.exit(main())
