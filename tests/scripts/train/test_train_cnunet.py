"""The launcher of CNUNet hands its stage on and refuses what is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]


def launch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    manifest = folder / "m.json"
    manifest.write_text("[]", encoding="utf-8")
    environment = {
        **os.environ,
        "SELOSS_EXPERIMENTS": str(folder / "experiments"),
        "SELOSS_TRAIN_JSON": str(manifest),
        "SELOSS_VALID_JSON": str(manifest),
    }
    script = PROJECT / "scripts" / "train" / "train_cnunet.sh"
    return subprocess.run(
        ["bash", str(script), "--dry-run", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


@pytest.mark.parametrize("stage", ["0", "1", "2"])
def test_the_stage_reaches_the_recipe(tmp_path: Path, stage: str) -> None:
    done = launch(tmp_path, "T", stage, "local", "0", "1", "--", "--epochs", "3")
    assert done.returncode == 0, done.stderr
    assert "egs/CNUNet/train.py" in done.stdout
    assert f"--stage {stage}" in done.stdout
    assert "--epochs 3" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["T", "3", "local", "0", "1"], "STAGE must be 0, 1 or 2; got '3'"),
        (["T", "0", "local"], "5 arguments are needed; got 3"),
    ],
)
def test_wrong_usage_is_named(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = launch(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
