"""SI-SNR, SDR, squared errors, weighted SDR, LMS and PMSQE against truth from outside."""

import json
import math
from pathlib import Path

import fast_bss_eval
import numpy as np
import pytest
import scipy.signal
import soundfile as sf
import torch
from asteroid_filterbanks import STFTFB, Encoder

from asteroid.losses import (
    LogMelLoss,
    MultiScaleSTFTLoss,
    PMSQELoss,
    SDRLoss,
    SingleSrcPMSQE,
    SISNRLoss,
    SpectrumMSELoss,
    SumLoss,
    WaveformMSELoss,
    WeightedSDRLoss,
)
from asteroid.losses.log_mel import mel_bank
from asteroid.losses.loudness import LoudnessModel
from tests.auditus.signals import _fir
from tests.data import noise_like, speech_like
from tests.recordings import sentence

ROOT = Path(__file__).parents[3]
REFERENCE = json.loads(
    (ROOT / "tests" / "reference" / "dccrn_losses.json").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def pair():
    """Estimate and target (4, 48000) of the reference file."""
    draw = torch.Generator().manual_seed(1234)
    white = [torch.randn(4, 48000, generator=draw) for _ in range(3)]
    time = torch.arange(48000, dtype=torch.float64) / 16000
    envelope = (0.55 + 0.45 * torch.sin(2 * math.pi * 3 * time)).float()
    speech = 0.05 * envelope * _fir(white[0], (1.0, 0.9, 0.7, 0.4, 0.2))
    noise = 0.04 * _fir(white[1], (1.0, -0.7))
    return 0.8 * speech + 0.25 * noise + 0.01 * white[2], speech


def _items(values, expected, tolerance):
    torch.testing.assert_close(values, torch.tensor(expected), atol=tolerance, rtol=0)


def test_base_losses_give_the_reference_values(pair):
    assert WaveformMSELoss()(*pair).item() == pytest.approx(REFERENCE["as_coded"]["MSE"], rel=1e-5)
    _items(-SDRLoss(reduction="none")(*pair), REFERENCE["snr_db_per_item"], 1e-4)
    published = SDRLoss(variant="published")(*pair)
    assert published.item() == pytest.approx(REFERENCE["as_coded"]["SDR"], abs=1e-4)
    # The reference has the means left in; they matter by less than 0.001 dB here.
    _items(-SISNRLoss(reduction="none")(*pair), REFERENCE["si_snr_per_item"], 1e-3)
    as_coded = SISNRLoss(variant="published", reduction="none")(*pair)
    _items(-as_coded, REFERENCE["si_snr_per_item"], 1e-5)


def test_lms_gives_the_reference_values(pair):
    _items(LogMelLoss(reduction="none")(*pair), REFERENCE["lms_right_per_item"], 1e-5)
    published = LogMelLoss(variant="published")(*pair)
    assert published.item() == pytest.approx(REFERENCE["lms_as_coded"], abs=1e-5)


def test_mel_banks_are_those_of_the_reference():
    for count, bank in REFERENCE["mel_banks"].items():
        found = mel_bank(int(count), 512, 16000)
        assert found.argmax(-1).tolist() == bank["peak_bin"]
        assert found.sum(-1).tolist() == pytest.approx(bank["row_sum"], abs=1e-4)


def test_pmsqe_gives_the_reference_values(pair):
    # 47872 samples are the 186 whole frames that the reference has; it halves the power at 0 Hz
    # and adds 1e-8 to powers of its own scale, which this tolerance allows for.
    values = PMSQELoss(reduction="none")(*(signal[:, :47872] for signal in pair))
    _items(values, REFERENCE["pmsqe_power_per_item"], 1e-3)


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        ([("mse", 1000, {}), ("lms", 1, {"variant": "published"})], "MSE+LMS"),
        ([("si_snr", 1, {"variant": "published"}), ("mse", 100, {})], "MSE+SI-SNR"),
        (
            [("sdr", 1, {"variant": "published"}), ("lms", 2, {"variant": "published"})],
            "SDR+LMS",
        ),
        (
            [("si_snr", 1, {"variant": "published"}), ("lms", 2, {"variant": "published"})],
            "SI-SNR+LMS",
        ),
    ],
)
def test_sums_of_published_variants_give_the_published_sums(pair, parts, key):
    whole = sum(weight for _, weight, _ in parts)
    loss = SumLoss([{"name": n, "weight": w / whole, **options} for n, w, options in parts])
    assert loss(*pair).item() == pytest.approx(REFERENCE["as_coded"][key], abs=2e-5)


