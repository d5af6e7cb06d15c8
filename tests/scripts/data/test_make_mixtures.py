"""The command line that makes mixtures."""

import numpy as np
import pytest
import soundfile as sf

from seloss.data.formats.manifest import validate_manifest
from tests.data import noise_like, speech_like
from tests.programs import ROOT
from tests.programs import run as start
from tests.seloss.data import programs

SCRIPT = ROOT / "scripts" / "data" / "make_mixtures.py"


def run(*arguments, status=0):
    return programs.run(SCRIPT, *arguments, status=status)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A LibriSpeech tree and a flat folder of noises."""
    folder = tmp_path_factory.mktemp("corpus")
    for split, speaker in (("train-clean-100", 103), ("dev-clean", 84), ("test-clean", 61)):
        chapter = folder / "LibriSpeech" / split / str(speaker) / "7"
        chapter.mkdir(parents=True)
        sf.write(chapter / f"{speaker}-7-0000.flac", speech_like(1.2, seed=speaker), 16000)
        (chapter / f"{speaker}-7.trans.txt").write_text(f"{speaker}-7-0000 WORDS OF {speaker}\n")
    (folder / "noise").mkdir()
    for which, kind in enumerate(("pink", "hum", "white")):
        for number in range(3):
            sf.write(
                folder / "noise" / f"{kind}_{number}.wav",
                noise_like(1.5, seed=10 * which + number, kind=kind),
                16000,
            )
    return folder


def options(corpus, out, *more):
    sizes = ("--n_train", 2, "--n_valid", 1, "--n_test", 1, "--jobs", 1, "--rt60_s", 0.12, 0.2)
    return (
        "--speech",
        corpus / "LibriSpeech",
        "--noise",
        corpus / "noise",
        "--out",
        out,
        *sizes,
        *more,
    )


def test_a_librispeech_tree_becomes_mixtures(corpus, tmp_path):
    done = run(
        *options(corpus, tmp_path, "--geometry", "circular", "--n_mics", 3, 3, "--seconds", 1.0)
    )
    for split, size, speaker in (("train", 2, "103"), ("valid", 1, "84"), ("test", 1, "61")):
        items = validate_manifest(tmp_path / f"{split}.json", sample_rate=16000)
        assert [item.speaker for item in items] == [speaker] * size
        assert all(item.n_mics == 3 for item in items)
    assert items[0].transcript == "words of 61"
    assert str(tmp_path / "test.json") in done.stdout
    assert "1 mixtures of 1 speakers" in done.stdout


def test_a_dry_run_writes_nothing(corpus, tmp_path):
    done = run(*options(corpus, tmp_path / "out", "--dry-run"))
    assert "train: 2 mixtures of 1 speakers" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wrong", "status", "said"),
    [
        (("--geometry", "line"), 2, "invalid choice"),
        (("--no_such_option",), 2, "unrecognized arguments"),
        (("--snr_db", 10, -5), 1, "snr_db must lie between"),
        (("--n_train", -1), 1, "0 or more"),
        (("--jobs", 0), 1, "1 or more"),
        (("--noise", "nowhere"), 1, "no folder"),
        (("--rir", "nowhere"), 1, "no folder"),
    ],
)
def test_a_wrong_option_is_told(corpus, tmp_path, wrong, status, said):
    assert said in run(*options(corpus, tmp_path / "out", *wrong), status=status).stderr
    assert not (tmp_path / "out").exists()


def test_help_names_every_option_with_its_default():
    done = start(SCRIPT, "--help")
    for word in (
        "--geometry",
        "binaural",
        "--snr_db",
        "default: -5 10",
        "--rir",
        "--dry-run",
        "--n_test",
    ):
        assert word in done.stdout


def test_measured_rooms_are_shared_by_no_splits_and_too_few_are_refused(corpus, tmp_path):
    draw = np.random.default_rng(0)
    for room, n_mics in (("booth", 2), ("hall", 2), ("lab", 8)):
        taps = draw.standard_normal((800, n_mics)) * np.exp(-np.arange(800) / 100)[:, None]
        for place in range(2):
            sf.write(tmp_path / f"{room}_{place}.wav", 0.2 * np.roll(taps, place, 0), 16000)
    out = tmp_path / "out"
    run(*options(corpus, out, "--rir", tmp_path))
    rooms = set()
    for split in ("train", "valid", "test"):
        items = validate_manifest(out / f"{split}.json", sample_rate=16000)
        rooms |= {(split, item.extra["room"], item.n_mics) for item in items}
        assert all(item.extra["geometry"] == "measured" for item in items)
    assert {(room, n_mics) for _, room, n_mics in rooms} == {("booth", 2), ("hall", 2), ("lab", 8)}
    assert len(rooms) == 3
    for place in range(2):
        (tmp_path / f"lab_{place}.wav").unlink()
    error = run(*options(corpus, tmp_path / "other", "--rir", tmp_path), status=1).stderr
    assert "found 2: booth, hall. A room is a sub-folder" in error
    assert not (tmp_path / "other").exists()
