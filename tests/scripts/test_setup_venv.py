"""The set-up that `make demo` and `make test` do themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path):
    """A project that needs one package, which lies beside it, so that no network is needed."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    package = tmp_path / "external_repo" / "asteroid"
    (package / "assembly").mkdir(parents=True)
    (package / "assembly" / "edits.py").write_text("")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    return tmp_path


def _setup(tree, **environment):
    command = ["bash", str(tree / "scripts" / "setup_venv.sh")]
    environment = {"PATH": os.environ["PATH"], "PIP_NO_INDEX": "1", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_an_environment_is_made_once_and_again_when_a_requirement_changes(tree):
    first = _setup(tree, PYTHON=sys.executable)
    assert first.returncode == 0, first.stderr
    assert "making .venv" in first.stdout
    stamp = tree / ".venv" / ".installed"
    assert stamp.is_file()

    second = _setup(tree, PYTHON=sys.executable)
    assert (second.returncode, second.stdout) == (0, "")

    (tree / "requirements.txt").write_text("package-that-does-not-exist==1.0\n")
    third = _setup(tree)
    assert third.returncode != 0
    assert "package-that-does-not-exist" in third.stderr
    (tree / "requirements.txt").write_text("# nothing\n")
    assert _setup(tree).stdout == ""


@pytest.mark.parametrize("python", ["no-such-python", "/bin/false"])
def test_an_unsuitable_python_is_refused_with_what_is_expected(tree, python):
    done = _setup(tree, PYTHON=python)
    assert done.returncode == 1
    assert "expected 3.10 to 3.13" in done.stderr
    assert not (tree / ".venv").exists()


def test_help_explains(tree):
    done = subprocess.run(
        ["bash", str(tree / "scripts" / "setup_venv.sh"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PYTHON chooses the interpreter" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--help"], 0, "Usage: bash scripts/demo.sh"),
        (["--unknown"], 2, "unknown argument --unknown"),
        (["--epochs"], 2, "--epochs needs a number"),
        ([], 1, "run 'make demo'"),
    ],
)
def test_the_demo_says_what_is_wrong_with_its_arguments(tree, arguments, status, words):
    command = ["bash", str(tree / "scripts" / "demo.sh"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert words in done.stdout + done.stderr
