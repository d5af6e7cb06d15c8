"""SLURM, OAR and this machine: submission, answers, state, nodes and requeueing of a job."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from .profile import Request

_SIGUSR1 = 10  # oarsub takes numbers only
# OAR starts a job again only if it ran for more than a minute.
_OAR_SHORTEST_S = 62


class SchedulerError(RuntimeError):
    """A scheduler refused or failed."""


class Allocation(NamedTuple):
    """The job that a process is in: its number as users write it, a plain one, and its nodes."""

    job: str
    number: int
    hosts: list[str]


class Answer(NamedTuple):
    """A scheduler's word about a job."""

    kind: str  # queued, running; gone: over or forgotten; unknown: the scheduler does not answer
    detail: str = ""  # why it waits, or how it ended
    job: str = ""  # its number now: OAR gives a new one to a job that it starts again


class Slurm:
    """SLURM by sbatch, scontrol and srun."""

    def submission(self, request: Request, n_tasks: int, script: Path) -> list[str]:
        """Return the call of sbatch."""
        profile = request.profile
        log = str(request.folder / request.stem).replace("%", "%%")
        words = ["sbatch", "--parsable", f"--job-name={request.title}", "--requeue"]
        words += [f"--output={log}_{'%A_%a' if n_tasks > 1 else '%j'}.log", "--open-mode=append"]
        words += [f"--nodes={request.nodes}", "--ntasks-per-node=1"]
        words += [f"--cpus-per-task={profile.cpus * request.ranks}", f"--time={request.walltime}"]
        words += [f"--signal=B:USR1@{request.grace}"]  # B: to the script only
        gpus = f"gpu:{profile.gpu_type}:" if profile.gpu_type else "gpu:"
        limit = f"%{request.parallel}" if request.parallel else ""
        for option, value in (
            ("gres", f"{gpus}{request.gpus}" if request.gpus else None),
            ("partition", profile.partition),
            ("account", profile.account),
            ("mem", profile.memory),
            ("array", f"1-{n_tasks}{limit}" if n_tasks > 1 else None),
        ):
            words += [f"--{option}={value}"] if value else []
        return [*words, *profile.options, str(script)]

    def read_ids(self, text: str, n_tasks: int) -> tuple[list[str], str]:
        """Return the numbers of the tasks, as ``7_2`` in an array, and of the array."""
        match = re.match(r"(\d+)(;|$)", text.strip())
        if match is None:
            return [], ""
        array = match[1]
        return [f"{array}_{i}" for i in range(1, n_tasks + 1)] if n_tasks > 1 else [array], array

    def ask(self, job: str, array: str, index: int) -> Answer:
        """Ask scontrol, which needs no accounting."""
        done = _run("scontrol", "--oneliner", "show", "job", job)
        if done is None:
            return Answer("unknown", "there is no scontrol")
        if done.returncode:
            message = (done.stdout + done.stderr).strip()
            # A task of an array that is cancelled before it begins leaves no trace at all.
            forgotten = "Invalid job id" in message or "not found" in message
            return (
                Answer("gone", "SLURM has forgotten it")
                if forgotten
                else Answer("unknown", message)
            )
        facts = dict(re.findall(r"(\w+)=(\S*)", done.stdout.splitlines()[0]))
        state, reason = facts.get("JobState", ""), facts.get("Reason", "")
        if state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "CONFIGURING", "SUSPENDED"):
            return Answer("queued", "" if reason == "None" else reason, job)
        if state in ("RUNNING", "COMPLETING"):
            return Answer("running", "", job)
        return Answer("gone", f"SLURM says {state}, exit code {facts.get('ExitCode', '?')}", job)

    def allocation(self) -> Allocation:
        """Return the allocation by SLURM's variables."""
        environment = os.environ
        if "SLURM_CPUS_PER_TASK" in environment:  # srun no longer takes it over by itself
            environment["SRUN_CPUS_PER_TASK"] = environment["SLURM_CPUS_PER_TASK"]
        names = ["scontrol", "show", "hostnames", environment["SLURM_JOB_NODELIST"]]
        done = subprocess.run(names, capture_output=True, text=True, check=True)
        job = number = environment["SLURM_JOB_ID"]  # in an array each task has one of its own too
        if "SLURM_ARRAY_JOB_ID" in environment:
            job = "{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}".format(**environment)
        return Allocation(job, int(number), done.stdout.split())

    def spread(self, words: Sequence[str], hosts: Sequence[str]) -> list[list[str]]:
        """Return the call of srun; each node finds its rank in SLURM_NODEID."""
        n = len(hosts)
        srun = ["srun", f"--nodes={n}", f"--ntasks={n}", "--ntasks-per-node=1"]
        return [[*srun, "--kill-on-bad-exit=1", *words]]

    def requeue(self, job: str, started: float) -> NoReturn:
        """Have scontrol queue the job again, which ends this process.

        Args:
            job: Its number.
            started: When it began, as ``time.monotonic`` says.

        Raises:
            SchedulerError: The scheduler refuses.
        """
        done = _run("scontrol", "requeue", job)
        if done is None or done.returncode:
            raise SchedulerError(f"scontrol requeue {job}: {done.stderr.strip() if done else ''}")
        time.sleep(600)
        raise SystemExit(1)


