"""The preparation of the DCCRN recipe as a program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seloss.data import open_dataset
from tests.data import make_manifest
from tests.seloss.data import programs
from tests.seloss.data.corpus import energy_db, make_noise, make_speech
from tests.seloss.data.programs import Done
from tests.seloss.data.test_corpora import make_tree

ROOT = Path(__file__).resolve().parents[2]
PREPARE = ROOT / "egs" / "DCCRN" / "local" / "prepare.py"


def run(*arguments: object, status: int = 0) -> Done:
    return programs.run(PREPARE, *arguments, status=status)


@pytest.fixture
def folders(tmp_path):
    speech = make_speech(tmp_path / "speech", ["a", "b", "c"], rate=22050)
    noise = make_noise(tmp_path / "noise", ["x", "y", "z"], n_files=3, rate=48000)
    return ["--speech", speech, "--noise", noise, "--out", tmp_path / "out", "--seconds", "0.5"]


def test_folders_of_any_rate_become_the_published_arrays(folders, tmp_path):
    announced = run(*folders, "--dry-run").stdout
    assert not (tmp_path / "out").exists()
    done = run(*folders, "--snr_db", "-5", "0", "5")
    assert "[2, 3, 2, 2, 8000]" in done.stdout
    assert "[2, 7, 2, 2, 8000]" in announced
    dataset = open_dataset(tmp_path / "out" / "test.npy", sample_rate=16000)
    for index, facts in enumerate(dataset.items):
        assert energy_db(*dataset[index].sources.numpy()) == pytest.approx(facts.snr_db, abs=0.01)


def test_manifests_of_the_tac_recipe(tmp_path):
    manifests = []
    for at, split in enumerate(("train", "valid", "test")):
        path = make_manifest(tmp_path / split, seconds=0.5, seed=at, prefix=split)
        path.write_text(
            path.read_text().replace('"speaker', f'"{split}').replace(f'"{split}":', '"speaker":')
        )
        manifests.append(path)
    run("--manifests", *manifests, "--out", tmp_path / "out", "--seconds", "0.5", "--snr_db", "0")
    shape = np.load(tmp_path / "out" / "test.npy", mmap_mode="r").shape
    assert shape == (2, 1, 2, 2, 8000)


def test_voice_bank_at_48_khz_with_all_its_test_noises_unseen(tmp_path):
    make_tree(tmp_path / "vb")
    arguments = ["--voicebank", tmp_path / "vb", "--out", tmp_path / "out", "--seconds", "0.5"]
    assert "no mixture of class seen" in run(*arguments, status=1).stderr
    run(*arguments, "--noise_classes", "unseen", "--snr_db", "0", "10")
    train = open_dataset(tmp_path / "out" / "train.npy", sample_rate=16000)
    assert len(train) == 4
    assert train[0].mixture.shape == (1, 6400)  # 0.4 s
    test = open_dataset(tmp_path / "out" / "test.npy", sample_rate=16000)
    assert [facts.snr_db for facts in test.items] == [0] * 4 + [10] * 4
    for index, facts in enumerate(test.items):
        assert energy_db(*test[index].sources.numpy()) == pytest.approx(facts.snr_db, abs=0.01)


def test_an_array_from_elsewhere_is_described(tmp_path):
    np.save(tmp_path / "t.npy", np.random.default_rng(0).standard_normal((3, 2, 100)))
    run("--describe", tmp_path / "t.npy")
    assert len(open_dataset(tmp_path / "t.npy", sample_rate=16000)) == 3


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--noise", "x"], "belong together"),
        (["--dns", "x", "--voicebank", "y"], "one corpus at a time; got --dns and --voicebank"),
        (["--seconds", "0", "--mini", "nowhere"], "seconds must lie between"),
        (["--snr_db", "0", "nan", "--mini", "nowhere"], "snr_db must be distinct ratios within"),
        (["--describe", "none.npy"], "no array none.npy"),
        (["--dns", "nowhere"], "is no DNS challenge folder"),
    ],
)
def test_wrong_usage_is_told(arguments, what, tmp_path):
    done = run("--out", tmp_path / "o", *arguments, status=1)
    assert what in done.stderr
    assert "Traceback" not in done.stderr
