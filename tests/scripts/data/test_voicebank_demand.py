"""The programs that prepare noisy and clean pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile as sf

from tests.data import speech_like
from tests.seloss.data import programs
from tests.seloss.data.corpus import make_noise, make_speech, write
from tests.seloss.data.programs import Done

PROGRAMS = Path(__file__).resolve().parents[3] / "scripts" / "data"
SCHEME = """
train: {speakers: [p1, p2], noises: [CAR], snr_db: [15, 0]}
test: {speakers: [p9], noises: [BUS], snr_db: [17.5, 2.5]}
valid_speakers: [p2]
artificial_seconds: 1
"""


def run(program: str, *arguments: object, status: int = 0) -> Done:
    return programs.run(PROGRAMS / program, *arguments, status=status)


@pytest.fixture
def raw(tmp_path):
    make_speech(tmp_path / "vctk" / "wav48", ["p1", "p2", "p9"], n_files=2, rate=48000)
    make_noise(tmp_path / "demand", ["CAR", "BUS"], rate=48000)
    (tmp_path / "scheme.yml").write_text(SCHEME)
    return [
        *("--speech", tmp_path / "vctk", "--noise", tmp_path / "demand"),
        *("--scheme", tmp_path / "scheme.yml", "--out", tmp_path / "out"),
    ]


def test_raw_recordings_become_manifests_at_16_khz(raw, tmp_path):
    done = run("voicebank_demand.py", *raw)
    assert "test: 2 mixtures of 1 speakers at 2.5, 17.5 dB" in done.stdout
    test = json.loads((tmp_path / "out" / "test.json").read_text())
    assert {entry["id"] for entry in test} == {"p9_000", "p9_001"}
    assert {entry["1"]["length"] for entry in test} == {8000}
    train = json.loads((tmp_path / "out" / "train.json").read_text())
    assert {entry["noise_type"] for entry in train} <= {"CAR", "babble", "ssn"}
    assert {entry["speaker"] for entry in train} == {"p1"}


def test_on_the_fly_training_lists_its_sources(raw, tmp_path):
    run("voicebank_demand.py", *raw, "--on_the_fly")
    lists = json.loads((tmp_path / "out" / "train.json").read_text())
    assert [one["id"] for one in lists["speech"]] == ["p1_000", "p1_001"]
    assert {one["noise_type"] for one in lists["noise"]} == {"CAR", "babble", "ssn"}
    assert lists["snr_db"] == [15, 0]
    for part in ("speech", "noise"):
        assert all((tmp_path / "out" / one["path"]).is_file() for one in lists[part])
    assert len(json.loads((tmp_path / "out" / "valid.json").read_text())) == 2


def test_a_dry_run_writes_nothing(raw, tmp_path):
    done = run("voicebank_demand.py", *raw, "--dry-run")
    assert "MB" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--speech", "x"], "--speech and --noise belong together"),
        (["--tree", "x", "--on_the_fly"], "--tree is mixed already"),
        (["--tree", "nowhere"], "nowhere has no noisy_trainset"),
        (["--tree", "x", "--jobs", "0"], "--jobs must be 1 or more"),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments, what, tmp_path):
    done = run("voicebank_demand.py", "--out", tmp_path / "out", *arguments, status=1)
    assert what in done.stderr.replace("noisy_trainset*_wav", "noisy_trainset")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_pairs_of_any_rate_become_a_manifest(tmp_path):
    for side in ("noisy", "clean"):
        write(tmp_path / side / "a.wav", speech_like(0.3, 44100), 44100)
    (tmp_path / "mine.yml").write_text("noisy: noisy\nclean: clean\n")
    done = run("convert_pairs.py", tmp_path / "mine.yml", "--out", tmp_path / "out")
    assert "1 pairs" in done.stdout
    (entry,) = json.loads((tmp_path / "out" / "mine.json").read_text())
    assert entry["1"]["length"] == 4800
    write(tmp_path / "noisy" / "lonely.wav", speech_like(0.3))
    done = run("convert_pairs.py", tmp_path / "mine.yml", "--out", tmp_path / "out", status=1)
    assert "'lonely.wav': has no counterpart" in done.stderr


def test_another_rate_overwrites_the_copies_of_the_sources_too(raw, tmp_path):
    run("voicebank_demand.py", *raw, "--on_the_fly")
    with_rate = [*raw, "--on_the_fly", "--sample_rate", 8000]
    error = run("voicebank_demand.py", *with_rate, status=1).stderr
    assert "other settings (sample_rate was 16000, is 8000" in error
    run("voicebank_demand.py", *with_rate, "--overwrite")
    lists = json.loads((tmp_path / "out" / "train.json").read_text())
    for one in (*lists["speech"], *lists["noise"]):
        assert sf.info(tmp_path / "out" / one["path"]).samplerate == 8000
    run("voicebank_demand.py", *raw, "--overwrite")
    assert not (tmp_path / "out" / "sources").exists()
    assert len(json.loads((tmp_path / "out" / "train.json").read_text())) == 2
