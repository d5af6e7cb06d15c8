"""What is asked of a cluster: the tasks, and how many of its nodes for how long."""

from __future__ import annotations

import argparse
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from profiles import Profile, UsageError, read_profile, read_walltime, resolve_scheduler


@dataclass(frozen=True)
class Task:
    """A command, the folder of its experiment, and its name there (as train)."""

    run_dir: Path
    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        cluster: The profile's name.
        profile: The profile.
        scheduler: slurm, oar or local.
        nodes: Number of nodes.
        gpus: GPUs of each.
        ranks: Processes of each.
        walltime: H:MM:SS.
        title: The job's name.
        folder: Where the submitted file and, for arrays, the logs go.
        stem: Their name.
        parallel: Most tasks at a time; 0: any number.
        python: The interpreter.
    """

    cluster: str
    profile: Profile
    scheduler: str
    nodes: int
    gpus: int
    ranks: int
    walltime: str
    title: str
    folder: Path
    stem: str
    parallel: int
    python: str

    @property
    def script(self) -> Path:
        """The file that is submitted."""
        return self.folder / f"{self.stem}.sh"

    @property
    def grace(self) -> int:
        """Seconds between the signal and the walltime's end; at most half of the time."""
        hours, minutes, seconds = map(int, self.walltime.split(":"))
        return min(self.profile.grace, (3600 * hours + 60 * minutes + seconds) // 2)


def make_request(args: argparse.Namespace, folder: Path, stem: str, title: str) -> Request:
    """Return the request that the arguments and the profile make."""
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
        raise UsageError(f"one machine is no {nodes} nodes: name a cluster")
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
        python=os.environ.get("PYTHON") or sys.executable,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `make_request` reads."""
    parser.add_argument("--cluster", default="auto", help="the profile's name (default: auto)")
    parser.add_argument("--gpus", default="-", help="of each node; -: as the profile says")
    parser.add_argument("--walltime", default="-", help="hours or H:MM:SS; -: the profile's")
    parser.add_argument("--nodes", type=_at_least_one, help="default: as the profile says")
    parser.add_argument(
        "--ranks", type=_at_least_one, default=1, help="processes of each node without GPUs"
    )
    parser.add_argument("--parallel", type=int, default=0, help="most tasks of an array at a time")
    parser.add_argument("--dry-run", action="store_true", help="print what would be submitted")


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
