"""Cluster profiles (``configs/clusters/<name>.yml``) and the requests that they complete."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from seloss.program import UsageError
from seloss.root import ROOT
from seloss.train.options.option import dataclass_options, read_tree, read_yaml


@dataclass(frozen=True)
class Profile:
    """How to submit to one cluster; every key of a profile file."""

    # auto: slurm where there is sbatch, oar where there is oarsub, else local
    scheduler: Literal["local", "slurm", "oar", "auto"] = "auto"
    partition: str | None = None  # SLURM's
    queue: str | None = None  # OAR's
    account: str | None = None  # OAR's project
    property: str | None = None  # OAR's filter, as cluster='grele'
    resource: str | None = None  # OAR's request, with {nodes}, {gpus}, {cores}; None: the usual one
    gpu_type: str | None = None  # SLURM's name of the GPUs, as in --gres=gpu:h100:2
    gpus: int = 0  # of each node, where the command says -
    nodes: int = 1  # where the command does not say how many
    cpus: int = 2  # cores of each process
    memory: str | None = None  # SLURM's, of each node, as 32G
    walltime: str = "24"  # hours or H:MM:SS, where the command says -
    # Seconds before the walltime's end at which training is to save: longer than a validation.
    grace: int = 300
    besteffort: bool = False  # others' jobs may interrupt these (on SLURM a partition says so)
    modules: tuple[str, ...] = ()  # environment modules to load
    conda: dict[str, str] = field(default_factory=dict)  # root (of the installation), name
    environment: dict[str, str] = field(default_factory=dict)  # variables to set
    options: tuple[str, ...] = ()  # of sbatch or oarsub, one argument each

    def __post_init__(self) -> None:
        for name, least in (("nodes", 1), ("cpus", 1), ("gpus", 0), ("grace", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}; got {getattr(self, name)}")
        if self.conda and set(self.conda) != {"root", "name"}:
            raise ValueError(f"conda must hold root and name; got {sorted(self.conda)}")
        for key in self.environment:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
                raise ValueError(f"environment: {key!r} is no name of a variable")
        read_walltime(self.walltime)

    def setup_lines(self) -> list[str]:
        """Return the bash lines that prepare a node; every value is quoted."""
        lines = [f"export {key}={shlex.quote(value)}" for key, value in self.environment.items()]
        if self.modules:
            lines.append(f"module load {shlex.join(self.modules)}")
        if self.conda:
            activate = Path(self.conda["root"]).expanduser() / "etc/profile.d/conda.sh"
            lines += ["set +u", f"source {shlex.quote(str(activate))}"]
            lines += [f"conda activate {shlex.quote(self.conda['name'])}", "set -u"]
        return lines


@dataclass(frozen=True)
class Request:
    """What is asked of a cluster."""

    cluster: str  # the profile's name
    profile: Profile
    scheduler: str  # slurm, oar or local
    nodes: int
    gpus: int  # of each node
    ranks: int  # processes of each node
    walltime: str  # H:MM:SS
    title: str  # the job's name for the scheduler
    folder: Path  # of logs and submitted files
    stem: str  # which their names begin with
    parallel: int  # most tasks of an array at a time; 0: any number

    @property
    def grace(self) -> int:
        """Seconds between the signal and the walltime's end; at most half of the time."""
        hours, minutes, seconds = map(int, self.walltime.split(":"))
        return min(self.profile.grace, (3600 * hours + 60 * minutes + seconds) // 2)


def add_options(parser: argparse.ArgumentParser, *, processes: bool = True) -> None:
    """Add the options that ``make_request`` reads beside cluster, gpus and walltime.

    Args:
        parser: The program's options.
        processes: Several processes are possible.
    """
    if processes:
        text = "machines, on a cluster (as its profile says)"
        parser.add_argument("--nodes", type=count, metavar="N", help=text)
        text = "processes of each machine without GPUs (1)"
        parser.add_argument("--ranks", type=count, default=1, metavar="N", help=text)
    text = "most tasks of an array at a time (SLURM)"
    parser.add_argument("--parallel", type=count, default=0, metavar="N", help=text)
    add_dry_run(parser)


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add ``--dry-run``, which DRY_RUN=1 sets too."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        default=os.environ.get("DRY_RUN") == "1",
        help="print what would be run or submitted",
    )


