"""Mixing while training: another noise in each epoch, the same in every worker and resumed run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf
import torch

from seloss.data import open_dataset
from seloss.data.corpus.listing import read_folder
from seloss.data.formats.mixture import DataError
from seloss.data.load.loader import build_loader
from seloss.data.load.source_lists import write_source_lists
from tests.seloss.data.corpus import energy_db, make_noise, make_speech

RATE = 16000
RATIOS = (0.0, 5.0, 10.0, 15.0)


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fly")
    speech = read_folder(make_speech(folder / "s", ["p1", "p2"], n_files=3), "speech")
    noise = read_folder(make_noise(folder / "n", ["a", "b", "c"], n_files=2), "noise")
    write_source_lists(folder / "train.json", speech, noise, sample_rate=RATE, snr_db=RATIOS)
    return folder / "train.json"


def test_an_item_is_the_sum_of_its_sources_at_one_of_the_ratios(lists):
    dataset = open_dataset(lists, sample_rate=RATE)
    assert len(dataset) == 6
    ratios = set()
    for epoch in range(4):
        for index in range(6):
            item = dataset[(epoch, index)]
            speech, noise = item.sources.numpy()
            assert torch.allclose(item.mixture[0], item.sources.sum(0), atol=1e-7)
            ratio = energy_db(speech, noise)
            assert min(abs(ratio - one) for one in RATIOS) < 0.01
            ratios.add(round(ratio))
    assert ratios == {0, 5, 10, 15}


def test_every_noise_and_ratio_is_met_evenly_and_the_sequence_never_cycles(lists):
    """Reseeding a global generator once collapsed the draws to a cycle of some hundred."""
    dataset = open_dataset(lists, sample_rate=RATE)
    drawn = [dataset.draw(epoch, 0)[1:3] for epoch in range(2400)]
    counts = {pair: drawn.count(pair) for pair in set(drawn)}
    assert len(counts) == 12
    assert max(counts.values()) < 260  # 200 each on average, standard deviation 13.5
    assert min(counts.values()) > 140
    for period in range(1, 1200):
        assert drawn[:1200] != drawn[period : period + 1200]


def test_draws_depend_on_seed_epoch_and_id_and_not_on_what_ran_before(lists):
    first = open_dataset(lists, sample_rate=RATE, segment_s=0.2)
    torch.manual_seed(3)
    np.random.seed(3)
    second = open_dataset(lists, sample_rate=RATE, segment_s=0.2)
    for _ in range(5):
        second[(0, 0)]
    assert torch.equal(first[(7, 3)].mixture, second[(7, 3)].mixture)
    assert not torch.equal(first[(7, 3)].mixture, first[(8, 3)].mixture)
    other = open_dataset(lists, sample_rate=RATE, segment_s=0.2, seed=1)
    assert not torch.equal(first[(7, 3)].mixture, other[(7, 3)].mixture)


def test_workers_give_what_one_process_gives(lists):
    def run(workers):
        dataset = open_dataset(lists, sample_rate=RATE, segment_s=0.2, seed=2)
        return list(build_loader(dataset, 2, shuffle=True, num_workers=workers, seed=2))

    for one, two in zip(run(0), run(2), strict=True):
        assert one.ids == two.ids
        assert torch.equal(one.mixture, two.mixture)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A response of two channels whose second half comes 100 ms after its first."""
    taps = np.zeros((2000, 2))
    taps[10], taps[1610] = (1.0, 0.5), (0.5, 0.25)
    path = tmp_path_factory.mktemp("room") / "room.wav"
    sf.write(path, taps, RATE, subtype="FLOAT")
    return [{"path": str(path)}]


def change(lists, tmp_path, **fields):
    told = {**json.loads(lists.read_text()), **fields}
    for part in ("speech", "noise"):
        for entry in told[part] if part not in fields else []:
            entry["path"] = str((lists.parent / entry["path"]).resolve())
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(told))
    return path


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"snr_db": []}, "'snr_db' must list ratios"),
        ({"snr_db": ["a"]}, "'snr_db' must list ratios"),
        ({"noise": []}, "'noise' must be a list of at least one"),
        ({"speech": [{"path": "x.wav"}]}, "'speech' number 1 has no 'id'"),
        ({"sample_rate": 8000}, "8000 Hz, expected 16000"),
        ({"noise": [{"path": "none.wav", "noise_type": "a"}]}, "none.wav.*does not exist"),
    ],
)
def test_wrong_lists_are_refused_with_their_file(lists, tmp_path, fields, what):
    with pytest.raises(DataError, match=what) as caught:
        open_dataset(change(lists, tmp_path, **fields), sample_rate=RATE)
    assert "changed.json" in str(caught.value)


def test_a_range_of_ratios(lists, tmp_path):
    path = change(lists, tmp_path, snr_db={"from": -5, "to": 5})
    dataset = open_dataset(path, sample_rate=RATE)
    ratios = [dataset.draw(epoch, 0)[2] for epoch in range(200)]
    assert -5 <= min(ratios) < -4
    assert 4 < max(ratios) <= 5


