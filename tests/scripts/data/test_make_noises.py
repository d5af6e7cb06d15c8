"""The program that writes synthetic noises: types, licences, lists that take them."""

from __future__ import annotations

import csv

import pytest
import soundfile as sf

from seloss.data.corpus.listing import read_folder
from tests.programs import ROOT, run
from tests.seloss.data.corpus import make_speech

PROGRAM = ROOT / "scripts" / "data" / "make_noises.py"


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    make_speech(folder, ["p1", "p2"], n_files=1, seconds=1.0)
    rows = [("p1/p1_000.wav", "p1", "CC BY 4.0"), ("p2/p2_000.wav", "p2", "CC BY-SA 4.0")]
    with (folder / "speech.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "speaker", "licence"), *rows])
    return folder


def test_the_folder_is_one_of_noises_with_types_and_licences(speech, tmp_path):
    done = run(
        PROGRAM,
        *("--out", tmp_path / "n", "--files", 2, "--seconds", 0.5, "--speech", speech),
        *("--exclude_licence", r"\bSA\b"),
    )
    assert "9 noises" in done.stdout
    noises = read_folder(tmp_path / "n", "noise")
    types = [f"synthetic_{kind}" for kind in ("burst", "click", "cry", "odd_voice", "sweep")]
    assert sorted({noise.group for noise in noises}) == types
    assert {noise.split for noise in noises} == {"train"}
    licences = {noise.group: noise.licence for noise in noises}
    assert licences["synthetic_odd_voice"] == "CC BY 4.0"
    assert licences["synthetic_cry"] == "none needed (synthetic)"
    assert sf.info(tmp_path / "n" / "cry_0001.flac").frames == 8000


def test_wrong_options_are_refused(speech, tmp_path):
    out = ("--out", tmp_path / "n", "--seconds", 0.5)
    assert "--files must be at least 1; got 0" in run(PROGRAM, *out, "--files", 0, status=1).stderr
    everything = ("--files", 1, "--speech", speech, "--exclude_licence", ".")
    assert "no speech of the training split" in run(PROGRAM, *out, *everything, status=1).stderr
    refused = run(PROGRAM, "--out", tmp_path / "n", "--seconds", 0, status=1)
    assert "seconds must be" in refused.stderr
