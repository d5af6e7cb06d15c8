"""The program that lists sources: splits, licences, several folders, fixed mixtures."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from seloss.data import open_dataset
from tests.programs import ROOT, run
from tests.seloss.data.corpus import make_noise, make_speech

PROGRAM = ROOT / "scripts" / "data" / "list_sources.py"


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Two corpora whose files have the same names; the second one names splits and licences."""
    folder = tmp_path_factory.mktemp("corpora")
    for name in ("a", "b"):
        make_speech(folder / name / "speech", ["p1", "p2"], n_files=2, seconds=1.0)
        make_noise(folder / name / "noise", ["hum"])
    rows = [
        {"path": f"speech/{who}/{who}_{at:03d}.wav", "label": who, "split": split, "licence": what}
        for who, at, split, what in (
            ("p1", 0, "train", "CC BY 4.0"),
            ("p1", 1, "train", "CC BY-SA 4.0"),
            ("p2", 0, "train", ""),
            ("p2", 1, "test", "CC BY 4.0"),
        )
    ]
    with (folder / "b" / "speech" / "speech.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "path": row["path"].removeprefix("speech/")} for row in rows)
    return folder


def test_lists_hold_what_is_asked_for_and_can_be_trained_on(corpora, tmp_path):
    (tmp_path / "mix.yml").write_text("snr_db: {from: 0, to: 5}\nnoise_by: seconds\n")
    speech = [corpora / name / "speech" for name in ("a", "b")]
    done = run(
        PROGRAM,
        *("--speech", *speech, "--noise", corpora / "a" / "noise", "--out", tmp_path / "t.json"),
        *("--exclude_licence", r"\bSA\b", "--options", tmp_path / "mix.yml"),
        *("--excerpt", 0.5, "--fix", 3, "--fix_seconds", 0.7, "--split", "train"),
    )
    assert "speech: 6 files" in done.stdout
    told = json.loads((tmp_path / "t.json").read_text())
    ids = ["0-p1-p1_000", "p1_001", "0-p2-p2_000", "p2_001", "1-p1-p1_000", "1-p2-p2_000"]
    assert [entry["id"] for entry in told["speech"]] == ids
    assert told["speech"][0]["repeats"] == 2
    assert told["noise_by"] == "seconds"
    assert len(open_dataset(tmp_path / "t.json", sample_rate=16000)) == 12
    with (tmp_path / "t.csv").open(newline="") as file:
        assert "CC BY 4.0" in {row["licence"] for row in csv.DictReader(file)}


def test_fixed_mixtures_are_an_array_that_stays(corpora, tmp_path):
    common = ("--noise", corpora / "a" / "noise", "--out", tmp_path / "v.json", "--fix", 3)
    pairs = ("--fix_folder", tmp_path / "pairs")
    run(PROGRAM, "--speech", corpora / "a" / "speech", *common, "--fix_seconds", 0.7, *pairs)
    first = np.load(tmp_path / "v.npy")
    noisy = sorted((tmp_path / "pairs" / "noisy").iterdir())
    assert len(list((tmp_path / "pairs" / "clean").iterdir())) == len(noisy) == 3
    assert first.shape == (3, 2, 11200)
    dataset = open_dataset(tmp_path / "v.npy", sample_rate=16000)
    assert len({item.id for item in dataset.items}) == 3
    run(PROGRAM, "--speech", corpora / "a" / "speech", *common, "--fix_seconds", 0.7)
    assert np.array_equal(first, np.load(tmp_path / "v.npy"))
    done = run(
        PROGRAM,
        "--speech",
        corpora / "a" / "speech",
        *common,
        "--fix_seconds",
        0.7,
        "--seed",
        1,
        status=1,
    )
    assert "made of other data" in done.stderr


def test_nothing_left_is_an_error(corpora, tmp_path):
    done = run(
        PROGRAM,
        *("--speech", corpora / "b" / "speech", "--noise", corpora / "b" / "noise"),
        *("--exclude_licence", ".", "--out", tmp_path / "t.json"),
        status=1,
    )
    assert "no speech of split train is left" in done.stderr
