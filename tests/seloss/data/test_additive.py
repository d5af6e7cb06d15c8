"""Noise added at a wanted ratio; parts of recordings."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from seloss.data.formats.mixture import DataError
from seloss.data.mixing.additive import PEAK, AdditivePlan, mix_at_snr, render_additive
from seloss.data.mixing.excerpt import length_at, read_lively, read_part
from tests.data import noise_like, speech_like
from tests.seloss.data.corpus import energy_db, write

RATE = 16000
SPEECH = speech_like(0.5).astype(np.float64)
NOISE = noise_like(0.5).astype(np.float64)


@given(
    wanted=st.floats(-30, 40),
    gains=st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)),
)
def test_the_ratio_is_that_of_energies_whatever_the_levels(wanted, gains):
    speech, noise = mix_at_snr(gains[0] * SPEECH, gains[1] * NOISE, wanted)
    assert energy_db(speech, noise) == pytest.approx(wanted, abs=1e-9)
    assert np.abs(speech + noise).max() <= PEAK + 1e-12


@pytest.mark.parametrize("wanted", [0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5])
def test_published_ratios_are_not_halved(wanted):
    """A gain of 10^(snr/20) on a ratio of powers under a root would give half of each, in dB."""
    speech, noise = mix_at_snr(SPEECH, NOISE, wanted)
    assert energy_db(speech, noise) == pytest.approx(wanted, abs=1e-9)


def test_a_mixture_that_fits_keeps_the_level_of_its_speech():
    speech, _ = mix_at_snr(0.1 * SPEECH, NOISE, 10.0)
    assert np.array_equal(speech, 0.1 * SPEECH)


@pytest.mark.parametrize(
    ("speech", "noise", "who"), [(0 * SPEECH, NOISE, "speech"), (SPEECH, 0 * NOISE, "noise")]
)
def test_silence_has_no_ratio(speech, noise, who):
    with pytest.raises(ValueError, match=f"the {who} is silent"):
        mix_at_snr(speech, noise, 0.0)


@pytest.mark.parametrize("rate", [16000, 8000, 48000, 44100, 22050])
@pytest.mark.parametrize("start", [0, 777, 16000, 23999])
def test_a_part_is_the_same_as_of_the_whole_file(tmp_path, rate, start):
    path = write(tmp_path / "a.wav", speech_like(2.0, rate), rate)
    whole = read_part(path, RATE, 0, length_at(path, RATE))
    part = read_part(path, RATE, start, 4000)
    assert len(part) == 4000
    # what lies beyond the resampler's reach is left out of the comparison by its tolerance
    assert np.abs(part - whole[start : start + 4000]).max() < 1e-4


def test_only_the_part_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", noise_like(10.0, 48000), 48000)
    read, real = [], sf.SoundFile.read

    def spy(self, frames=-1, *args, **options):
        read.append(frames)
        return real(self, frames, *args, **options)

    monkeypatch.setattr(sf.SoundFile, "read", spy)
    assert len(read_part(path, RATE, 5 * RATE, 800)) == 800
    assert 2400 <= read[0] < 48000 * 1.2


def test_an_excerpt_is_not_taken_from_a_pause(tmp_path):
    signal = np.zeros(10 * RATE, dtype=np.float32)
    signal[4 * RATE : 6 * RATE] = noise_like(2.0)
    signal += 1e-4 * noise_like(10.0, seed=3)
    path = write(tmp_path / "sparse.wav", signal)
    strong = [
        np.sqrt(np.mean(read_lively(path, RATE, RATE, np.random.default_rng(seed)) ** 2)) > 1e-3
        for seed in range(40)
    ]
    assert sum(strong) > 30  # a single draw would meet the two seconds in less than a third


def test_a_short_noise_is_repeated_from_another_place(tmp_path):
    path = write(tmp_path / "short.wav", noise_like(0.2))
    first, second = (read_lively(path, RATE, RATE, np.random.default_rng(s)) for s in (0, 1))
    assert len(first) == len(second) == RATE
    assert not np.array_equal(first, second)
    assert np.sqrt(np.mean(first[-1600:] ** 2)) > 0.5 * np.sqrt(np.mean(first**2))


def test_a_silent_noise_is_refused_with_its_name(tmp_path):
    path = write(tmp_path / "silent.wav", np.zeros(RATE))
    with pytest.raises(DataError, match=r"silent.wav"):
        read_lively(path, RATE, 100, np.random.default_rng(0))


def plan(tmp_path, **fields):
    write(tmp_path / "s.wav", speech_like(2.0))
    write(tmp_path / "n.wav", noise_like(4.0))
    made = {"speech": tmp_path / "s.wav", "noise": tmp_path / "n.wav", "start": 0}
    return AdditivePlan("x", **{**made, "n_samples": 16000, "snr_db": 3.0, **fields})


def test_what_is_drawn_depends_on_seed_and_id_alone(tmp_path):
    first, again = (render_additive(plan(tmp_path), RATE, 0) for _ in range(2))
    assert np.array_equal(first, again)
    other = render_additive(plan(tmp_path), RATE, 1)
    assert not np.array_equal(first[1], other[1])


def test_the_noise_of_a_mixture_is_what_is_left_of_it(tmp_path):
    speech, noise = speech_like(2.0), 0.3 * noise_like(2.0)
    mixture = write(tmp_path / "m.wav", speech + noise)
    fields = {"noise": None, "mixture": mixture, "start": 800, "snr_db": None}
    made = render_additive(plan(tmp_path, **fields), RATE, 0)
    assert np.allclose(made[0], speech[800:16800], atol=1e-7)
    assert np.allclose(made[1], noise[800:16800], atol=1e-6)


def test_a_segment_of_silence_gives_way_to_one_with_speech(tmp_path):
    signal = np.concatenate([np.zeros(RATE), speech_like(2.0)])
    write(tmp_path / "pause.wav", signal)
    speech, noise = render_additive(plan(tmp_path, speech=tmp_path / "pause.wav"), RATE, 0)
    assert np.sqrt(np.mean(speech**2)) > 1e-3
    assert energy_db(speech, noise) == pytest.approx(3.0, abs=1e-6)
