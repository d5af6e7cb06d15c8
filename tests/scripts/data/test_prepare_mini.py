"""The command line that prepares the mini corpus."""

import os

import pytest

from tests.programs import ROOT, run

SCRIPT = ROOT / "scripts" / "data" / "prepare_mini.py"


def test_help_names_every_option():
    done = run(SCRIPT, "--help")
    for word in ("--out", "{light,full}", "default: full", "--archives", "$SELOSS_CACHE"):
        assert word in done.stdout


def test_without_a_network_it_says_what_to_do(tmp_path):
    environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    places = ["--out", tmp_path / "out", "--archives", tmp_path / "none"]
    done = run(SCRIPT, *places, status=1, **environment)
    assert "Traceback" not in done.stderr
    for word in ("speechbrain", "pip says", "sha256", str(tmp_path / "none")):
        assert word in done.stderr


@pytest.mark.slow
def test_the_light_set_is_prepared_and_then_needs_no_network(tmp_path):
    first = run(SCRIPT, "--out", tmp_path / "mini", "--set", "light")
    assert "16 speech, 14 noise" in first.stdout
    environment = {"PIP_NO_INDEX": "1", "SELOSS_CACHE": tmp_path / "empty"}
    again = run(SCRIPT, "--out", tmp_path / "mini", "--set", "light", **environment)
    assert again.stdout == first.stdout
