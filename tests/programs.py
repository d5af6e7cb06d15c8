"""Programs started by tests: one way to run them and to look at what they print."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.warm_python import python

ROOT = Path(__file__).resolve().parents[1]


def surroundings(**changes: object) -> dict[str, str]:
    """Return the environment of a program: one thread, our scripts' interpreter, ``changes``."""
    changes = {"OMP_NUM_THREADS": 1, "PYTHON": python(), **changes}
    return {**os.environ, **{name: str(value) for name, value in changes.items()}}


def run(
    *command: object,
    status: int | None = 0,
    cwd: Path | None = None,
    timeout: float = 500,
    **environment: object,
) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it printed.

    Args:
        command: Program and arguments. A ``.py`` file or ``-m`` in front is Python's, a ``.sh``
            file bash's.
        status: Exit status that it must have; None: any.
        cwd: Folder to run it in.
        timeout: Seconds that it may take.
        environment: Variables that differ from this process's.
    """
    words = [str(word) for word in command]
    if words[0].endswith(".sh"):
        words.insert(0, "bash")
    elif words[0] in ("-m", "-c") or words[0].endswith(".py"):
        words.insert(0, python())
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=cwd,
        env=surroundings(**environment),
    )
    assert status in (None, done.returncode), (
        f"status {done.returncode}: {done.stdout}{done.stderr}"
    )
    return done
