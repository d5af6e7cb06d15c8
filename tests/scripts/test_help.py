"""Every script and program explains itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("scripts", "egs")
    for path in (ROOT / folder).rglob("*.sh")
    if "Source this file" not in path.read_text(encoding="utf-8")
)
PROGRAMS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("scripts", "egs")
    for path in (ROOT / folder).rglob("*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("script", [*SCRIPTS, *PROGRAMS])
def test_help_is_printed_without_doing_anything(script, tmp_path):
    interpreter = "bash" if script.endswith(".sh") else sys.executable
    done = subprocess.run(
        [interpreter, str(ROOT / script), "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "SELOSS_EXPERIMENTS": str(tmp_path / "e"), "PYTHON": sys.executable},
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
    assert not done.stderr
    assert not list(tmp_path.iterdir())


def test_the_defaults_that_a_launcher_tells_are_the_ones_it_takes():
    """Each names the data of its own recipe, which its usage error asks for too."""
    for net, data in (
        ("fasnet", "data/mini_mixtures/{train,valid}.json"),
        ("dccrn", "data/dccrn/{train,valid}.npy"),
        ("dcunet", "data/voicebank/{train,valid}.json"),
    ):
        script = ROOT / "scripts" / "train" / f"train_{net}.sh"
        done = subprocess.run(
            ["bash", str(script), "--help"], capture_output=True, text=True, check=True
        )
        told = [line.split("else ")[1] for line in done.stdout.splitlines() if "else data/" in line]
        assert told == [data]