class Oar:
    """OAR by oarsub, oarstat and oarsh."""

    def submission(self, request: Request, n_tasks: int, script: Path) -> list[str]:
        """Return the call of oarsub."""
        profile = request.profile
        usual = "host={nodes}/gpu={gpus}" if request.gpus else "host={nodes}/core={cores}"
        resource = profile.resource or usual
        numbers = {"nodes": request.nodes, "gpus": request.gpus}
        for name, number in {**numbers, "cores": profile.cpus * request.ranks}.items():
            resource = resource.replace(f"{{{name}}}", str(number))
        words = ["oarsub", "-n", request.title, "-l", f"{resource},walltime={request.walltime}"]
        words += ["-t", "idempotent", "--checkpoint", str(request.grace), "--signal", str(_SIGUSR1)]
        # Names of logs are relative to the folder: OAR refuses most characters in them.
        log = "/dev/null" if needs_own_log(request) else f"{request.stem}_%jobid%.log"
        words += ["-d", "/" if needs_own_log(request) else str(request.folder)]
        words += ["-O", log, "-E", log]
        for option, value in (
            ("-q", profile.queue),
            ("-p", profile.property),
            ("--project", profile.account),
            ("-t", "besteffort" if profile.besteffort else None),
            ("--array", str(n_tasks) if n_tasks > 1 else None),
        ):
            words += [option, value] if value else []
        return [*words, *profile.options, shlex.join(["bash", str(script)])]

    def read_ids(self, text: str, n_tasks: int) -> tuple[list[str], str]:
        """Return the numbers of the tasks, and of the array."""
        ids = sorted(re.findall(r"^OAR_JOB_ID=(\d+)\s*$", text, flags=re.MULTILINE), key=int)
        array = re.search(r"^OAR_ARRAY_ID=(\d+)\s*$", text, flags=re.MULTILINE)
        return ids, array[1] if array else ids[0] if ids else ""

    def ask(self, job: str, array: str, index: int) -> Answer:
        """Ask oarstat for the array, whose number stays when a task is started again."""
        done = _run("oarstat", "-f", "-J", "--array", array)
        if done is None:
            return Answer("unknown", "there is no oarstat")
        if done.returncode:
            return Answer("unknown", (done.stderr or done.stdout).strip())
        text = done.stdout[done.stdout.find("{") : done.stdout.rfind("}") + 1]
        starts = {
            int(number): facts
            for number, facts in json.loads(text or "{}").items()
            if int(facts.get("array_index") or 1) == index
        }
        if not starts:
            return Answer("gone", "OAR has forgotten it")
        number, facts = max(starts.items())
        state, message = facts.get("state", ""), facts.get("message") or ""
        if state in ("Terminated", "Error"):
            code = re.match(r"\d+", str(facts.get("exit_code") or ""))
            left = f", exit status {int(code[0]) >> 8}" if code else ""  # as wait(2) encodes it
            return Answer("gone", f"OAR says {state}{left}", str(number))
        runs = state in ("Running", "Finishing", "Launching", "toLaunch")
        return Answer("running" if runs else "queued", message, str(number))

    def allocation(self) -> Allocation:
        """Return the allocation by OAR's variables."""
        lines = Path(os.environ["OAR_NODEFILE"]).read_text(encoding="utf-8").split()
        job = os.environ["OAR_JOB_ID"]
        return Allocation(job, int(job), list(dict.fromkeys(lines)))  # one line per core

    def spread(self, words: Sequence[str], hosts: Sequence[str]) -> list[list[str]]:
        """Return a call of oarsh for each node; the rank is the last word."""
        # Like ssh, oarsh joins its words to a line for the node's shell.
        return [["oarsh", host, shlex.join([*words, str(i)])] for i, host in enumerate(hosts)]

    def requeue(self, job: str, started: float) -> NoReturn:
        """Leave with 99, at which OAR starts an idempotent job again."""
        time.sleep(max(0.0, started + _OAR_SHORTEST_S - time.monotonic()))
        raise SystemExit(99)


class Here:
    """This machine without a scheduler."""

    def allocation(self) -> Allocation:
        """Return this process's number and this machine."""
        return Allocation(str(os.getpid()), os.getpid(), [os.uname().nodename])

    def spread(self, words: Sequence[str], hosts: Sequence[str]) -> list[list[str]]:
        """Return the command as it is."""
        return [list(words)]

    def requeue(self, job: str, started: float) -> None:
        """Return: the command is started again at once."""


SCHEDULERS: dict[str, Slurm | Oar] = {"slurm": Slurm(), "oar": Oar()}
PLACES: dict[str, Slurm | Oar | Here] = {**SCHEDULERS, "local": Here()}


def needs_own_log(request: Request) -> bool:
    """Return whether a job on OAR must open its log itself, since OAR cannot.

    In the folder's name a single quote ends the job in the state Error and takes the node away.
    """
    plain = re.fullmatch(r"[A-Za-z0-9_. -]+", request.stem)
    return plain is None or re.search(r"['\n]", str(request.folder)) is not None


def _run(*command: str) -> subprocess.CompletedProcess[str] | None:
    """Run a scheduler's program; None if it is not installed here."""
    if shutil.which(command[0]) is None:
        return None
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, timeout=60
    )
