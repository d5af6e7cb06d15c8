"""Cluster profiles (``configs/clusters/<name>.yml``) and the requests that they complete."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from seloss.program import UsageError

from .folders import ROOT

SCHEDULERS = ("local", "slurm", "oar", "auto")


@dataclass(frozen=True)
class Profile:
    """How to submit to one cluster; every key of a profile file."""

    scheduler: str = "auto"  # local, slurm, oar; auto: that of sbatch or oarsub, else local
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
    modules: list[str] = field(default_factory=list)  # environment modules to load
    conda: dict[str, str] = field(default_factory=dict)  # root (of the installation), name
    environment: dict[str, str] = field(default_factory=dict)  # variables to set
    options: list[str] = field(default_factory=list)  # of sbatch or oarsub, one argument each

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


def add_options(
    parser: argparse.ArgumentParser, *, placed: bool = False, processes: bool = True
) -> None:
    """Add the options that ``make_request`` reads.

    Args:
        parser: The program's options.
        placed: CLUSTER, GPUS and WALLTIME are arguments of the program's own.
        processes: Several processes are possible.
    """
    if not placed:
        parser.add_argument("--cluster", default="auto", help="profile's name (default: auto)")
        parser.add_argument("--gpus", default="-", help="of each node; -: as the profile says")
        parser.add_argument("--walltime", default="-", help="hours or H:MM:SS; -: the profile's")
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
    if not path.is_file():
        if name in ("local", "auto"):
            return Profile(scheduler=name)
        names = sorted({"local", "auto", *(p.stem for p in folder.glob("*.yml"))})
        raise UsageError(
            f"cluster must be one of {', '.join(names)}; got {name!r} (profiles are in {folder})"
        )
    content = read_yaml(path) or {}
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold 'key: value' lines; got {type(content).__name__}")
    for key in content:
        _check_key(path, key)
    defaults = Profile()
    values = {
        key: _check_type(path, key, value, getattr(defaults, key)) for key, value in content.items()
    }
    profile = Profile(**values)
    _check_values(path, profile)
    return profile


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        UsageError: It cannot be read, or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {error}") from None


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


def _check_key(path: Path, key: Any) -> None:
    names = [attribute.name for attribute in fields(Profile)]
    if key not in names:
        near = difflib.get_close_matches(str(key), names, n=1)
        guess = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(f"{path}: key {key} is unknown{guess}; the keys are {', '.join(names)}")


def _check_type(path: Path, key: str, value: Any, default: Any) -> Any:
    """Return a value of the default's type."""
    if value is None:
        return default
    is_scalar = not isinstance(value, (list, dict))
    if isinstance(default, list) and isinstance(value, list):
        if not any(isinstance(item, (list, dict)) for item in value):
            return [str(item) for item in value]
    elif isinstance(default, dict) and isinstance(value, dict):
        return {str(name): str(item) for name, item in value.items()}
    elif type(default) is type(value) and is_scalar:
        return value
    elif isinstance(default, (str, type(None))) and is_scalar:
        return str(value)
    nouns = {list: "a list", dict: "'key: value' lines", bool: "bool", int: "int"}
    noun = nouns.get(type(default), "one value")
    raise UsageError(f"{path}: {key} must be {noun}; got {value!r}")


def _check_values(path: Path, profile: Profile) -> None:
    if profile.scheduler not in SCHEDULERS:
        raise UsageError(
            f"{path}: scheduler must be one of {', '.join(SCHEDULERS)}; got {profile.scheduler!r}"
        )
    for name, least in (("nodes", 1), ("cpus", 1), ("gpus", 0), ("grace", 0)):
        value = getattr(profile, name)
        if value < least:
            raise UsageError(f"{path}: {name} must be at least {least}; got {value}")
    if profile.conda and set(profile.conda) != {"root", "name"}:
        raise UsageError(f"{path}: conda must hold root and name; got {sorted(profile.conda)}")
    for key in profile.environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            raise UsageError(f"{path}: environment: {key!r} is no name of a variable")
    read_walltime(profile.walltime)
