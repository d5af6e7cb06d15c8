"""Claimed folders: one process, one set of settings, nothing stale after an overwrite."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from seloss.data.formats.mixture import DataError
from seloss.data.formats.preparation import claim_folder, digest

HOLD = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from seloss.data.formats.preparation import claim_folder

with claim_folder(sys.argv[1], {"seed": 0}, ["train"]), ProcessPoolExecutor(1) as pool:
    task = pool.submit(time.sleep, 60)  # a worker process that outlives its parent
    while not task.running():
        time.sleep(0.01)
    print("held", flush=True)
    task.result()
"""


@pytest.fixture
def holder(tmp_path):
    """Return a process, with a worker of its own, that holds ``tmp_path``."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == "held\n"
        yield it
        os.killpg(it.pid, signal.SIGKILL)


def test_a_folder_is_filled_by_one_process_and_a_killed_one_holds_nothing(holder, tmp_path):
    with pytest.raises(DataError, match=rf"is being prepared by process {holder.pid} on "):
        claim_folder(tmp_path, {"seed": 0}, ["train"]).__enter__()
    # nor may it be emptied meanwhile
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="is being prepared"):
        claim_folder(tmp_path, {"seed": 1}, ["train"], overwrite=True).__enter__()
    assert (tmp_path / "train").is_dir()
    holder.kill()  # the parent alone
    holder.wait()
    with claim_folder(tmp_path, {"seed": 0}, ["train"]) as claim:
        assert claim.folder == tmp_path


def test_other_settings_are_refused_by_name_and_the_same_are_resumed(tmp_path):
    settings = {"seed": 0, "snr_db": (0.0, 5.0), "speech": digest(["a"])}
    with claim_folder(tmp_path, settings, ["train"]):
        (tmp_path / "train").mkdir()
    with claim_folder(tmp_path, settings, ["train"]):
        assert (tmp_path / "train").is_dir()
    other = {**settings, "snr_db": (0.0, 6.0), "speech": digest(["a", "b"])}
    expected = r"snr_db was \[0.0, 5.0\], is \[0.0, 6.0\]; speech: other than before"
    with pytest.raises(DataError, match=expected):
        claim_folder(tmp_path, other, ["train"]).__enter__()


def test_overwriting_removes_what_was_written_under_any_name_and_nothing_else(tmp_path):
    with claim_folder(tmp_path, {"on_the_fly": True}, ["train.json", "sources"]):
        (tmp_path / "sources").mkdir()
        (tmp_path / "sources" / "a.wav").write_text("at another rate")
        (tmp_path / "train.json").write_text("old")
    (tmp_path / "notes.txt").write_text("of the user")
    with claim_folder(tmp_path, {"on_the_fly": False}, ["train.json", "test"], overwrite=True):
        assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == [
            "notes.txt",
            "settings.json",
        ]
    assert json.loads((tmp_path / "settings.json").read_text())["on_the_fly"] is False


def test_damaged_settings_are_refused_and_can_be_overwritten(tmp_path):
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(DataError, match=r"settings.json.*is damaged"):
        claim_folder(tmp_path, {}, []).__enter__()
    with claim_folder(tmp_path, {}, [], overwrite=True):
        assert json.loads((tmp_path / "settings.json").read_text()) == {"writes": []}
