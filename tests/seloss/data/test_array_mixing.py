"""Mixing for arrays while training: a bank of simulated rooms, delays kept, ratio at the first."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
import torch

from seloss.data import open_dataset
from seloss.data.corpus.listing import read_folder
from seloss.data.formats.mixture import DataError
from seloss.data.load.source_lists import write_source_lists
from seloss.data.mixing.responses import read_array_responses, reverberate
from seloss.data.mixing.room_bank import make_room_bank
from seloss.data.mixing.room_plan import MixingConfig
from seloss.data.mixing.rooms import measured_rt60
from tests.data import speech_like
from tests.recordings import ROOT
from tests.seloss.data.corpus import energy_db, make_noise, make_speech

RATE = 16000


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Rooms with hearing aids: front left, front right, rear left, rear right."""
    folder = tmp_path_factory.mktemp("bank") / "rooms"
    config = MixingConfig(rt60_s=(0.2, 0.3), seed=3)
    make_room_bank(folder, config, 3, 2, jobs=1, progress=False)
    return folder


def write_lists(folder, bank, **options):
    speech = read_folder(make_speech(folder / "s", ["p1"], n_files=2), "speech")
    noise = read_folder(make_noise(folder / "n", ["a", "b"]), "noise")
    spec = {"snr_db": [5], **options}
    path, arrays = folder / "train.json", read_folder(bank, "rir")
    write_source_lists(
        path,
        speech,
        noise,
        arrays=arrays,
        sample_rate=RATE,
        snr_db=spec.pop("snr_db"),
        options=spec,
    )
    return path


def test_a_bank_is_the_same_again_and_grows_without_change(bank, tmp_path):
    config = MixingConfig(rt60_s=(0.2, 0.3), seed=3)
    make_room_bank(tmp_path / "b", config, 4, 2, jobs=1, progress=False)
    for path in sorted(bank.glob("*/*.flac")):
        again = tmp_path / "b" / path.relative_to(bank)
        assert path.read_bytes() == again.read_bytes()
    (tmp_path / "b" / "room00001" / "noise0.flac").unlink()
    make_room_bank(tmp_path / "b", config, 4, 2, jobs=1, progress=False)
    assert len(list((tmp_path / "b").glob("*/*.flac"))) == 12
    with pytest.raises(DataError, match="rt60_s was"):
        make_room_bank(tmp_path / "b", MixingConfig(seed=3), 4, 2, progress=False)
    with pytest.raises(ValueError, match="1 or more; got 0 and 2"):
        make_room_bank(tmp_path / "c", config, 0, 2)


def test_the_listing_says_what_the_rooms_are(bank):
    recordings = read_folder(bank, "rir")
    assert {(one.group, one.channels) for one in recordings} == {
        (f"room0000{number}", 4) for number in range(3)
    }
    header, *rows = (bank / "rir.csv").read_text().splitlines()
    assert header == "path,room,rt60_s,distance_m"
    path, _, requested, _ = rows[0].split(",")
    taps = sf.read(bank / path)[0][:, 0]
    assert measured_rt60(taps, RATE) == pytest.approx(float(requested), rel=0.35)


def test_delays_and_levels_between_microphones_stay(tmp_path):
    taps = np.zeros((400, 2))
    taps[100, 0], taps[95, 1], taps[300, 0] = -0.5, 0.25, 0.1
    sf.write(tmp_path / "r.wav", taps, RATE, subtype="FLOAT")
    responses = read_array_responses(tmp_path / "r.wav", RATE)
    speech = speech_like(0.3, seed=1).astype(np.float32)
    image, target = reverberate(speech, responses, "dry", RATE)
    assert np.array_equal(target, speech)
    np.testing.assert_allclose(image[1, :-5], -0.5 * speech[5:], atol=1e-5)  # 5 samples earlier
    late = np.concatenate([np.zeros(200), -0.2 * speech])[: len(speech)]
    np.testing.assert_allclose(image[0], speech + late, atol=1e-5)
    second = responses.select([1, 0])
    image, target = reverberate(speech, second, "reverberant", RATE)
    np.testing.assert_allclose(target, image[0])
    np.testing.assert_allclose(image[0], speech, atol=1e-5)


def test_an_item_has_every_microphone_and_its_ratio_at_the_first(tmp_path, bank):
    path = write_lists(tmp_path, bank, target="reverberant", noise_counts=[0, 0, 1])
    dataset = open_dataset(path, sample_rate=RATE, segment_s=0.4)
    assert {facts.n_mics for facts in dataset.items} == {4}
    item = dataset[(0, 0)]
    assert item.mixture.shape == (4, 6400)
    assert torch.allclose(item.mixture[0], item.sources.sum(0), atol=1e-6)
    assert energy_db(*item.sources.numpy()) == pytest.approx(5, abs=0.01)
    left, right = item.mixture[0].numpy(), item.mixture[1].numpy()
    assert 0.2 < np.dot(left, right) / np.linalg.norm(left) / np.linalg.norm(right) < 0.999
    again = open_dataset(path, sample_rate=RATE, segment_s=0.4)
    again[(1, 1)]
    assert torch.equal(again[(0, 0)].mixture, item.mixture)


