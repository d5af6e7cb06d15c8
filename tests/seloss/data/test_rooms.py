"""Simulated rooms: geometry, places and acoustics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from seloss.data.mixing.rooms import (
    APART_DEG,
    FRONT_DEG,
    GEOMETRIES,
    MARGIN_M,
    ROOM_M,
    draw_scene,
    measured_rt60,
    simulate,
)

SPEED_OF_SOUND = 343.0


def scene(seed=0, geometry="binaural", n_mics=4, rt60_s=(0.2, 0.3), distance_m=(0.7, 2.0)):
    draw = np.random.default_rng(seed)
    return draw_scene(draw, geometry, n_mics=n_mics, rt60_s=rt60_s, distance_m=distance_m)


def gaps(positions):
    return np.linalg.norm(positions[:, None] - positions[None], axis=-1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(GEOMETRIES)))
def test_everything_is_inside_the_room_and_in_its_ranges(seed, geometry):
    n_mics = GEOMETRIES[geometry].n_mics[1]
    found = scene(seed, geometry, n_mics)
    places = np.concatenate([found.microphones, [found.speech, found.noises[0]]])
    assert found.microphones.shape == (n_mics, 3)
    assert (places >= MARGIN_M).all()
    assert (places <= found.size - MARGIN_M).all()
    assert all(
        low <= length <= high for length, (low, high) in zip(found.size, ROOM_M, strict=True)
    )
    assert 0.2 <= found.rt60_s <= 0.3
    centre = found.microphones[0] if geometry == "adhoc" else found.microphones.mean(0)
    distances = np.linalg.norm([found.speech - centre, found.noises[0] - centre], axis=1)
    assert distances[0] == pytest.approx(found.distance_m)
    assert (distances >= 0.7 - 1e-9).all()
    assert (distances <= 2.0 + 1e-9).all()


def test_hearing_aids_have_two_microphones_at_each_ear():
    for seed in range(5):
        distances = gaps(scene(seed).microphones)
        # front left, front right, rear left, rear right
        assert distances[0, 2] == pytest.approx(0.010)
        assert distances[1, 3] == pytest.approx(0.010)
        assert distances[0, 1] == pytest.approx(0.16)
        assert distances[2, 3] == pytest.approx(0.16)


def azimuth(vector):
    return np.arctan2(vector[1], vector[0])


@pytest.mark.parametrize("seed", range(20))
def test_the_wearer_looks_roughly_at_the_talker_and_noise_is_elsewhere(seed):
    found = scene(seed)
    front_left, front_right, rear_left, _ = found.microphones
    ahead = azimuth(front_left - rear_left)
    centre = found.microphones.mean(0)
    # left is left: seen from above, a quarter turn from ahead
    turn = np.angle(np.exp(1j * (azimuth(front_left - front_right) - ahead)))
    assert turn == pytest.approx(np.pi / 2)
    talker, noise = (azimuth(place - centre) for place in (found.speech, found.noises[0]))
    assert abs(np.angle(np.exp(1j * (talker - ahead)))) <= np.deg2rad(FRONT_DEG) + 1e-9
    assert abs(np.angle(np.exp(1j * (talker - noise)))) >= np.deg2rad(APART_DEG) - 1e-9


def test_a_circle_is_round():
    mics = scene(0, "circular", 6).microphones
    centre = mics.mean(0)
    assert np.linalg.norm(mics - centre, axis=1) == pytest.approx(0.05)
    assert np.linalg.norm(np.diff(mics, axis=0), axis=1) == pytest.approx(0.05)
    assert np.ptp(mics[:, 2]) == 0


def test_ad_hoc_arrays_differ_and_may_have_any_number_of_microphones():
    for n_mics in (1, 2, 12):
        assert scene(0, "adhoc", n_mics).microphones.shape == (n_mics, 3)
    one, other = (gaps(scene(seed, "adhoc", 4).microphones) for seed in (0, 1))
    assert not np.allclose(one, other)
    assert one[0, 1:].max() > 0.3


def test_a_scene_is_drawn_from_its_generator_alone():
    assert np.array_equal(scene(3).microphones, scene(3).microphones)
    assert not np.array_equal(scene(3).microphones, scene(4).microphones)


def test_reverberation_is_uniform_in_its_range():
    times = [scene(seed, rt60_s=(0.1, 0.6)).rt60_s for seed in range(150)]
    counts = np.histogram(times, bins=5, range=(0.1, 0.6))[0]
    assert counts.min() > 12  # 30 expected


def test_impossible_wishes_are_refused():
    with pytest.raises(
        ValueError, match="geometry must be one of binaural, adhoc, circular; got 'line'"
    ):
        scene(geometry="line")
    with pytest.raises(ValueError, match=r"RT60 of 0\.01 s"):
        scene(rt60_s=(0.01, 0.01))
    with pytest.raises(ValueError, match=r"sources \(9, 9\) m away"):
        scene(distance_m=(9, 9))


def test_responses_have_the_delay_and_level_of_the_distance():
    found = scene(1, "adhoc", 4, rt60_s=(0.15, 0.15))
    responses = simulate(found, 16000)
    first = np.abs(responses[0][0]).argmax()
    for source, position in enumerate((found.speech, found.noises[0])):
        for mic, response in enumerate(responses[source]):
            far = np.linalg.norm(found.microphones[mic] - position)
            near = np.linalg.norm(found.microphones[0] - found.speech)
            delay = np.abs(response[: int(first + 600)]).argmax() - first
            assert delay == pytest.approx((far - near) / SPEED_OF_SOUND * 16000, abs=1.5)


@pytest.mark.parametrize("wanted", [0.2, 0.4])
def test_the_simulated_room_is_as_reverberant_as_asked(wanted):
    measured = [
        measured_rt60(simulate(scene(seed, rt60_s=(wanted, wanted)), 16000)[0][0], 16000)
        for seed in range(4)
    ]
    # Sabine's formula and an image source model differ by about a fifth in rooms like these
    assert np.mean(measured) == pytest.approx(wanted, rel=0.25)


def test_reverberation_is_measured_on_noise_that_decays():
    rate, wanted = 16000, 0.45
    time = np.arange(rate) / rate
    decay = np.random.default_rng(0).standard_normal(rate) * 10 ** (-3 * time / wanted)
    high_passed = sosfilt(butter(1, 20, "highpass", fs=rate, output="sos"), decay)
    assert measured_rt60(high_passed, rate) == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize("front_deg", [None, 15.0, 0.0])
def test_the_talker_is_as_far_from_straight_ahead_as_allowed(front_deg):
    widest = 0.0
    for seed in range(30):
        options = {"n_mics": 4, "rt60_s": (0.2, 0.3), "distance_m": (0.7, 2.0)}
        draw = np.random.default_rng(seed)
        found = draw_scene(draw, "binaural", **options, front_deg=front_deg)
        ahead = (found.microphones[:2].mean(0) - found.microphones[2:].mean(0))[:2]
        talker = (found.speech - found.microphones.mean(0))[:2]
        cosine = ahead @ talker / np.linalg.norm(ahead) / np.linalg.norm(talker)
        widest = max(widest, float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))))
    allowed = FRONT_DEG if front_deg is None else front_deg
    assert allowed * 0.8 <= widest <= allowed + 1e-3
