"""Folders of the project and of experiments, and the interpreter that programs are started by."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from seloss.program import UsageError


def interpreter() -> str:
    """Return $PYTHON, else this process's interpreter."""
    return os.environ.get("PYTHON") or sys.executable


def experiments_folder() -> Path:
    """Return the folder of all experiments: $SELOSS_EXPERIMENTS, else ``./experiments``."""
    return Path(os.path.abspath(os.environ.get("SELOSS_EXPERIMENTS") or "experiments"))


def experiment_folder(tag: str) -> Path:
    """Return the folder of one experiment.

    Raises:
        UsageError: The tag is not the plain name of a folder.
    """
    if not re.fullmatch(r"[^./-][^/]*", tag):
        raise UsageError(f"the tag must be the plain name of a folder; got {tag!r}")
    return experiments_folder() / tag
