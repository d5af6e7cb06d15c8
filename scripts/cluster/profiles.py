"""Cluster profiles: what a cluster wants to be asked, read from ``configs/clusters/<name>.yml``."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEDULERS = ("local", "slurm", "oar", "auto")


class UsageError(ValueError):
    """An argument or a profile is wrong."""


class CommandError(RuntimeError):
    """A scheduler refused or failed."""


@dataclass(frozen=True)
class Profile:
    """How to submit to one cluster; every key of a profile file.

    Attributes:
        scheduler: local, slurm, oar; auto: sbatch's or oarsub's where it is found, else local.
        partition: SLURM's partition.
        queue: OAR's queue.
        account: SLURM's account, OAR's project.
        property: OAR's filter, as ``cluster='grele'``.
        resource: OAR's resource request in place of the usual one; {nodes}, {gpus} and {cores}
            stand for the numbers of each.
        gpu_type: SLURM's name of the GPUs, as in ``--gres=gpu:h100:2``.
        gpus: GPUs of each node where the command's argument is ``-``.
        nodes: Nodes where the command does not say how many.
        cpus: Cores of each process.
        memory: SLURM's memory of each node, as 32G.
        walltime: Hours or H:MM:SS, where the command's argument is ``-``.
        grace: Seconds before the walltime's end at which training is told to save: longer than a
            validation.
        besteffort: Let others' jobs interrupt these (OAR's type; on SLURM it is a partition's).
        modules: Environment modules to load.
        conda: Environment to activate: ``root`` (of the installation) and ``name``.
        environment: Variables to set.
        options: Further options of sbatch or oarsub, one argument each.
    """

    scheduler: str = "auto"
    partition: str | None = None
    queue: str | None = None
    account: str | None = None
    property: str | None = None
    resource: str | None = None
    gpu_type: str | None = None
    gpus: int = 0
    nodes: int = 1
    cpus: int = 2
    memory: str | None = None
    walltime: str = "24"
    grace: int = 300
    besteffort: bool = False
    modules: list[str] = field(default_factory=list)
    conda: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)

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


def profile_folder() -> Path:
    """Return the folder of profiles: $SELOSS_CLUSTERS, else configs/clusters."""
    return Path(os.environ.get("SELOSS_CLUSTERS") or ROOT / "configs" / "clusters")


def read_profile(name: str) -> Profile:
    """Return the profile of a cluster; ``local`` needs no file.

    Raises:
        UsageError: There is no such profile, or a key or value of it is wrong.
    """
    path = profile_folder() / f"{name}.yml"
    if not path.is_file():
        if name in ("local", "auto"):
            return Profile(scheduler=name)
        known = sorted({"local", "auto", *(p.stem for p in profile_folder().glob("*.yml"))})
        raise UsageError(
            f"cluster must be one of {', '.join(known)}; got {name!r} (profiles are in "
            f"{profile_folder()})"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold 'key: value' lines; got {type(content).__name__}")
    defaults = Profile()
    values = {
        key: _checked(path, key, value, getattr(defaults, key, None))
        for key, value in content.items()
        if _known(path, key)
    }
    profile = Profile(**values)
    _check(path, profile)
    return profile


def resolve_scheduler(profile: Profile) -> str:
    """Return slurm, oar or local; ``auto`` looks for their commands."""
    if profile.scheduler != "auto":
        return profile.scheduler
    for command, name in (("sbatch", "slurm"), ("oarsub", "oar")):
        if shutil.which(command):
            return name
    return "local"


def read_walltime(text: str) -> str:
    """Return ``H:MM:SS`` for hours, ``H:MM`` or ``H:MM:SS``.

    Raises:
        UsageError: It is none of them.
    """
    if not re.fullmatch(r"[0-9]+(:[0-5][0-9]){0,2}", text):
        raise UsageError(f"walltime must be hours or H:MM:SS; got {text!r}")
    parts = [int(part) for part in text.split(":")] + [0, 0]
    return f"{parts[0]}:{parts[1]:02}:{parts[2]:02}"


def _known(path: Path, key: Any) -> bool:
    names = [one.name for one in fields(Profile)]
    if key in names:
        return True
    near = difflib.get_close_matches(str(key), names, n=1)
    guess = f" (did you mean {near[0]}?)" if near else ""
    raise UsageError(f"{path}: key {key} is unknown{guess}; the keys are {', '.join(names)}")


def _checked(path: Path, key: str, value: Any, default: Any) -> Any:
    """Return a value of the kind that the default is of."""
    if value is None:
        return default
    where = f"{path}: {key}"
    if isinstance(default, (bool, int)):
        if type(value) is not type(default):
            raise UsageError(f"{where} must be {type(default).__name__}; got {value!r}")
        return value
    if isinstance(default, list):
        if not isinstance(value, list) or any(isinstance(one, (list, dict)) for one in value):
            raise UsageError(f"{where} must be a list; got {value!r}")
        return [str(one) for one in value]
    if isinstance(default, dict):
        if not isinstance(value, dict):
            raise UsageError(f"{where} must hold 'key: value' lines; got {value!r}")
        return {str(name): str(one) for name, one in value.items()}
    if isinstance(value, (list, dict)):
        raise UsageError(f"{where} must be one value; got {value!r}")
    return str(value)


def _check(path: Path, profile: Profile) -> None:
    """Check what one value means for another."""
    if profile.scheduler not in SCHEDULERS:
        raise UsageError(
            f"{path}: scheduler must be one of {', '.join(SCHEDULERS)}; got {profile.scheduler!r}"
        )
    for name, least in (("nodes", 1), ("cpus", 1), ("gpus", 0), ("grace", 0)):
        if getattr(profile, name) < least:
            got = getattr(profile, name)
            raise UsageError(f"{path}: {name} must be at least {least}; got {got}")
    if profile.conda and set(profile.conda) != {"root", "name"}:
        raise UsageError(f"{path}: conda must hold root and name; got {sorted(profile.conda)}")
    for key in profile.environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            raise UsageError(f"{path}: environment: {key!r} is no name of a variable")
    read_walltime(profile.walltime)
