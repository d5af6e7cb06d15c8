"""Hand commands over to a cluster: to SLURM or OAR as its profile says, or run them here.

One description for all: so many GPUs or processes on so many nodes for so long. What is submitted
is one bash file, kept beside the logs; it prepares the node and calls ``job.sh``.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jobs import Job, find_state, now, record
from profiles import ROOT, CommandError, UsageError
from request import Request, Task, add_options, make_request
from schedulers import oar_can_name, read_ids, submission

# Handed on to the job beside all that begin with SELOSS_; the schedulers differ in what they keep.
_KEPT_VARIABLES = ("PYTHON", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "LANG", "LC_ALL")


def job_command(request: Request, task: Task) -> list[str]:
    """Return the call of job.sh for a task."""
    words = ["bash", str(ROOT / "scripts/cluster/job.sh"), "--scheduler", request.scheduler]
    words += ["--nodes", str(request.nodes), "--ranks", str(request.ranks)]
    words += ["--python", request.python, "--script", str(request.script)]
    return [*words, "--run-dir", str(task.run_dir), "--name", task.name, "--", *task.command]


def script_text(request: Request, tasks: Sequence[Task]) -> str:
    """Return the bash file to submit; every value in it is quoted."""
    kept = {key: value for key, value in sorted(os.environ.items()) if _is_kept(key)}
    kept = {"LANG": "C.UTF-8", **kept, "PYTHON": request.python}
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    lines = ["#!/usr/bin/env bash", f"# {request.title}, for {request.cluster}, {when}"]
    lines += ["set -euo pipefail", "exec 2>&1"]
    log = f"{request.folder / request.stem}_"
    if request.scheduler == "oar" and not oar_can_name(log):
        lines += [f'[[ -z ${{OAR_JOB_ID:-}} ]] || exec >>{shlex.quote(log)}"$OAR_JOB_ID.log"']
        lines += ["exec 2>&1"]
    lines += [f"export {key}={shlex.quote(value)}" for key, value in kept.items()]
    lines += request.profile.setup_lines()
    lines += [f"cd -- {shlex.quote(str(Path.cwd()))}"]
    lines += ["task=${SELOSS_TASK:-${SLURM_ARRAY_TASK_ID:-${OAR_ARRAY_INDEX:-1}}}", "case $task in"]
    for index, task in enumerate(tasks, start=1):
        head, tail = _split_at(job_command(request, task), "--run-dir")
        lines += [f'{index}) exec {shlex.join(head)} "$@" {shlex.join(tail)} ;;']
    lines += ['*) echo "there is no task $task" >&2; exit 2 ;;', "esac"]
    return "\n".join(lines) + "\n"


def submit(request: Request, tasks: Sequence[Task]) -> list[str]:
    """Submit tasks as one job or array; return the number of each.

    Raises:
        CommandError: The scheduler refused.
    """
    for task in tasks:
        (task.run_dir / "logs").mkdir(parents=True, exist_ok=True)
    request.folder.mkdir(parents=True, exist_ok=True)
    _replace(request.script, script_text(request, tasks))
    before, words = now(), submission(request, len(tasks))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise CommandError(f"{words[0]} failed with status {done.returncode}: {said}")
    ids, arrays = read_ids(request, done.stdout, len(tasks))
    if len(ids) != len(tasks):
        raise CommandError(f"{words[0]} named no job: {said}")
    for index, (task, number) in enumerate(zip(tasks, ids, strict=True), start=1):
        suffix = number if request.scheduler == "slurm" else "%jobid%"
        log = str(request.folder / f"{request.stem}_{suffix}.log")
        job = Job(number, request.scheduler, request.cluster, arrays, index, log, before)
        record(task.run_dir, task.name, job)
    return ids


def run_here(request: Request, tasks: Sequence[Task]) -> int:
    """Run the tasks on this machine, one after the other; return the first status that is not 0."""
    local = ["bash", str(ROOT / "scripts/cluster/local.sh")]
    calls = []
    for task in tasks:
        (task.run_dir / "logs").mkdir(parents=True, exist_ok=True)
        log = task.run_dir / "logs" / f"{task.name}.log"
        calls.append([*local, str(log), *job_command(request, task)[2:]])
    if len(calls) == 1:
        os.execvp(calls[0][0], calls[0])
    statuses = [subprocess.run(call, check=False).returncode for call in calls]
    return next((status for status in statuses if status), 0)


def show(request: Request, tasks: Sequence[Task]) -> None:
    """Print what would be run or submitted, in words that a shell understands."""
    if request.scheduler == "local":
        for task in tasks:
            print(shlex.join(_with_torchrun(request, task)))
        return
    print(shlex.join(submission(request, len(tasks))))
    print(f"\n# {request.script}:\n{script_text(request, tasks)}", end="")


def refuse_active(request: Request, tasks: Sequence[Task]) -> None:
    """Refuse to submit what is queued or running."""
    for task in tasks:
        state = find_state(task.run_dir, task.name)
        if state.active:
            raise UsageError(
                f"{task.run_dir.name}: {task.name} is {state.kind} already, as job {state.job}"
            )


def carry_out(request: Request, tasks: Sequence[Task], dry_run: bool) -> int:
    """Show, run or submit tasks; return the exit status."""
    if dry_run:
        show(request, tasks)
        return 0
    if request.scheduler == "local":
        return run_here(request, tasks)
    refuse_active(request, tasks)
    for task, number in zip(tasks, submit(request, tasks), strict=True):
        tag = task.run_dir.name
        print(f"{tag}: {task.name} is job {number} on {request.cluster} ({request.scheduler})")
    print(f"follow it: bash scripts/status.sh {shlex.quote(tasks[0].run_dir.name)}")
    return 0


def guarded(work: object, *args: object) -> int:
    """Call ``work``; turn its errors into one line and a status: 2 wrong usage, 1 failed."""
    name = os.environ.get("SELOSS_LAUNCHER") or Path(sys.argv[0]).name
    try:
        return int(work(*args))  # type: ignore[operator]
    except UsageError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 2
    except (CommandError, OSError) as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 1


def _work(args: argparse.Namespace) -> int:
    run_dir = Path(os.path.abspath(args.run_dir))
    if args.tasks:
        tasks = [
            Task(Path(os.path.abspath(one["run_dir"])), one["name"], tuple(one["command"]))
            for one in json.loads(Path(args.tasks).read_text(encoding="utf-8"))
        ]
    else:
        tasks = [Task(run_dir, args.name, tuple(args.command))]
    request = make_request(args, run_dir / "logs", args.name, f"{run_dir.name}.{args.name}")
    return carry_out(request, tasks, args.dry_run)


def main() -> int:
    """Run the program; return its exit status."""
    parser = argparse.ArgumentParser(prog="submit.py", description=__doc__)
    parser.add_argument("--run-dir", required=True, help="the experiment's folder")
    parser.add_argument("--name", required=True, help="of the job, as train")
    parser.add_argument("--tasks", help="JSON list of run_dir, name, command: an array")
    add_options(parser)
    parser.add_argument("command", nargs="*", help="what to run, after --")
    return guarded(_work, parser.parse_args())


def _with_torchrun(request: Request, task: Task) -> list[str]:
    if request.ranks == 1:
        return list(task.command)
    words = [request.python, "-m", "torch.distributed.run", "--standalone"]
    return [*words, "--nproc-per-node", str(request.ranks), "--no-python", "--", *task.command]


def _split_at(words: list[str], word: str) -> tuple[list[str], list[str]]:
    place = words.index(word)
    return words[:place], words[place:]


def _is_kept(key: str) -> bool:
    own = ("SELOSS_TASK", "SELOSS_SHARD", "SELOSS_LAUNCHER")
    return (key.startswith("SELOSS_") and key not in own) or key in _KEPT_VARIABLES


def _replace(path: Path, text: str) -> None:
    """Write a file under another name and rename it: a job may be reading the old one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
