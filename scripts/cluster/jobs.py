"""What was submitted, and what has become of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# Jobs of a scheduler that are neither waiting nor running any more.
_GONE_SLURM = {"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"}
_GONE_SLURM |= {"OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"}
_GONE_OAR = {"Terminated", "Error"}
_RUNNING = {"RUNNING", "COMPLETING", "Running", "Finishing", "Launching", "toLaunch"}


@dataclass(frozen=True)
class Job:
    """One submission of one task, a line of ``logs/<name>.jobs``.

    Attributes:
        id: The scheduler's number; ``7_2`` for a task of an array of SLURM.
        scheduler: slurm, oar or local.
        cluster: The profile's name.
        array: OAR's array, whose number a job keeps when it is started again; else as id.
        index: The task's index in its array, from 1.
        log: The log; with OAR's %jobid%, since a job that is started again has a new number.
        time: When, in seconds since 1970.
    """

    id: str
    scheduler: str
    cluster: str
    array: str
    index: int
    log: str
    time: float


def record(run_dir: Path, name: str, job: Job) -> None:
    """Add a submission to the run's list."""
    with (run_dir / "logs" / f"{name}.jobs").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(job)) + "\n")


def last_job(run_dir: Path, name: str) -> Job | None:
    """Return the last submission, None if there is none."""
    path = run_dir / "logs" / f"{name}.jobs"
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    return Job(**json.loads(lines[-1])) if lines else None


@dataclass(frozen=True)
class State:
    """What has become of a task.

    Attributes:
        kind: never, queued, running, requeued, finished, failed, stopped.
        detail: Where it runs, or why it failed.
        job: The scheduler's number of the job that said so.
        time: When, in seconds since 1970.
    """

    kind: str
    detail: str = ""
    job: str = ""
    time: float = 0.0

    @property
    def active(self) -> bool:
        """Whether it runs or will run."""
        return self.kind in ("queued", "running", "requeued")


def find_state(run_dir: Path, name: str) -> State:
    """Return the state of a task: what its job wrote down, and what the scheduler knows."""
    written, job = _written(run_dir, name), last_job(run_dir, name)
    if job is None or job.scheduler == "local":
        return _local(written)
    if written.kind != "never" and written.time < job.time:  # of an earlier submission
        written = State("never")
    if written.kind in ("finished", "failed", "stopped"):
        return written
    known, detail, number = ask(job)
    if known is None:  # the scheduler does not answer, or not here
        return State("unknown", f"{job.scheduler} does not answer here: {detail}", job.id)
    if known in _RUNNING:
        where = written.detail if written.kind == "running" else ""
        return State("running", where or detail, number or job.id, written.time)
    if known == "gone":
        return State(
            "failed", _why_gone(log_file(run_dir, name, number), written, detail), number or job.id
        )
    again = f"again, {written.detail}" if written.kind == "requeued" else detail
    return State("queued", again, number or job.id)


def ask(job: Job) -> tuple[str | None, str, str]:
    """Ask the scheduler; return its word for the state, a detail, and the present number.

    The word is ``gone`` for a job that is over or forgotten, None if there is no answer.
    """
    tool = {"slurm": "scontrol", "oar": "oarstat"}[job.scheduler]
    if shutil.which(tool) is None:
        return None, f"there is no {tool}", ""
    return _ask_slurm(job) if job.scheduler == "slurm" else _ask_oar(job)


def _ask_slurm(job: Job) -> tuple[str | None, str, str]:
    done = _run("scontrol", "--oneliner", "show", "job", job.id)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        # A task of an array that is cancelled before it begins leaves no trace at all.
        unknown = "Invalid job id" in said or "not found" in said
        return ("gone", "SLURM does not know it any more", "") if unknown else (None, said, "")
    facts = dict(re.findall(r"(\w+)=(\S*)", done.stdout.splitlines()[0]))
    state, reason = facts.get("JobState", ""), facts.get("Reason", "")
    if state in _GONE_SLURM:
        return "gone", f"SLURM says {state}, exit code {facts.get('ExitCode', '?')}", job.id
    return state, "" if reason == "None" else reason, job.id


def _ask_oar(job: Job) -> tuple[str | None, str, str]:
    done = _run("oarstat", "-f", "-J", "--array", job.array)
    text = done.stdout[done.stdout.find("{") : done.stdout.rfind("}") + 1]
    if done.returncode or not text:
        word = done.stderr.strip() or done.stdout.strip()
        return ("gone", "OAR has forgotten it", "") if not done.returncode else (None, word, "")
    mine = [
        (int(number), facts)
        for number, facts in json.loads(text).items()
        if int(facts.get("array_index") or 1) == job.index
    ]
    if not mine:
        return "gone", "OAR has forgotten it", ""
    number, facts = max(mine, key=lambda one: one[0])
    state = facts.get("state", "")
    if state in _GONE_OAR:
        code = re.match(r"\d+", str(facts.get("exit_code") or ""))
        left = f", exit status {int(code[0]) >> 8}" if code else ""
        return "gone", f"OAR says {state}{left}", str(number)
    return state, facts.get("message", "") or "", str(number)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, timeout=60
    )


def _written(run_dir: Path, name: str) -> State:
    """Return what the job itself wrote down last."""
    path = run_dir / "logs" / f"{name}.state"
    if not path.is_file():
        return State("never")
    text = path.read_text(encoding="utf-8")
    match = re.fullmatch(r"(\w+) (\d+) (\S+) ?(.*)\n", text)
    if match is None:
        return State("never")  # written while it was killed
    return State(match[1], match[4].strip(), match[3], float(match[2]))


def _local(written: State) -> State:
    """Return the state of what a machine runs by itself; if that is this one, look whether it does.

    The stages of an evaluation are such, on the node that has the evaluation's job.
    """
    here = written.detail == f"on {socket.gethostname()}"
    if written.kind == "running" and here and not _runs(written.job):
        return State("failed", "its process was killed", written.job, written.time)
    return written


def _runs(process: str) -> bool:
    """Return whether a process of this machine runs; one that only waits to be reaped does not."""
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    stat = Path("/proc", process, "stat")
    try:
        return stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:  # gone since, or no Linux
        return not stat.parent.parent.joinpath("self").exists()


def _why_gone(log: Path, written: State, detail: str) -> str:
    """Say why a job is gone that has not written its end."""
    before = "before it began" if written.kind == "never" else "while it ran"
    notice = ""
    for line in _tail(log):
        if "error: ***" in line or "slurmstepd: error:" in line or "oom-kill" in line:
            notice = f" ({line.strip()})"
    return f"ended {before}: {detail}{notice}"


def log_file(run_dir: Path, name: str, number: str = "") -> Path:
    """Return where the output of a task's last job is; OAR gives it a new number each time."""
    job = last_job(run_dir, name)
    if job is None or job.scheduler == "local":
        return run_dir / "logs" / f"{name}.log"
    return Path(job.log.replace("%jobid%", number or job.id))


def reason(run_dir: Path, name: str, number: str = "") -> str:
    """Return the last line of the log that looks like an error, else the last line."""
    path = log_file(run_dir, name, number)
    lines = [line.strip() for line in _tail(path) if line.strip() and "[job]" not in line]
    wrong = [line for line in lines if re.search(r"\b\w*(error|Error)\b", line)]
    return (wrong or lines or [""])[-1]


def _tail(path: Path, n_bytes: int = 20000) -> Sequence[str]:
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - n_bytes))
        return file.read().decode("utf-8", errors="replace").splitlines()


def now() -> float:
    """Return the time in whole seconds since 1970, as bash writes it."""
    return float(int(time.time()))
