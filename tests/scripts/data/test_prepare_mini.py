"""The command line that prepares the mini corpus."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "data" / "prepare_mini.py"


def run(*arguments, **environment):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_help_names_every_option():
    done = run("--help")
    assert done.returncode == 0
    for word in ("--out", "{light,full}", "default: full", "--archives", "$SELOSS_CACHE"):
        assert word in done.stdout


def test_without_a_network_it_says_what_to_do(tmp_path):
    environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    done = run("--out", tmp_path / "out", "--archives", tmp_path / "none", **environment)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in ("speechbrain", "pip says", "sha256", str(tmp_path / "none")):
        assert word in done.stderr


@pytest.mark.slow
def test_the_light_set_is_prepared_and_then_needs_no_network(tmp_path):
    first = run("--out", tmp_path / "mini", "--set", "light")
    assert first.returncode == 0, first.stderr
    assert "16 speech, 14 noise" in first.stdout
    environment = {"PIP_NO_INDEX": "1", "SELOSS_CACHE": str(tmp_path / "empty")}
    again = run("--out", tmp_path / "mini", "--set", "light", **environment)
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout
