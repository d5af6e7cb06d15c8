"""The calls of sbatch and oarsub, and what they answer."""

from __future__ import annotations

import re
import shlex

from request import Request

_SIGUSR1 = 10  # oarsub takes numbers only


def submission(request: Request, n_tasks: int) -> list[str]:
    """Return the call of sbatch or oarsub."""
    make = _sbatch if request.scheduler == "slurm" else _oarsub
    return make(request, n_tasks)


def _sbatch(request: Request, n_tasks: int) -> list[str]:
    profile = request.profile
    log = str(request.folder / request.stem).replace("%", "%%")
    words = ["sbatch", "--parsable", f"--job-name={request.title}"]
    words += [f"--output={log}_{'%A_%a' if n_tasks > 1 else '%j'}.log", "--open-mode=append"]
    words += [f"--nodes={request.nodes}", "--ntasks-per-node=1"]
    words += [f"--cpus-per-task={profile.cpus * request.ranks}", f"--time={request.walltime}"]
    words += [f"--signal=B:USR1@{request.grace}", "--requeue"]
    if request.gpus:
        kind = f"{profile.gpu_type}:" if profile.gpu_type else ""
        words += [f"--gres=gpu:{kind}{request.gpus}"]
    for option, value in (
        ("partition", profile.partition),
        ("account", profile.account),
        ("mem", profile.memory),
    ):
        words += [f"--{option}={value}"] if value else []
    if n_tasks > 1:
        limit = f"%{request.parallel}" if request.parallel else ""
        words += [f"--array=1-{n_tasks}{limit}"]
    return [*words, *profile.options, str(request.script)]


def oar_can_name(log: str) -> bool:
    """Return whether OAR accepts a log's name: plain ASCII only."""
    return re.fullmatch(r"[a-zA-Z0-9_./%\\ -]+", log) is not None


def _oarsub(request: Request, n_tasks: int) -> list[str]:
    profile = request.profile
    usual = "host={nodes}/gpu={gpus}" if request.gpus else "host={nodes}/core={cores}"
    resource = profile.resource or usual
    numbers = {"nodes": request.nodes, "gpus": request.gpus, "cores": profile.cpus * request.ranks}
    for name, number in numbers.items():
        resource = resource.replace(f"{{{name}}}", str(number))
    log = f"{request.folder / request.stem}_%jobid%"
    logs = [f"{log}.log", f"{log}.err"] if oar_can_name(log) else ["/dev/null", "/dev/null"]
    words = ["oarsub", "-n", request.title, "-l", f"{resource},walltime={request.walltime}"]
    words += ["-t", "idempotent", "--checkpoint", str(request.grace), "--signal", str(_SIGUSR1)]
    words += ["-O", logs[0], "-E", logs[1]]
    for option, value in (
        ("-q", profile.queue),
        ("-p", profile.property),
        ("--project", profile.account),
    ):
        words += [option, value] if value else []
    words += ["-t", "besteffort"] if profile.besteffort else []
    words += ["--array", str(n_tasks)] if n_tasks > 1 else []
    return [*words, *profile.options, shlex.join(["bash", str(request.script)])]


def read_ids(request: Request, text: str, n_tasks: int) -> tuple[list[str], str]:
    """Return the numbers of the tasks, and of the array."""
    if request.scheduler == "slurm":
        match = re.match(r"(\d+)(;|$)", text.strip())
        if match is None:
            return [], ""
        one = match[1]
        return ([f"{one}_{i}" for i in range(1, n_tasks + 1)] if n_tasks > 1 else [one]), one
    ids = sorted(map(int, re.findall(r"^OAR_JOB_ID=(\d+)\s*$", text, flags=re.MULTILINE)))
    array = re.search(r"^OAR_ARRAY_ID=(\d+)\s*$", text, flags=re.MULTILINE)
    return [str(one) for one in ids], array[1] if array else str(ids[0]) if ids else ""
