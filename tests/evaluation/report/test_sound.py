"""What the page plays: equal loudness, no clipping, bytes that decode to what went in."""

from __future__ import annotations

import io

import numpy as np
import pyloudnorm
import pytest
import soundfile

from evaluation.report.sound import FORMATS, PEAK, TARGET_LUFS, encode, equal_loudness, loudness
from tests.data import SAMPLE_RATE, noise_like, speech_like


def test_signals_of_any_level_are_played_equally_loud() -> None:
    speech, noise = speech_like(2.0), noise_like(2.0)
    matched, gains = equal_loudness({"a": 1e-3 * speech, "b": 3.0 * noise}, SAMPLE_RATE)
    meter = pyloudnorm.Meter(SAMPLE_RATE)
    rated = [meter.integrated_loudness(one) for one in matched.values()]
    assert rated[0] == pytest.approx(rated[1], abs=0.01)
    assert rated[0] <= TARGET_LUFS + 0.01
    assert gains["a"] > 0 > gains["b"]


def test_one_high_peak_lowers_all_alike_instead_of_clipping() -> None:
    click = 1e-4 * noise_like(2.0).astype(np.float64)
    click[100] = 1.0
    matched, _ = equal_loudness({"click": click, "noise": noise_like(2.0)}, SAMPLE_RATE)
    assert max(np.abs(one).max() for one in matched.values()) <= PEAK + 1e-9
    rated = [loudness(one, SAMPLE_RATE) for one in matched.values()]
    assert rated[0] == pytest.approx(rated[1], abs=0.05)


def test_silence_stays_silent_and_what_is_not_finite_is_not_played() -> None:
    broken = speech_like(1.0).astype(np.float64)
    broken[5] = np.nan
    matched, gains = equal_loudness({"nothing": np.zeros(16000), "nan": broken}, SAMPLE_RATE)
    assert not matched["nothing"].any()
    assert np.isnan(gains["nothing"])
    assert np.isfinite(matched["nan"]).all()
    assert matched["nan"].any()


def test_a_signal_shorter_than_a_gating_block_has_a_loudness() -> None:
    short = speech_like(0.3)
    matched, _ = equal_loudness({"short": short, "half": 0.5 * short}, SAMPLE_RATE)
    assert np.allclose(matched["short"], matched["half"])


@pytest.mark.parametrize("name", FORMATS)
def test_encoded_sounds_decode_to_the_signal(name: str) -> None:
    signal = 0.2 * speech_like(1.0)
    decoded, rate = soundfile.read(io.BytesIO(encode(signal, SAMPLE_RATE, name)))  # type: ignore[arg-type]
    assert rate == SAMPLE_RATE
    if name == "mp3":  # lossy, and padded to whole frames
        assert len(signal) <= len(decoded) <= len(signal) + 4000
    else:
        assert np.abs(decoded - signal).max() <= 1 / 32768