def test_si_snr_and_sdr_agree_with_an_independent_library(pair):
    estimate, target = (x.double().numpy() for x in pair)
    found = -SISNRLoss(reduction="none")(*(torch.from_numpy(x) for x in (estimate, target)))
    for row in range(4):
        expected = fast_bss_eval.si_sdr(
            target[row : row + 1], estimate[row : row + 1], zero_mean=True
        )
        assert found[row].item() == pytest.approx(float(expected[0]), abs=1e-6)


def test_an_offset_costs_nothing_but_as_published(pair):
    shifted = pair[0] + 0.02, pair[1]
    plain, moved = SISNRLoss()(*pair), SISNRLoss()(*shifted)
    assert moved.item() == pytest.approx(plain.item(), abs=1e-3)
    published = SISNRLoss(variant="published")(*shifted)
    assert published.item() == pytest.approx(-3.97, abs=0.01)


@pytest.mark.parametrize("gain", [0.5, 0.9, 2.0])
def test_closed_forms_of_a_wrong_level(gain):
    target = torch.from_numpy(speech_like(1.0)).double()[None]
    error_db = 20 * math.log10(abs(1 - gain))
    assert SDRLoss()(gain * target, target).item() == pytest.approx(error_db, abs=1e-5)
    expected = (1 - gain) ** 2 * target.square().mean().item()
    assert WaveformMSELoss()(gain * target, target).item() == pytest.approx(expected)
    loud = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)).double()
    for loss in (LogMelLoss(), LogMelLoss((16,))):  # white noise is above the floor everywhere
        value = loss.double()(gain * loud, loud).item()
        assert value == pytest.approx(abs(math.log(gain)), rel=2e-2)


def test_spectral_error_of_a_constant_is_the_window_s_power():
    target, estimate = torch.zeros(2, 1, 4096).double()
    estimate[:, 2000] = 0.5  # an impulse: |E|^2 = (0.5 w)^2 in all bins of the frames it is in
    found = SpectrumMSELoss(256, 64)(estimate, target).item()
    window = np.hanning(257)[:-1]
    starts = np.arange(0, 4096 - 256 + 1, 64)
    inside = [2000 - start for start in starts if 0 <= 2000 - start < 256]
    expected = sum((0.5 * window[i]) ** 2 for i in inside) / len(starts)
    assert found == pytest.approx(expected, rel=1e-6)


def test_multi_scale_is_zero_for_the_target_and_grows_with_the_error():
    target = torch.from_numpy(speech_like(0.5))[None]
    loss = MultiScaleSTFTLoss()
    assert loss(target, target).item() == 0
    tone = 0.5 * torch.cos(2 * math.pi * 1000 * torch.arange(16000) / 16000)[None]
    linear = MultiScaleSTFTLoss((512,), alpha=0)(tone, torch.zeros_like(tone))
    # A sine of amplitude 0.5 in a Hann window: bins 0.5, 0.25, 0.25 of 257, all others 0.
    assert linear.item() == pytest.approx(1.0 / 257, rel=0.02)


# Weighted SDR --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tones():
    n = torch.arange(4000, dtype=torch.float64)
    speech = 0.3 * torch.sin(2 * math.pi * 440 * n / 16000)
    square = torch.sign(torch.sin(2 * math.pi * 77 * n / 16000 + 0.1))
    noise = 0.1 * torch.sin(2 * math.pi * 1234 * n / 16000 + 0.3) + 0.05 * square
    return speech, noise


ESTIMATES = {
    "0.9*y + 0.2*z": lambda y, z: 0.9 * y + 0.2 * z,
    "y + 0.5*z": lambda y, z: y + 0.5 * z,
    "0.5*y": lambda y, z: 0.5 * y,
    "-y": lambda y, z: -y,
    "shift 1 sample of y": lambda y, z: torch.roll(y, 1),
}


@pytest.mark.parametrize("case", ESTIMATES)
def test_weighted_sdr_gives_the_reference_values(tones, case):
    expected = REFERENCE["weighted_sdr"]["cases"][case]
    targets = torch.stack(tones)[None]
    estimate = ESTIMATES[case](*tones)[None]
    assert WeightedSDRLoss()(estimate, targets).item() == pytest.approx(expected["wsdr"], abs=1e-7)
    published = WeightedSDRLoss(variant="published")(estimate, targets).item()
    assert published == pytest.approx(expected["seed_formula_with_eps"], abs=1e-9)