def test_repeats_give_an_utterance_several_noises_in_an_epoch(lists, tmp_path):
    dataset = open_dataset(change(lists, tmp_path, repeats=3), sample_rate=RATE)
    assert len(dataset) == 18
    assert [dataset.items[index].id for index in (0, 6, 12)] == ["p1_000", "p1_000_1", "p1_000_2"]
    assert not torch.equal(dataset[(0, 0)].sources[1], dataset[(0, 6)].sources[1])


def test_speech_is_played_faster_and_mixtures_are_brought_to_a_level(lists, tmp_path):
    spans = {"speed": {"from": 1.25, "to": 1.25}, "level_db": {"from": -40, "to": -30}}
    dataset = open_dataset(change(lists, tmp_path, **spans), sample_rate=RATE)
    levels = []
    for epoch in range(20):
        item = dataset[(epoch, 0)]
        assert item.mixture.shape[1] == 6400  # of 8000
        levels.append(10 * torch.log10(item.mixture.square().mean()).item())
        ratio = energy_db(*item.sources.numpy())
        assert min(abs(ratio - one) for one in RATIOS) < 0.01
    assert -40.01 < min(levels) < -37
    assert -33 < max(levels) < -29.99
    cut = open_dataset(change(lists, tmp_path, **spans), sample_rate=RATE, segment_s=0.3)
    assert cut[(0, 0)].mixture.shape[1] == 4800
    for wrong in ({"speed": {"from": 2, "to": 1}}, {"speed": 1.1}, {"repeats": 0}):
        with pytest.raises(DataError, match=next(iter(wrong))):
            open_dataset(change(lists, tmp_path, **wrong), sample_rate=RATE)


def open_changed(lists, tmp_path, **fields):
    return open_dataset(change(lists, tmp_path, **fields), sample_rate=RATE)


def test_in_a_room_late_reflections_count_as_noise_and_the_ratio_is_the_reverberant_one(
    lists, tmp_path, room
):
    fields = {"rooms": room, "snr_db": [40]}
    plain = open_changed(lists, tmp_path, snr_db=[40])[(0, 0)].sources[0].numpy()
    for target, late in (("early", True), ("dry", True), ("reverberant", False)):
        item = open_changed(lists, tmp_path, target=target, **fields)[(0, 0)]
        speech, rest = item.sources.numpy()
        assert torch.allclose(item.mixture[0], item.sources.sum(0), atol=1e-6)
        if late:  # the target is the dry speech here, but for its level
            gain = np.dot(speech, plain) / np.dot(plain, plain)
            np.testing.assert_allclose(speech, gain * plain, atol=1e-4)
            echo = np.concatenate([np.zeros(1600), 0.5 * speech])[: len(speech)]
            assert energy_db(speech + echo, rest - echo) == pytest.approx(40, abs=0.1)
        else:
            assert energy_db(speech, rest) == pytest.approx(40, abs=0.01)


def test_rooms_are_met_as_often_as_their_probability_says(lists, tmp_path, room):
    fields = {"snr_db": [60], "rooms": room, "room_probability": 0.3}
    dataset = open_changed(lists, tmp_path, **fields)
    ratios = [energy_db(*dataset[(epoch, 0)].sources.numpy()) for epoch in range(200)]
    assert 0.2 < np.mean(np.array(ratios) < 30) < 0.4


def test_more_noises_are_drawn_and_the_ratio_holds_for_their_sum(lists, tmp_path):
    one = open_changed(lists, tmp_path, snr_db=[0])
    two = open_changed(lists, tmp_path, snr_db=[0], noise_counts=[0, 1])
    assert energy_db(*two[(0, 0)].sources.numpy()) == pytest.approx(0, abs=0.01)
    noises = [dataset[(0, 0)].sources[1].numpy() for dataset in (one, two)]
    likeness = np.dot(*noises) / np.linalg.norm(noises[0]) / np.linalg.norm(noises[1])
    assert 0.6 < likeness < 0.97  # the second is 0 to 10 dB below the first


def test_noises_are_played_faster_by_what_is_drawn_for_them(tmp_path):
    """A tone of 500 Hz becomes one of 1000 Hz where every noise is played twice as fast."""
    speech = read_folder(make_speech(tmp_path / "s", ["p1"], n_files=1), "speech")
    (tmp_path / "n").mkdir()
    tone = 0.1 * np.sin(2 * np.pi * 500 * np.arange(3 * RATE) / RATE)
    sf.write(tmp_path / "n" / "tone.wav", tone, RATE)
    noise = read_folder(tmp_path / "n", "noise")
    for low, high in ((2, 2), (0.5, 0.5), (0.7, 1.4)):
        chance = {"noise_speed": {"probability": 1, "from": low, "to": high}}
        write_source_lists(
            tmp_path / "l.json", speech, noise, sample_rate=RATE, snr_db=[0], options=chance
        )
        rest = open_dataset(tmp_path / "l.json", sample_rate=RATE)[(0, 0)].sources[1].numpy()
        peak_hz = np.argmax(np.abs(np.fft.rfft(rest * np.hanning(len(rest))))) * RATE / len(rest)
        assert 500 * low - 5 <= peak_hz <= 500 * high + 5


