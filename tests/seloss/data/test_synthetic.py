"""Synthetic noises: levels, spectra of each type, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from seloss.data.mixing.synthetic import TYPES, make_noise, make_odd_voice

RATE = 16000


def _flatness(signal: np.ndarray) -> float:
    """Return geometric over arithmetic mean of the power: 1 of white noise, 0 of a tone."""
    power = np.abs(np.fft.rfft(signal)) ** 2 + 1e-20
    return float(np.exp(np.mean(np.log(power))) / np.mean(power))


@pytest.mark.parametrize("kind", TYPES)
def test_noises_fit_a_file_and_follow_from_their_seed(kind):
    noises = [make_noise(kind, RATE, 3.0, 0, number) for number in range(8)]
    for noise in noises:
        assert noise.shape == (48000,)
        assert np.abs(noise).max() <= 0.99
        assert np.sqrt(np.mean(noise**2)) < 0.0501
    assert np.median([np.sqrt(np.mean(noise**2)) for noise in noises]) > 0.02
    np.testing.assert_array_equal(noises[1], make_noise(kind, RATE, 3.0, 0, 1))
    assert not np.array_equal(noises[1], make_noise(kind, RATE, 3.0, 1, 1))


def test_events_of_each_type_have_its_spectrum():
    def events(kind):
        return [TYPES[kind](RATE, np.random.default_rng(seed)) for seed in range(40)]

    flatness = {kind: np.median([_flatness(event) for event in events(kind)]) for kind in TYPES}
    assert flatness["sweep"] < flatness["burst"]
    # a cry's strongest lag of 1/1200 to 1/60 s is its period; a burst has none
    periodic = {kind: np.median([_periodicity(one) for one in events(kind)]) for kind in TYPES}
    assert periodic["cry"] > periodic["burst"]
    # a click is over after some tens of milliseconds: 60 dB below its start in the last 5 ms
    for click in events("click"):
        assert np.abs(click[-80:]).max() < 0.1 * np.abs(click).max()


def _periodicity(signal: np.ndarray) -> float:
    middle = signal[: RATE // 10] - signal[: RATE // 10].mean()
    correlation = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    return float(correlation[RATE // 1200 : RATE // 60].max() / correlation[0])


def test_an_odd_voice_is_backwards_and_of_another_pitch():
    tone = np.sin(2 * np.pi * 400 * np.arange(2 * RATE) / RATE) * np.linspace(0, 1, 2 * RATE)
    for number in range(6):
        odd = make_odd_voice(tone, RATE, 0, number)
        peak_hz = np.argmax(np.abs(np.fft.rfft(odd))) * RATE / len(odd)
        speed = 2 * RATE / len(odd)
        assert peak_hz == pytest.approx(400 * speed, rel=0.01)
        assert 0.5 <= speed <= 0.65 or 1.6 <= speed <= 2.5
        # the tone rises; backwards it falls
        half = len(odd) // 2
        assert np.square(odd[:half]).sum() > 2 * np.square(odd[half:]).sum()


def test_wrong_types_and_lengths_are_refused():
    with pytest.raises(ValueError, match="one of cry, burst, click, sweep; got 'bark'"):
        make_noise("bark", RATE, 1.0, 0, 0)
    with pytest.raises(ValueError, match="seconds must be at least one sample; got 0"):
        make_noise("cry", RATE, 0, 0, 0)
