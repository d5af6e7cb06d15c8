"""One mixture: SNR, level, alignment, rounding."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import correlate

from seloss.data.corpus.recording import Recording
from seloss.data.formats.manifest import DataError
from seloss.data.mixing.room_mixture import PEAK, render, snr_db
from seloss.data.mixing.room_plan import MixingConfig, Plan
from tests.data import noise_like, speech_like
from tests.seloss.data.corpus import energy_db

RATE = 16000
CONFIG = MixingConfig(rt60_s=(0.15, 0.2), seconds=1.0, max_seconds=2.0)


def recording(folder, name, signal, rate=RATE, group="g"):
    """Write (samples,) or (samples, channels); return its recording."""
    sf.write(folder / name, signal, rate, subtype="FLOAT")
    channels = 1 if signal.ndim == 1 else signal.shape[1]
    return Recording(folder / name, name, group, None, len(signal) / rate, channels)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    return {
        "speech": recording(folder, "speech.wav", speech_like(1.5)),
        "second": recording(folder, "second.wav", speech_like(0.6, seed=4)),
        "noise": recording(folder, "noise.wav", noise_like(4.0)),
        "short": recording(folder, "short.wav", noise_like(0.2, kind="hum")),
        "folder": folder,
    }


def plan(sounds, split="test", **fields):
    made = Plan(split, 3, (sounds["speech"],), sounds["noise"], None, 2.0, -26.0)
    return replace(made, **fields)


@pytest.mark.parametrize("wanted", [-40.0, -5.0, 0.0, 12.3, 40.0])
@pytest.mark.parametrize("geometry", ["binaural", "adhoc"])
def test_the_snr_is_an_energy_ratio_at_the_reference_exact_to_a_hundredth_of_a_db(
    sounds, wanted, geometry
):
    images = render(plan(sounds, snr_db=wanted), replace(CONFIG, geometry=geometry))
    ratio = energy_db(images.speech[0], images.noise[0])
    assert ratio == pytest.approx(wanted, abs=0.01)
    assert images.facts["snr_db"] == pytest.approx(ratio, abs=1e-4)


def test_decibels_are_ten_logarithms_of_energy_about_the_mean():
    speech, noise = np.array([10.0, -10.0]), np.array([1.0, -1.0])
    assert snr_db(speech, noise) == pytest.approx(20.0)
    assert snr_db(speech + 3, noise - 500) == pytest.approx(20.0)  # an offset is no energy
    loud = np.array([30000, -30000], dtype=np.int16)  # whose squares 16 bits do not hold
    assert snr_db(loud, loud) == 0.0
    assert snr_db(speech, np.full(2, 0.1)) == np.inf
    assert np.isnan(snr_db(np.full(2, 0.3), np.zeros(2)))


@pytest.mark.parametrize("level", [-40.0, -26.0, -6.0])
def test_a_mixture_is_the_sum_at_its_level_and_never_clips(sounds, level):
    images = render(plan(sounds, level_db=level), replace(CONFIG, geometry="adhoc"))
    assert images.mixture.dtype == np.int16
    assert np.array_equal(images.mixture.astype(int), images.speech.astype(int) + images.noise)
    peak = (
        max(
            np.abs(part.astype(int)).max() for part in (images.mixture, images.speech, images.noise)
        )
        / 32768
    )
    assert peak <= PEAK + 1e-4
    found = 10 * np.log10(np.mean((images.mixture[0] / 32768) ** 2))
    assert found == pytest.approx(level, abs=0.01) or (
        found < level and peak == pytest.approx(PEAK, abs=1e-3)
    )


def test_a_mixture_is_the_same_each_time_and_of_each_index(sounds):
    one, again = render(plan(sounds), CONFIG), render(plan(sounds), CONFIG)
    assert np.array_equal(one.mixture, again.mixture)
    assert one.facts == again.facts
    for other in (replace(CONFIG, seed=1), CONFIG):
        index = 3 if other.seed else 4
        different = render(plan(sounds, index=index), other)
        assert not np.array_equal(one.speech, different.speech)
        assert not np.array_equal(one.noise, different.noise)


def test_the_speech_image_lies_where_the_utterance_does(sounds):
    dry = sf.read(sounds["speech"].path)[0]
    for index in range(4):
        images = render(plan(sounds, index=index), CONFIG)
        wet = images.speech[0].astype(float)
        assert images.whole
        assert len(wet) == len(dry)
        lag = correlate(wet, dry, mode="full", method="fft").argmax() - (len(dry) - 1)
        assert abs(lag) <= 2


def test_an_utterance_too_long_is_cut_and_is_no_longer_whole(sounds):
    images = render(plan(sounds), replace(CONFIG, max_seconds=1.0))
    assert images.mixture.shape == (4, RATE)
    assert not images.whole


def test_training_mixtures_have_their_length_whatever_they_are_made_of(sounds):
    for utterances in (
        (sounds["speech"],),
        (sounds["second"], sounds["second"]),
        (sounds["second"],),
    ):
        images = render(plan(sounds, split="train", utterances=utterances), CONFIG)
        assert images.mixture.shape == (4, RATE)
        assert not images.whole


@pytest.fixture(scope="module")
def no_room(sounds):
    """Two responses that change nothing."""
    taps = np.ones((1, 1))
    return tuple(recording(sounds["folder"], f"{name}.wav", taps, group="none") for name in "ab")


def test_a_short_noise_fills_the_mixture_without_gaps(sounds, no_room):
    found = plan(sounds, noise=sounds["short"], snr_db=0.0, responses=no_room)
    noise = render(found, CONFIG).noise[0].astype(float)
    period = RATE // 50  # of the hum
    blocks = np.sqrt(np.mean(noise[: len(noise) // period * period].reshape(-1, period) ** 2, 1))
    assert blocks.min() > 0.6 * blocks.max()


def test_a_repeated_noise_does_not_click(sounds, no_room):
    """A tone that ends half a period off: put end to end it would jump."""
    tone = np.cos(2 * np.pi * 132.5 * np.arange(3200) / RATE)
    short = recording(sounds["folder"], "tone.wav", tone)
    found = plan(sounds, noise=short, snr_db=-20.0, responses=no_room)
    steps = np.abs(np.diff(render(found, CONFIG).noise[0].astype(float)))
    # a jump is of the size of the tone, its own steps are at most 2 pi 132.5 / 16000 of it
    assert steps.max() < 3 * np.percentile(steps, 95)


def test_each_mixture_has_an_excerpt_of_its_own(sounds, no_room):
    config = replace(CONFIG, max_seconds=0.5)
    images = [render(plan(sounds, index=at, responses=no_room), config) for at in range(3)]
    for role in ("speech", "noise"):
        one, two, three = (getattr(image, role)[0].astype(float) for image in images)
        pairs = [(one, two), (two, three), (one, three)]
        assert all(abs(np.corrcoef(a, b)[0, 1]) < 0.95 for a, b in pairs)


def test_noise_has_been_on_before_the_file_begins(sounds):
    """Even sound that arrives a quarter of a second late is there from the first sample."""
    taps = np.zeros((4001, 1))
    taps[0], taps[4000] = 1e-3, 1.0
    late = recording(sounds["folder"], "late.wav", taps, group="hall")
    near = recording(sounds["folder"], "near.wav", np.ones((1, 1)), group="hall")
    noise = render(plan(sounds, responses=(near, late)), CONFIG).noise[0].astype(float)
    start, later = np.std(noise[:4000]), np.std(noise[4000:])
    assert 0.3 < start / later < 3.0


def test_pauses_are_not_taken_for_noise(sounds):
    quiet = np.zeros(10 * RATE)
    quiet[5 * RATE :] = noise_like(5.0)
    pausing = recording(sounds["folder"], "pausing.wav", quiet)
    for index in range(6):
        noise = render(plan(sounds, noise=pausing, index=index), CONFIG).noise[0]
        assert np.count_nonzero(noise) > 0.1 * len(noise)


@pytest.mark.parametrize("role", ["utterances", "noise"])
def test_silence_is_refused_with_its_name(sounds, role):
    silent = recording(sounds["folder"], "silent.wav", np.zeros(3 * RATE))
    with pytest.raises(DataError, match=r"silent\.wav"):
        render(plan(sounds, **{role: (silent,) if role == "utterances" else silent}), CONFIG)


def test_variable_microphones_stay_in_their_range(sounds):
    config = replace(CONFIG, geometry="adhoc", n_mics=(2, 3))
    counts = {render(plan(sounds, index=index), config).mixture.shape[0] for index in range(8)}
    assert counts == {2, 3}


def test_measured_responses_are_convolved_as_they_are(sounds):
    taps = np.zeros((400, 2))
    taps[100, 0], taps[104, 1], taps[300, 0] = 0.5, 0.25, 0.1
    talker = recording(sounds["folder"], "talker.wav", taps, group="booth")
    noise = recording(sounds["folder"], "point.wav", np.roll(taps, 3, axis=0), group="booth")
    images = render(plan(sounds, responses=(talker, noise)), CONFIG)
    dry = sf.read(sounds["speech"].path)[0]
    gain = images.speech[0][3000] / (0.5 * dry[3000] + 0.1 * dry[2800])
    for mic, wet in enumerate((0.5 * dry, 0.25 * np.roll(dry, 4))):
        echo = 0.1 * np.pad(dry, (200, 0))[: len(dry)] if mic == 0 else 0.0
        expected = gain * (wet + echo)
        assert np.abs(images.speech[mic] - expected)[4:].max() < 1e-3 * np.abs(expected).max() + 1
    assert images.facts["geometry"] == "measured"
    assert images.facts["room"] == "booth"
    assert images.facts["rt60_measured_s"] is None  # an echo has no reverberation time
    assert images.facts["rir"] == ["talker.wav", "point.wav"]


def test_other_rates_are_resampled(sounds):
    fast = recording(sounds["folder"], "fast.wav", speech_like(1.5, 48000), rate=48000)
    assert render(plan(sounds, utterances=(fast,)), CONFIG).mixture.shape[1] == round(1.5 * RATE)


def test_training_speech_is_played_faster_or_slower_and_only_that(sounds):
    times = np.arange(4 * RATE) / RATE
    tone = recording(sounds["folder"], "tone.wav", np.sin(2 * np.pi * 400 * times))
    wanted = replace(CONFIG, speed=(0.8, 1.25))
    pitches = []
    for index in range(4):
        made = plan(sounds, split="train", index=index, utterances=(tone,), snr_db=40.0)
        images = render(made, wanted)
        spectrum = np.abs(np.fft.rfft(images.speech[0] * np.hanning(images.speech.shape[1])))
        pitches.append(np.argmax(spectrum) * RATE / images.speech.shape[1])
        assert pitches[-1] == pytest.approx(400 * images.facts["speed"], abs=2)
    assert max(pitches) - min(pitches) > 20
    test = render(plan(sounds, utterances=(tone,)), wanted)
    assert np.array_equal(test.speech, render(plan(sounds, utterances=(tone,)), CONFIG).speech)
    assert "speed" not in test.facts