@pytest.mark.parametrize(("by", "least", "most"), [("file", 0.1, 0.4), ("seconds", 0.6, 0.9)])
def test_noise_is_drawn_by_file_or_by_its_seconds(tmp_path, by, least, most):
    speech = read_folder(make_speech(tmp_path / "s", ["p1"], n_files=1), "speech")
    make_noise(tmp_path / "n", ["short"], n_files=3, seconds=0.5)
    make_noise(tmp_path / "n", ["long"], seconds=4.5)
    noise = read_folder(tmp_path / "n", "noise")
    options = {"noise_by": by}
    write_source_lists(
        tmp_path / "l.json", speech, noise, sample_rate=RATE, snr_db=[0], options=options
    )
    dataset = open_dataset(tmp_path / "l.json", sample_rate=RATE)
    kinds = [dataset.draw(epoch, 0)[1] for epoch in range(200)]
    assert least < kinds.count("long") / 200 < most


def test_bands_are_limited_and_mixtures_clipped_but_not_their_targets(lists, tmp_path):
    always = {"probability": 1}
    clean = open_changed(lists, tmp_path, snr_db=[10])[(0, 0)]
    clipped = open_changed(lists, tmp_path, snr_db=[10], clip_db={**always, "from": 6, "to": 6})
    item = clipped[(0, 0)]
    assert torch.allclose(item.sources[0], clean.sources[0], atol=1e-6)
    peak = float(clean.mixture.abs().max())
    assert float(item.mixture.abs().max()) == pytest.approx(peak * 10 ** (-6 / 20), rel=1e-3)
    narrow = {**always, "from": 2000, "to": 2000}
    item = open_changed(lists, tmp_path, snr_db=[10], band_limit_hz=narrow)[(0, 0)]
    energies = torch.fft.rfft(item.sources).abs().square()
    above = energies[:, energies.shape[1] * 2300 // 8000 :].sum(1) / energies.sum(1)
    assert (above < 1e-6).all()


def test_an_utterance_may_have_repeats_of_its_own(lists, tmp_path):
    told = json.loads(lists.read_text())
    for entry in told["speech"]:
        entry["path"] = str((lists.parent / entry["path"]).resolve())
    told["speech"][1]["repeats"] = 3
    dataset = open_changed(lists, tmp_path, speech=told["speech"])
    assert [item.id for item in dataset.items][6:] == ["p1_001_1", "p1_001_2"]


def test_everything_at_once_is_repeated_by_seed_epoch_and_item(lists, tmp_path, room):
    chance = {"probability": 0.5, "from": 3, "to": 6}
    fields = {
        **{"rooms": room, "room_probability": 0.5, "noise_counts": [0.4, 0.3, 0.3]},
        **{"equalise_db": chance, "clip_db": chance, "level_db": {"from": -40, "to": -20}},
        "band_limit_hz": {"probability": 0.5, "from": 2000, "to": 7000},
    }
    first, second = (open_changed(lists, tmp_path, **fields) for _ in range(2))
    for epoch in range(10):
        second[(epoch, 1)]
        assert torch.equal(first[(epoch, 0)].sources, second[(epoch, 0)].sources)
        assert first[(epoch, 0)].mixture.dtype == torch.float32
        assert float(first[(epoch, 0)].mixture.abs().max()) <= 1


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"room_probability": 0.5}, "'room_probability' needs 'rooms'"),
        ({"rooms": [{}]}, "'rooms' number 1 has no 'path'"),
        ({"rooms": [{"path": "none.wav"}]}, "none.wav.*does not exist"),
        ({"target": "wet"}, "'target' must be one of dry, early, reverberant; got 'wet'"),
        ({"noise_counts": [0.5, 0.4]}, "'noise_counts' must list the probabilities"),
        ({"noise_by": "colour"}, "'noise_by' must be one of type, file, seconds"),
        ({"noise_speed": {"probability": 1, "from": 0.1, "to": 2}}, "'noise_speed' must lie"),
        ({"clip_db": {"from": 1, "to": 2}}, "'clip_db' must be {'probability': ..,"),
        ({"clip_db": {"probability": 2, "from": 1, "to": 2}}, "'clip_db' must be a probability"),
        ({"equalise_db": {"probability": 1, "from": 5, "to": 2}}, "'equalise_db' must lie between"),
    ],
)
def test_wrong_options_of_the_mixing_are_refused(lists, tmp_path, fields, what):
    with pytest.raises(DataError, match=what):
        open_changed(lists, tmp_path, **fields)
