"""Record of what a run ran on: versions, commit, command line, hardware."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import socket
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import asteroid
from asteroid.utils.files import write_text

__all__ = ["describe_environment", "record_environment"]

_PACKAGES = ("seloss", "torch", "pytorch-lightning", "torchmetrics", "numpy", "scipy")


def describe_environment(seed: int) -> dict[str, Any]:
    """Return versions, commit, seed, command line and hardware as plain data."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join([sys.executable, *sys.argv]),
        "folder": str(Path.cwd()),
        "seed": seed,
        "versions": {
            **{"python": platform.python_version(), "asteroid": asteroid.__version__},
            **{name: _version(name) for name in _PACKAGES},
        },
        "commit": _git("rev-parse", "HEAD"),
        "modified_files": len((_git("status", "--porcelain") or "").splitlines()),
        "hardware": {
            "host": socket.gethostname(),
            "system": platform.platform(),
            "cpus": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
            "cuda": torch.version.cuda if cuda else None,
        },
    }


def record_environment(path: Path, seed: int) -> None:
    """Write the environment of this start to ``path``, with those of earlier starts below it."""
    earlier: list[dict[str, Any]] = []
    if path.is_file():
        last = json.loads(path.read_text(encoding="utf-8"))
        earlier = [*last.pop("earlier_starts", []), last]
    record = {**describe_environment(seed), "earlier_starts": earlier}
    write_text(path, json.dumps(record, indent=2) + "\n")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    """Return what git says about the sources' checkout; None without git or a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
