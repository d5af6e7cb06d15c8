"""The scheme of Voice Bank + DEMAND: who speaks in which noise at which ratio."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import welch

from seloss.data.corpus.listing import read_folder
from seloss.data.formats.mixture import DataError
from seloss.data.formats.preparation import claim_folder
from seloss.data.mixing.artificial import make_babble, make_speech_shaped
from seloss.data.mixing.make_pairs import describe_plans, mix_pairs, pair_settings
from seloss.data.mixing.scheme import NoiseScheme, Part, read_scheme
from seloss.data.mixing.scheme_plan import (
    artificial_recordings,
    assign,
    make_artificial,
    plan_scheme,
)
from tests.data import noise_like
from tests.seloss.data.corpus import WRITES, energy_db, make_noise, make_speech, mix, write

ROOT = Path(__file__).resolve().parents[3]
RATE = 16000
SCHEME = NoiseScheme(
    Part(("p1", "p2", "p3"), ("KITCHEN", "CAR"), (15, 10, 5, 0)),
    Part(("p8", "p9"), ("BUS", "CAFE"), (17.5, 12.5, 7.5, 2.5)),
    valid_speakers=("p3",),
    artificial_seconds=2.0,
)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scheme")
    speech = make_speech(folder / "s", ["p1", "p2", "p3", "p8", "p9"], n_files=8, seconds=0.4)
    noise = make_noise(folder / "n", ["KITCHEN", "CAR", "BUS", "CAFE"], n_files=1, seconds=2.0)
    return read_folder(speech, "speech"), read_folder(noise, "noise")


@pytest.fixture(scope="module")
def made(corpora, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    artificial = artificial_recordings(SCHEME, out, sample_rate=RATE, seed=0)
    plans = plan_scheme(SCHEME, assign(SCHEME, *corpora, artificial), RATE, 0)
    with claim_folder(out, pair_settings(plans, sample_rate=RATE, seed=0), WRITES) as claim:
        make_artificial(claim, SCHEME, corpora[0], sample_rate=RATE, seed=0)
        manifests = mix_pairs(claim, plans, sample_rate=RATE, seed=0, progress=False)
    return {split: json.loads(path.read_text()) for split, path in manifests.items()}, out, plans


def test_every_published_ratio_is_right_in_db(made):
    manifests, out, _ = made
    for split, ratios in (("train", {0, 5, 10, 15}), ("test", {2.5, 7.5, 12.5, 17.5})):
        assert {entry["snr_db"] for entry in manifests[split]} == ratios
        for entry in manifests[split]:
            signals = {
                role: sf.read(out / entry["1"][role], dtype="int16")[0].astype(np.int64)
                for role in ("mixture", "speech", "noise")
            }
            assert np.array_equal(signals["mixture"], signals["speech"] + signals["noise"])
            ratio = energy_db(signals["speech"], signals["noise"])
            assert ratio == pytest.approx(entry["snr_db"], abs=0.02)
            assert entry["measured_snr_db"] == pytest.approx(ratio, abs=1e-3)


def test_test_noises_and_speakers_are_never_in_training(made):
    manifests, _, plans = made
    for name in ("noise_type", "speaker"):
        sets = {split: {entry[name] for entry in items} for split, items in manifests.items()}
        assert not sets["test"] & (sets["train"] | sets["valid"])
    files = {split: {plan.noise for plan in items} for split, items in plans.items()}
    assert not files["test"] & (files["train"] | files["valid"])
    assert not any(entry["seen"] for entry in manifests["test"])


def test_conditions_are_spread_evenly_over_a_speakers_utterances(made):
    _, _, plans = made
    assert {one.noise_type for one in plans["train"]} <= {"KITCHEN", "CAR", "babble", "ssn"}
    for speaker in ("p1", "p8"):
        split = "train" if speaker == "p1" else "test"
        mine = [(o.noise_type, o.snr_db) for o in plans[split] if o.speaker == speaker]
        assert len(mine) == 8
        assert max(Counter(mine).values()) == 1  # 16 and 8 conditions, none twice


def test_repeats_put_an_utterance_into_several_conditions(corpora):
    scheme = replace(SCHEME, repeats={"test": 3}, artificial=())
    plans = plan_scheme(scheme, assign(scheme, *corpora), RATE, 0)
    conditions = {(o.noise_type, o.snr_db) for o in plans["test"] if o.speech.stem == "p8_000"}
    assert len(conditions) == 3
    assert len(plans["train"]) == 16
    assert "test: 48 mixtures of 2 speakers at 2.5, 7.5, 12.5, 17.5 dB" in describe_plans(
        plans, RATE
    )


@pytest.mark.parametrize(
    ("test", "what"),
    [
        (Part(("p8",), ("BUS", "CAR"), (0,)), "a noise must not be in training and in the test"),
        (Part(("p8",), ("babble",), (0,)), "a noise must not be in training and in the test"),
        (Part(("p1",), ("BUS",), (0,)), "a speaker must not be in training and in the test"),
    ],
)
def test_a_scheme_that_leaks_is_refused(test, what):
    with pytest.raises(ValueError, match=what):
        replace(SCHEME, test=test)


def test_a_test_noise_that_is_a_copy_of_a_training_noise_is_refused(tmp_path, corpora):
    noise = make_noise(tmp_path, ["KITCHEN", "CAR", "CAFE"], seconds=1.0)
    (tmp_path / "BUS").mkdir()
    (tmp_path / "BUS" / "renamed.wav").write_bytes((tmp_path / "CAR" / "0.wav").read_bytes())
    with pytest.raises(DataError, match=r"is a noise of the test and, as CAR/0.wav, of training"):
        assign(SCHEME, corpora[0], read_folder(noise, "noise"))


def test_missing_speakers_and_noises_are_named(corpora):
    scheme = replace(SCHEME, test=Part(("p8", "p77"), ("BUS", "TRAIN"), (0,)))
    with pytest.raises(DataError) as caught:
        assign(scheme, *corpora)
    assert [problem.item for problem in caught.value.problems] == ["p77", "TRAIN"]


def test_a_second_start_makes_what_is_missing_and_other_settings_are_refused(made):
    _, out, plans = made
    path = next((out / "train" / "items").iterdir())
    name = path.stem
    path.unlink()
    before = {one: one.stat().st_mtime_ns for one in out.rglob("*.wav")}
    mix(out, plans)
    changed = {one.stem for one, time in before.items() if one.stat().st_mtime_ns != time}
    assert changed == {name}
    with pytest.raises(DataError, match=r"other settings \(seed was 0, is 1\)"):
        mix(out, plans, seed=1)
    shorter = {**plans, "test": plans["test"][:-1]}
    with pytest.raises(DataError, match=r"other settings \(test: other than before\)"):
        mix(out, shorter)


def test_the_published_scheme_is_the_default_one():
    scheme = read_scheme(ROOT / "configs" / "schemes" / "voicebank_demand.yml")
    assert len(scheme.train.speakers) == 28
    assert scheme.test.speakers == ("p232", "p257")
    assert len(scheme.train.noises) == 8
    assert scheme.artificial == ("babble", "ssn")
    assert len(scheme.test.noises) == 5
    assert scheme.train.snr_db == (15, 10, 5, 0)
    assert scheme.test.snr_db == (17.5, 12.5, 7.5, 2.5)


PART = "train: {{speakers: {}, noises: [b], snr_db: {}}}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("train: 3", "must hold 'train' with"),
        ("train: {speakers: [a], noises: [b]}", "'train' must hold"),
        ("[]", "must hold 'train'"),
        (PART.format("[a]", "many"), r"'train.snr_db' must be a list of numbers; got 'many'"),
        (PART.format("[a]", "[5, x]"), r"'train.snr_db' must be a list of numbers; got \[5, 'x'\]"),
        (PART.format("p226", "[5]"), "'train.speakers' must be a list of names; got 'p226'"),
    ],
)
def test_a_wrong_scheme_is_refused_with_its_file(tmp_path, text, what):
    (tmp_path / "s.yml").write_text(text)
    with pytest.raises(DataError, match=what) as caught:
        read_scheme(tmp_path / "s.yml")
    assert "s.yml" in str(caught.value)


def test_speech_shaped_noise_has_the_spectrum_of_speech_and_is_stationary(corpora):
    noise = make_speech_shaped(corpora[0], RATE, 20.0, 0)
    speech = np.concatenate([sf.read(one.path)[0] for one in corpora[0]])
    spectra = [welch(signal, RATE, nperseg=512)[1][4:200] for signal in (speech, noise)]
    levels = [10 * np.log10(s / s.sum()) for s in spectra]
    assert np.abs(levels[0] - levels[1]).mean() < 1.5  # dB
    powers = np.mean(noise[: 16000 * 20].reshape(20, -1) ** 2, axis=1)
    assert 10 * np.log10(powers.max() / powers.min()) < 3
    white = welch(noise_like(20, kind="white"), RATE, nperseg=512)[1][4:200]
    assert np.abs(levels[0] - 10 * np.log10(white / white.sum())).mean() > 5


def test_babble_is_six_talkers_at_one_level(corpora, monkeypatch):
    monkeypatch.setattr("seloss.data.mixing.artificial.TALKERS", 1)
    alone = make_babble(corpora[0], RATE, 3.0, 0)
    monkeypatch.setattr("seloss.data.mixing.artificial.TALKERS", 6)
    babble = make_babble(corpora[0], RATE, 3.0, 0)

    def crest(signal):  # talkers fill each other's pauses
        powers = np.mean(signal.reshape(-1, 800) ** 2, axis=1)
        return powers.std() / powers.mean()

    assert crest(babble) < 0.7 * crest(alone)
    assert np.array_equal(babble, make_babble(corpora[0], RATE, 3.0, 0))
    assert not np.array_equal(babble, make_babble(corpora[0], RATE, 3.0, 1))


def test_artificial_noises_are_of_speakers_outside_the_scheme_where_there_are_six(
    tmp_path, corpora
):
    others = make_speech(tmp_path / "o", [f"q{i}" for i in range(6)], n_files=1)
    speech = [*corpora[0], *read_folder(others, "speech")]
    noises = []
    for name, voices in (("a", speech), ("b", read_folder(others, "speech"))):
        with claim_folder(tmp_path / name, {}, ()) as claim:
            noises.append(make_artificial(claim, SCHEME, voices, sample_rate=RATE, seed=0))
    for one, two in zip(*noises, strict=True):
        assert one.path.read_bytes() == two.path.read_bytes()


def test_silence_for_a_noise_is_refused(tmp_path, corpora):
    write(tmp_path / "n.wav", np.zeros(RATE))
    _, noise = corpora
    silent = [replace(one, path=tmp_path / "n.wav") for one in noise if one.group == "CAR"]
    rest = [one for one in noise if one.group != "CAR"]
    scheme = replace(SCHEME, artificial=())
    plans = plan_scheme(scheme, assign(scheme, corpora[0], [*rest, *silent]), RATE, 0)
    with pytest.raises(DataError, match=r"n.wav"):
        mix(tmp_path / "o", plans)
