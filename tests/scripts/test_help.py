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


@pytest.mark.parametrize(
    ("net", "data"),
    [
        ("fasnet", "data/mini_mixtures/{}.json"),
        ("dccrn", "data/dccrn/{}.npy"),
        ("dcunet", "data/voicebank/{}.json"),
    ],
)
def test_a_launcher_names_the_data_of_its_own_recipe(launch, net, data):
    text = " ".join(launch("train", net, "--help").stdout.split())
    for part in ("train", "valid"):
        assert f"$SELOSS_{part.upper()}_JSON, else {data.format(part)}" in text
