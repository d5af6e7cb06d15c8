from __future__ import annotations

import importlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data import make_manifest
from tests.warm_python import python

ROOT = Path(__file__).resolve().parents[2]
Launch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def launch(tmp_path, monkeypatch, capfd) -> Launch:
    """Call a launcher's program in this process, its folders and data below one with a space."""
    folder = tmp_path / "my folder"
    manifest = make_manifest(folder / "data", n_items=1, seconds=0.3, name="unseen.json")
    (folder / "clusters").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DRY_RUN", raising=False)
    monkeypatch.setenv("PYTHON", python())
    monkeypatch.setenv("SELOSS_CLUSTERS", str(folder / "clusters"))
    monkeypatch.setenv("SELOSS_EXPERIMENTS", str(folder / "experiments"))
    for part in ("TRAIN", "VALID", "TEST"):
        monkeypatch.setenv(f"SELOSS_{part}_JSON", str(manifest))

    def launch(program: str, *words: object, **changes: str) -> subprocess.CompletedProcess[str]:
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        module = importlib.import_module(f"seloss.cli.cluster.{program}")
        try:
            status = module.main([str(word) for word in words])
        except SystemExit as leaving:  # of argparse
            status = int(leaving.code or 0)
        return subprocess.CompletedProcess(words, status, *capfd.readouterr())

    return launch


@pytest.fixture
def folder(launch) -> Path:
    """Return the folder of the launcher."""
    return Path.cwd()
