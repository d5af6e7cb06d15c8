"""Real recordings for tests: the mini corpus, fetched once and kept in ``data/mini``."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "data" / "mini"
#: Set where recordings that cannot be had are a failure: continuous integration reaches the index.
REQUIRED = "SELOSS_REQUIRE_RECORDINGS"


@cache
def _corpus() -> Path:
    """Return the folder of the mini corpus, made if it is not there, or skip the test."""
    FOLDER.parent.mkdir(exist_ok=True)
    with FileLock(FOLDER.with_suffix(".lock")):  # several workers ask at once
        if not (FOLDER / "README.md").is_file():  # written last
            program = ROOT / "scripts" / "data" / "prepare_mini.py"
            command = [sys.executable, program, "--out", FOLDER]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = f"no recordings: {done.stderr.strip()[-300:]}"
                pytest.fail(reason) if os.environ.get(REQUIRED) else pytest.skip(reason)
    return FOLDER


def recordings(pattern: str) -> list[Path]:
    """Return the recordings at 16 kHz that match, such as ``speech/test/*/*.flac``, in order."""
    paths = sorted(_corpus().glob(pattern))
    assert paths, f"{FOLDER} has no {pattern}"
    return paths


def sentence(index: int) -> Path:
    """Return the recording of a test sentence (2 to 4 s, two talkers)."""
    return recordings("speech/test/*/*.flac")[index]


def babble() -> Path:
    """Return a recording of many talkers at once, 3 s."""
    return recordings("noise/test/babble/*.flac")[0]
