"""Room responses: alignment and the three targets; effects; recordings kept in memory."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from seloss.data.formats.mixture import DataError
from seloss.data.mixing.effects import clip, equalise, limit_band
from seloss.data.mixing.recordings import Recordings
from seloss.data.mixing.responses import EARLY_S, LEAD_S, read_responses, reverberate
from tests.data import speech_like

RATE = 16000
DELAY, EARLY, LATE = 500, 400, 3000  # samples: of the direct sound; behind it 25 ms and 188 ms


@pytest.fixture
def room(tmp_path):
    """Two microphones: a direct sound, a reflection within 50 ms and one behind."""
    taps = np.zeros((DELAY + LATE + 1, 2))
    taps[DELAY] = -0.5, 0.25
    taps[DELAY + EARLY] = 0.1, 0.05
    taps[DELAY + LATE] = 0.2, 0.1
    sf.write(tmp_path / "room.wav", taps, RATE, subtype="FLOAT")
    return tmp_path / "room.wav"


def shifted(signal: np.ndarray, by: int) -> np.ndarray:
    return np.concatenate([np.zeros(by), signal])[: len(signal)]


def test_each_target_is_what_its_name_says_and_in_time_with_the_dry_speech(room):
    speech = speech_like(0.6, seed=3)
    responses = read_responses(room, RATE)
    assert responses.shape[0] == 2
    early = speech - 0.2 * shifted(speech, EARLY)  # -0.5 is the direct sound, scaled to 1
    whole = early - 0.4 * shifted(speech, LATE)
    expected = {"dry": speech, "early": early, "reverberant": whole}
    for target, image in expected.items():
        reverberant, wanted = reverberate(speech, responses[0], target, RATE)
        np.testing.assert_allclose(reverberant, whole, atol=1e-6)
        np.testing.assert_allclose(wanted, image, atol=1e-6)


def test_a_response_that_begins_with_its_direct_sound_is_aligned_too(tmp_path):
    sf.write(tmp_path / "r.wav", np.array([0.5, 0.25]), RATE, subtype="FLOAT")
    response = read_responses(tmp_path / "r.wav", RATE)[0]
    lead = round(LEAD_S * RATE)
    assert response[lead : lead + 2].tolist() == [1.0, 0.5]
    assert not response[:lead].any()
    assert EARLY_S == 0.05


def test_silent_responses_and_other_files_are_refused(tmp_path):
    sf.write(tmp_path / "silent.wav", np.zeros(100), RATE)
    with pytest.raises(DataError, match="silent"):
        read_responses(tmp_path / "silent.wav", RATE)
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(DataError, match="not readable audio"):
        read_responses(tmp_path / "text.wav", RATE)
    with pytest.raises(ValueError, match="one of dry, early, reverberant; got 'wet'"):
        reverberate(np.ones(10, np.float32), np.ones(20, np.float32), "wet", RATE)


def tone(hz: float) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)


def test_a_narrower_band_keeps_what_is_below_and_removes_what_is_above():
    limited = limit_band(np.stack([tone(1000), tone(5000)]), 4000, RATE)
    np.testing.assert_allclose(limited[0], tone(1000), atol=1e-4)
    assert np.abs(limited[1]).max() < 1e-3


def test_a_colour_changes_tones_within_its_range_and_keeps_the_energy():
    draw = np.random.default_rng(0)
    ratios = []
    for _ in range(20):
        both = tone(300) + tone(3000)
        coloured = equalise(both, 6.0, RATE, draw)
        assert np.sum(coloured**2) == pytest.approx(np.sum(both**2), rel=1e-4)
        levels = [abs(np.dot(coloured, tone(hz))) for hz in (300, 3000)]
        ratios.append(20 * np.log10(levels[0] / levels[1]))
    assert 3 < max(np.abs(ratios)) <= 12.01  # one up by 6 dB, the other one down


def test_clipping_is_at_the_level_said():
    clipped = clip(tone(100), 6.0)
    assert np.abs(clipped).max() == pytest.approx(10 ** (-6 / 20), rel=1e-4)
    assert np.array_equal(clip(tone(100), 0.0), tone(100))


def test_recordings_that_fit_are_kept_and_others_are_read(tmp_path):
    signal = speech_like(1.0, seed=1)
    for name in ("a.wav", "b.wav"):
        sf.write(tmp_path / name, signal, RATE, subtype="FLOAT")
    one_of_them = 4 * len(signal) / 2**20
    kept = Recordings(RATE, memory_mb=1.5 * one_of_them)
    assert np.array_equal(kept.part(tmp_path / "a.wav", 100, 50), signal[100:150])
    assert kept.power(tmp_path / "a.wav") == pytest.approx(np.var(signal), rel=1e-5)
    (tmp_path / "a.wav").unlink()
    assert np.array_equal(kept.part(tmp_path / "a.wav", 0, 10), signal[:10])
    assert np.array_equal(kept.part(tmp_path / "b.wav", 15990, 50), signal[15990:])
    assert kept.power(tmp_path / "b.wav") is None
