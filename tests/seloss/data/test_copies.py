"""Copies of a recording at another rate, level or coding, told from other recordings."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf
import soxr

from seloss.data.corpus.copies import find_copies
from seloss.data.corpus.listing import read_folder
from seloss.data.corpus.recording import Recording
from seloss.data.corpus.splits import split_speech
from seloss.data.formats.mixture import DataError
from tests.data import speech_like

RATE = 16000


def record(path, group="a"):
    info = sf.info(path)
    return Recording(path, path.name, group, None, info.duration, info.channels)


def hiss(seed, seconds=4.0):
    return 0.05 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


CODINGS = {
    "8k.wav": lambda x: (soxr.resample(x, RATE, 8000), 8000, {}),
    "44k.flac": lambda x: (0.3 * soxr.resample(x, RATE, 44100), 44100, {"subtype": "PCM_24"}),
    "upside.wav": lambda x: (-x, RATE, {"subtype": "FLOAT"}),
    "small.mp3": lambda x: (x, RATE, {"format": "MP3", "compression_level": 0.9}),
    "q.ogg": lambda x: (x, RATE, {"format": "OGG", "subtype": "VORBIS"}),
    "q.opus": lambda x: (x, RATE, {"format": "OGG", "subtype": "OPUS"}),
    "late.wav": lambda x: (np.concatenate([np.zeros(1600), x]), RATE, {}),
    "gsm.wav": lambda x: (x, RATE, {"subtype": "GSM610"}),
}


@pytest.mark.parametrize("kind", ["speech", "noise"])
@pytest.mark.parametrize("name", CODINGS)
def test_a_copy_is_known(tmp_path, kind, name):
    signal = speech_like(4.0, seed=3) if kind == "speech" else hiss(3)
    signal = 0.5 * signal / np.abs(signal).max()
    sf.write(tmp_path / "original.wav", signal, RATE)
    samples, rate, options = CODINGS[name](signal)
    sf.write(tmp_path / name, samples, rate, **options)
    pairs = find_copies([record(tmp_path / "original.wav"), record(tmp_path / name)])
    assert len(pairs) == 1


@pytest.mark.parametrize("make", [lambda k: 0.2 * speech_like(4.0, seed=k), hiss])
def test_others_of_the_same_length_and_kind_are_no_copies(tmp_path, make):
    tone = 0.2 * np.sin(2 * np.pi * 500 * np.arange(4 * RATE) / RATE)  # a hum that all have
    for k in range(12):
        sf.write(tmp_path / f"{k}.wav", make(k), RATE)
        sf.write(tmp_path / f"tone{k}.wav", tone + 0.01 * make(k), RATE)
    sf.write(tmp_path / "silent.wav", np.zeros(4 * RATE), RATE)
    assert find_copies([record(path) for path in tmp_path.iterdir()]) == []


def test_what_is_out_of_reach_stays_so(tmp_path):
    """The limits that the module states: other length, other speed."""
    signal = speech_like(4.0, seed=3)
    sf.write(tmp_path / "a.wav", signal, RATE)
    sf.write(tmp_path / "part.wav", signal[: 3 * RATE], RATE)
    sf.write(tmp_path / "fast.wav", soxr.resample(signal, 1.1 * RATE, RATE), RATE)
    recordings = [record(path) for path in tmp_path.iterdir()]
    assert find_copies(recordings) == []
    assert find_copies([replace(one, recording="a") for one in recordings[:2]]) == []


def test_a_recoded_copy_under_another_name_is_refused_in_two_splits(tmp_path, caplog):
    for k, (split, speaker) in enumerate(
        (split, speaker) for split in ("train", "valid", "test") for speaker in "ab"
    ):
        path = tmp_path / split / f"{split}{speaker}" / f"{k}.wav"
        path.parent.mkdir(parents=True)
        sf.write(path, speech_like(4.0, seed=k), RATE)
    copy = soxr.resample(speech_like(4.0, seed=0), RATE, 8000)
    sf.write(tmp_path / "test" / "testa" / "taken.ogg", copy, 8000)
    recordings = read_folder(tmp_path, "speech")
    assert "1 pairs of files are one recording, at another rate or coding" in caplog.text
    with pytest.raises(DataError, match=r"same audio under another name\) is in test and train"):
        split_speech(recordings, 0)