def test_weighted_sdr_of_orthogonal_signals_has_a_closed_form():
    # y and z of equal length and orthogonal, y^ = a y + b z: both cosines by hand.
    y = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    z = 2 * torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    a, b = 0.8, 0.1
    targets = torch.stack([y, z])[None]
    found = WeightedSDRLoss()((a * y + b * z)[None], targets).item()
    energy_y, energy_z = 4.0, 16.0
    speech = a * energy_y / math.sqrt(energy_y * (a**2 * energy_y + b**2 * energy_z))
    noise = (
        (1 - b)
        * energy_z
        / math.sqrt(energy_z * ((1 - a) ** 2 * energy_y + (1 - b) ** 2 * energy_z))
    )
    alpha = energy_y / (energy_y + energy_z)
    assert found == pytest.approx(-alpha * speech - (1 - alpha) * noise, abs=1e-6)


@pytest.mark.parametrize("silent", ["noise", "speech"])
def test_weighted_sdr_looks_at_what_there_is(tones, silent):
    speech, noise = tones
    targets = torch.stack([0 * speech if silent == "speech" else speech, noise])[None].clone()
    if silent == "noise":
        targets[:, 1] = 0
    perfect = WeightedSDRLoss()(targets[:, 0], targets).item()
    assert perfect == pytest.approx(-1, abs=1e-6)
    mixture = WeightedSDRLoss()(targets.sum(1), targets).item()
    assert mixture == pytest.approx(-1 if silent == "noise" else 0, abs=1e-6)


# LMS ------------------------------------------------------------------------------------------


def _lms_by_scipy(estimate: np.ndarray, target: np.ndarray) -> float:
    """The definition, by scipy's transform and numpy's interpolation."""

    def magnitude(signal: np.ndarray) -> np.ndarray:
        padded = np.pad(signal, 300)
        starts = range(0, len(padded) - 399, 100)
        window = scipy.signal.get_window("hann", 400)
        frames = np.stack([padded[s : s + 400] * window for s in starts])
        return np.sqrt(np.abs(scipy.fft.rfft(frames, 512)) ** 2 + 1e-7) / 512

    def bank(count: int) -> np.ndarray:
        mels = np.linspace(0, 1127.01048 * np.log(1 + 8000 / 700), count + 2)
        edges = np.floor(257 * 700 * np.expm1(mels / 1127.01048) / 8000 + 1e-9)
        rows = []
        for low, peak, high in zip(edges, edges[1:], edges[2:], strict=False):
            row = np.interp(np.arange(257), [low, peak, high], [0, 1, 0])
            row[int(peak)] = 1.0
            rows.append(row)
        return np.stack(rows)

    found = []
    for count in (16, 32, 64):
        logs = [np.log(magnitude(x) @ bank(count).T + 1e-7) for x in (estimate, target)]
        found.append(np.sqrt(((logs[0] - logs[1]) ** 2).mean(-1) + 1e-7).mean())
    return float(np.mean(found))


def test_lms_agrees_with_its_definition_in_scipy():
    target = speech_like(0.7).astype(np.float64)
    estimate = 0.7 * target + 0.1 * noise_like(0.7)
    found = LogMelLoss().double()(torch.from_numpy(estimate)[None], torch.from_numpy(target)[None])
    assert found.item() == pytest.approx(_lms_by_scipy(estimate, target), rel=1e-5)


