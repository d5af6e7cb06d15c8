"""Submitted jobs and their states, from ``logs/NAME.jobs``, ``NAME.state`` and the scheduler."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from asteroid.utils.system import lock_file

from .schedulers import SCHEDULERS

_LOG_TAIL_BYTES = 20_000


@dataclass(frozen=True)
class Submission:
    """One submission of one task, a line of ``logs/NAME.jobs``."""

    id: str  # the scheduler's number; 7_2 for a task of an array of SLURM
    scheduler: str
    cluster: str  # the profile's name
    array: str  # OAR's, which stays when a job is started again with a new number; else as id
    index: int  # in the array, from 1
    log: str  # with OAR's %jobid%
    time: float  # seconds since 1970


def record(run_dir: Path, name: str, submission: Submission) -> None:
    """Add a submission to the task's list."""
    with (run_dir / "logs" / f"{name}.jobs").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(submission)) + "\n")


def last_submission(run_dir: Path, name: str) -> Submission | None:
    """Return the last submission, None if there is none."""
    path = run_dir / "logs" / f"{name}.jobs"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return Submission(**json.loads(lines[-1])) if lines else None


@dataclass(frozen=True)
class State:
    """What has become of a task."""

    kind: str  # never, queued, running, requeued, finished, failed, stopped, unknown
    detail: str = ""  # where it runs, or why it failed
    job: str = ""  # the scheduler's number of the job that said so
    time: float = 0.0  # seconds since 1970

    @property
    def active(self) -> bool:
        """Whether it runs or will run."""
        return self.kind in ("queued", "running", "requeued")


def find_state(run_dir: Path, name: str) -> State:
    """Return the state of a task: what its job wrote down, and what the scheduler says."""
    written, last = _written_state(run_dir, name), last_submission(run_dir, name)
    if last is None:
        held = is_held(run_dir / "logs" / f"{name}.lock")
        if written.kind == "running" and held is False:
            return State("failed", "its process was killed", written.job, written.time)
        return written
    if written.kind != "never" and written.time < last.time:  # of an earlier submission
        written = State("never")
    if written.kind in ("finished", "failed"):
        return written
    answer = SCHEDULERS[last.scheduler].ask(last.id, last.array, last.index)
    job = answer.job or last.id
    # A job that was stopped by SIGTERM waits again if SLURM did it, for a better job or by hand.
    if written.kind == "stopped" and answer.kind != "queued":
        return written
    if answer.kind == "unknown":
        return State("unknown", f"{last.scheduler} does not answer here: {answer.detail}", last.id)
    if answer.kind == "running":
        place = written.detail if written.kind == "running" else answer.detail
        return State("running", place, job, written.time)
    if answer.kind == "gone":
        moment = "before it began" if written.kind == "never" else "while it ran"
        notice = _killers_notice(log_file(run_dir, name, job))
        return State("failed", f"ended {moment}: {answer.detail}{notice}", job)
    again = f"again, {written.detail}" if written.kind in ("requeued", "stopped") else answer.detail
    return State("queued", again, job)


def is_held(lock: Path) -> bool | None:
    """Return whether a process holds a record lock on a file; None where that cannot be known."""
    try:
        with lock.open("rb") as file:
            if not lock_file(file, shared=True):
                return None
    except (BlockingIOError, PermissionError):
        return True
    except FileNotFoundError:
        return False
    except OSError:  # a file system without locks
        return None
    return False


def log_file(run_dir: Path, name: str, job: str = "") -> Path:
    """Return where the output of a task's last job is; OAR gives it a new number each time."""
    last = last_submission(run_dir, name)
    if last is None:
        return run_dir / "logs" / f"{name}.log"
    return Path(last.log.replace("%jobid%", job or last.id))


def failure_reason(run_dir: Path, name: str, job: str = "") -> str:
    """Return the last line of the log that looks like an error, else the last line."""
    lines = [line.strip() for line in _tail(log_file(run_dir, name, job))]
    lines = [line for line in lines if line and not line.startswith("[job]")]
    errors = [line for line in lines if re.search(r"\b\w*(error|Error)\b", line)]
    return (errors or lines or [""])[-1]


def _written_state(run_dir: Path, name: str) -> State:
    """Return what the job itself wrote down last."""
    path = run_dir / "logs" / f"{name}.state"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    match = re.fullmatch(r"(\w+) (\d+) (\S+) ?(.*)\n", text)
    if match is None:  # none yet, or by a version that was killed while it wrote
        return State("never")
    return State(match[1], match[4].strip(), match[3], float(match[2]))


def _killers_notice(log: Path) -> str:
    """Return SLURM's line about the end of a job that could not write its own."""
    marks = ("error: ***", "slurmstepd: error:", "oom-kill")
    notices = [line.strip() for line in _tail(log) if any(mark in line for mark in marks)]
    return f" ({notices[-1]})" if notices else ""


def _tail(path: Path) -> Sequence[str]:
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LOG_TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace").splitlines()