def count(text: str) -> int:
    """Return a number from 1 on, for ``type=``."""
    if not re.fullmatch(r"0*[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"must be a number from 1 on; got {text!r}")
    return int(text)


def make_request(args: argparse.Namespace, folder: Path, stem: str, title: str) -> Request:
    """Return the request that the arguments and the profile make.

    Raises:
        UsageError: The profile or an argument is wrong.
    """
    profile = read_profile(args.cluster)
    scheduler = resolve_scheduler(profile)
    walltime = read_walltime(profile.walltime if args.walltime == "-" else args.walltime)
    if scheduler != "local" and walltime == "0:00:00":
        raise UsageError(f"walltime must be longer than nothing; got {args.walltime!r}")
    if args.gpus != "-" and not re.fullmatch(r"[0-9]+", args.gpus):
        raise UsageError(f"GPUs must be a number; got {args.gpus!r}")
    gpus = profile.gpus if args.gpus == "-" else int(args.gpus)
    nodes = args.nodes or profile.nodes
    if scheduler == "local" and nodes > 1:
        raise UsageError(f"this machine is 1 node, not {nodes}: name a cluster")
    return Request(
        cluster=args.cluster,
        profile=profile,
        scheduler=scheduler,
        nodes=nodes,
        gpus=gpus,
        ranks=gpus or args.ranks,
        walltime=walltime,
        title=re.sub(r"[^A-Za-z0-9_.-]+", "_", title) or "job",
        folder=folder,
        stem=stem,
        parallel=args.parallel,
    )


def profile_folder() -> Path:
    """Return the folder of profiles: $SELOSS_CLUSTERS, else configs/clusters."""
    return Path(os.environ.get("SELOSS_CLUSTERS") or ROOT / "configs" / "clusters")


def read_profile(name: str) -> Profile:
    """Return the profile of a cluster; ``local`` and ``auto`` need no file.

    Raises:
        UsageError: There is no such profile, or a key or value of it is wrong.
    """
    folder = profile_folder()
    path = folder / f"{name}.yml"
    if path.is_file():
        content = read_yaml(path) or {}
    elif name in ("local", "auto"):
        content = {"scheduler": name}
    else:
        names = sorted({"local", "auto", *(p.stem for p in folder.glob("*.yml"))})
        raise UsageError(
            f"cluster must be one of {', '.join(names)}; got {name!r} (profiles are in {folder})"
        )
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold 'key: value' lines; got {type(content).__name__}")
    options = {option.name: option for option in dataclass_options(Profile)}
    content = {key: value for key, value in content.items() if value is not None}
    values = read_tree(str(path), content, options)
    try:
        return Profile(**values)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None


def resolve_scheduler(profile: Profile) -> str:
    """Return slurm, oar or local; ``auto`` looks for their commands."""
    if profile.scheduler != "auto":
        return profile.scheduler
    commands = (("sbatch", "slurm"), ("oarsub", "oar"))
    return next((name for command, name in commands if shutil.which(command)), "local")


def read_walltime(text: str) -> str:
    """Return ``H:MM:SS`` for hours, ``H:MM`` or ``H:MM:SS``.

    Raises:
        UsageError: It is none of them.
    """
    if not re.fullmatch(r"[0-9]+(:[0-5][0-9]){0,2}", text):
        raise UsageError(f"walltime must be hours or H:MM:SS; got {text!r}")
    hours, minutes, seconds = ([int(part) for part in text.split(":")] + [0, 0])[:3]
    return f"{hours}:{minutes:02}:{seconds:02}"