def test_noise_fills_the_item_from_its_first_sample(tmp_path, bank):
    dataset = open_dataset(write_lists(tmp_path, bank), sample_rate=RATE)
    for epoch in range(5):
        noise = dataset[(epoch, 0)].sources[1]
        start, whole = noise[:800].square().mean(), noise.square().mean()
        assert start > 0.05 * whole


def test_microphones_are_limited_and_shuffled(tmp_path, bank):
    path = write_lists(tmp_path, bank)
    plain = open_dataset(path, sample_rate=RATE, max_mics=2)
    assert plain[(0, 0)].mixture.shape[0] == 2
    assert plain.items[0].n_mics == 2
    shuffled = open_dataset(path, sample_rate=RATE, max_mics=2, shuffle_mics=True)
    mixtures = [dataset[(epoch, 0)].mixture for epoch in range(6) for dataset in (plain, shuffled)]
    differ = [not torch.equal(a, b) for a, b in zip(mixtures[::2], mixtures[1::2], strict=True)]
    assert any(differ)


def test_effects_reach_all_microphones(tmp_path, bank):
    always = {"probability": 1}
    path = write_lists(
        tmp_path,
        bank,
        band_limit_hz={**always, "from": 2000, "to": 2000},
        equalise_db={**always, "from": 6, "to": 6},
        level_db={"from": -30, "to": -30},
    )
    item = open_dataset(path, sample_rate=RATE)[(0, 0)]
    energies = torch.fft.rfft(item.mixture).abs().square()
    above = energies[:, energies.shape[1] * 2300 // 8000 :].sum(1) / energies.sum(1)
    assert (above < 1e-6).all()
    assert 10 * torch.log10(item.mixture[0].square().mean()) == pytest.approx(-30, abs=0.01)
    path = write_lists(tmp_path, bank, clip_db={**always, "from": 6, "to": 6})
    item = open_dataset(path, sample_rate=RATE)[(0, 0)]
    peaks = item.mixture.abs().amax(1, keepdim=True)
    assert ((item.mixture.abs() > 0.999 * peaks).sum(1) > 3).all()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda spec: spec.update(rooms=spec["arrays"]), "give 'rooms' .* or 'arrays', not both"),
        (lambda spec: spec["arrays"][0].update(role="singer"), "'role' must be talker or noise"),
        (lambda spec: spec.update(arrays=spec["arrays"][:1]), "no place for a talker and another"),
        (lambda spec: spec["arrays"][0].pop("room"), "'arrays' number 1 has no 'room'"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, bank, change, what):
    path = write_lists(tmp_path, bank)
    spec = json.loads(path.read_text())
    change(spec)
    path.write_text(json.dumps(spec))
    with pytest.raises(DataError, match=what):
        open_dataset(path, sample_rate=RATE)


def test_rooms_of_different_arrays_in_one_folder_are_refused(tmp_path, bank):
    path = write_lists(tmp_path, bank)
    spec = json.loads(path.read_text())
    sf.write(tmp_path / "two.wav", np.eye(10, 2), RATE)
    spec["arrays"][0]["path"] = "two.wav"
    path.write_text(json.dumps(spec))
    with pytest.raises(DataError, match=r"room '.*' has files of \[2, 4\] channels"):
        open_dataset(path, sample_rate=RATE)


@pytest.mark.slow
def test_the_programs_make_rooms_and_list_them(tmp_path):
    """As a user would: simulate, list, open; then mixtures on disk in the same rooms."""
    make_speech(tmp_path / "s", ["p1", "p2", "p3"], n_files=2)
    make_noise(tmp_path / "n", ["a", "b", "c"], n_files=2)

    def run(name, *words):
        command = [sys.executable, ROOT / "scripts/data" / name, *map(str, words)]
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)

    made = run("simulate_rooms.py", "--out", "bank", "--rooms", 3, "--geometry", "circular")
    assert made.returncode == 0, made.stderr
    sources = ["--speech", "s", "--noise", "n", "--split", "all", "--arrays", "bank"]
    listed = run("list_sources.py", *sources, "--out", "train.json")
    assert listed.returncode == 0, listed.stderr
    assert open_dataset(tmp_path / "train.json", sample_rate=RATE)[(0, 0)].mixture.shape[0] == 6
    refused = run("list_sources.py", *sources, "--out", "v.json", "--fix", 2)
    assert refused.returncode == 1
    assert "fix arrays with make_mixtures.py --rir" in refused.stderr
    mixed = run("make_mixtures.py", "--speech", "s", "--noise", "n", "--rir", "bank", "--out", "m",
                "--n_train", 1, "--n_valid", 1, "--n_test", 1)  # fmt: skip
    assert mixed.returncode == 0, mixed.stderr