def test_lms_goes_over_frequency_so_the_order_of_frames_does_not_matter():
    # Blocks so far apart that no frame sees two of them.
    draw = torch.Generator().manual_seed(1)
    gap = torch.zeros(2, 800)
    blocks = [torch.cat([0.1 * torch.randn(2, 800, generator=draw), gap], -1) for _ in range(5)]
    in_order = torch.cat(blocks, -1)
    shuffled = torch.cat([blocks[i] for i in (3, 0, 4, 1, 2)], -1)
    values = [LogMelLoss()(x[:1], x[1:]).item() for x in (in_order, shuffled)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    as_published = [
        LogMelLoss(variant="published")(x[:1], x[1:]).item() for x in (in_order, shuffled)
    ]
    assert abs(as_published[0] - as_published[1]) > 1e-3


# PMSQE ----------------------------------------------------------------------------------------


def _recordings(rate: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of estimate and target: real speech in noise."""
    pairs = []
    for index in range(4):
        speech = sf.read(sentence(3 * index))[0]
        noise = noise_like(len(speech) / 16000, seed=index, kind=["pink", "babble"][index % 2])
        noise = noise[: len(speech)] * np.std(speech) / np.std(noise)
        estimate = speech + 10 ** (-(5 + 5 * index) / 20) * noise
        if index == 3:
            estimate = np.clip(estimate, -0.3 * np.abs(speech).max(), 0.3 * np.abs(speech).max())
        step = 16000 // rate
        pairs.append((estimate[::step], speech[::step]))
    return pairs


@pytest.mark.parametrize("rate", [16000, 8000])
def test_pmsqe_is_asteroids_on_the_same_power_spectra(rate):
    n_fft = rate * 32 // 1000
    encoder = Encoder(STFTFB(n_filters=n_fft, kernel_size=n_fft, stride=n_fft // 2)).double()
    asteroid = SingleSrcPMSQE(sample_rate=rate).double()
    ours = LoudnessModel(rate).double()
    for estimate, target in _recordings(rate):
        powers = []
        for signal in (estimate, target):
            real, imaginary = encoder(torch.from_numpy(signal)[None, None]).chunk(2, 1)
            powers.append((real**2 + imaginary**2).transpose(1, 2))
        frames = torch.tensor([powers[0].shape[1]])
        leaves = [power.clone().requires_grad_() for power in (powers[0], powers[0])]
        values = [asteroid(leaves[0], powers[1]), ours(leaves[1], powers[1], frames)]
        torch.testing.assert_close(values[1], values[0], rtol=1e-6, atol=1e-9)
        gradients = [torch.autograd.grad(v, x)[0] for v, x in zip(values, leaves, strict=True)]
        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("rate", [16000, 8000])
def test_pmsqe_of_waveforms_is_asteroids(rate):
    n_fft = rate * 32 // 1000
    window = torch.hann_window(n_fft).sqrt()
    asteroid, ours = SingleSrcPMSQE(sample_rate=rate), PMSQELoss(sample_rate=rate)
    for estimate, target in _recordings(rate):
        whole = (len(target) - n_fft) // (n_fft // 2) * (n_fft // 2) + n_fft  # frames to the end
        signals = [torch.from_numpy(x[:whole]).float()[None] for x in (estimate, target)]
        powers = [
            torch.stft(s, n_fft, n_fft // 2, window=window, center=False, return_complex=True)
            for s in signals
        ]
        expected = asteroid(*(p.abs().square().transpose(1, 2) for p in powers))
        assert ours(*signals).item() == pytest.approx(expected.item(), rel=1e-4)


def test_pmsqe_judges_whole_utterances_in_their_order(pair):
    seconds = pair[0].reshape(4, 3, 16000)
    backwards = seconds.flip(1).reshape(4, -1)
    plain, permuted = (PMSQELoss()(x, pair[1]).item() for x in (pair[0], backwards))
    assert permuted > 1.5 * plain


def test_pmsqe_rises_with_noise_and_knows_silence():
    target = torch.from_numpy(speech_like(2.0))[None]
    noise = torch.from_numpy(noise_like(2.0))[None]
    values = [
        PMSQELoss()(target + share * noise, target).item() for share in (0, 0.03, 0.1, 0.3, 1)
    ]
    assert values == sorted(values)
    assert values[0] < 1e-3
    assert PMSQELoss()(0 * target, target).item() > values[3]


def test_a_silent_target_of_pmsqe_pulls_at_nothing(pair):
    target = pair[1].clone()
    target[0] = 0
    estimate = pair[0].clone().requires_grad_()
    PMSQELoss()(estimate, target).backward()
    assert not estimate.grad[0].any()
    assert estimate.grad[1:].abs().amax(-1).all()


def test_another_rate_is_refused():
    with pytest.raises(ValueError, match="sample_rate of 8000 or 16000 Hz; got 44100"):
        PMSQELoss(sample_rate=44100)


@pytest.mark.parametrize(
    ("loss", "options", "words"),
    [
        (LogMelLoss, {"n_mels": ()}, "n_mels must be positive numbers"),
        (LogMelLoss, {"win_length": 600}, "win_length must be from 1 to n_fft = 512; got 600"),
        (LogMelLoss, {"sample_rate": 0}, "sample_rate must be positive"),
        (SpectrumMSELoss, {"n_fft": 255}, "n_fft must be even"),
        (SpectrumMSELoss, {"hop_length": 0}, "hop_length must be from 1"),
        (MultiScaleSTFTLoss, {"n_ffts": (3,)}, "n_fft must be even"),
        (MultiScaleSTFTLoss, {"alpha": -1}, "alpha not negative"),
        (SDRLoss, {"eps": 0}, "eps must be between 0 and 1"),
        (WeightedSDRLoss, {"eps": 2}, "eps must be between 0 and 1"),
        (WeightedSDRLoss, {"variant": "old"}, "variant must be one of default, published"),
    ],
)
def test_a_wrong_option_is_refused(loss, options, words):
    with pytest.raises(ValueError, match=words):
        loss(**options)
