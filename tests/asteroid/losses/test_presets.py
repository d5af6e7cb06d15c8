"""Every preset of configs/losses.yml and every option of every loss."""

from __future__ import annotations

import inspect
import warnings

import pytest
import torch
import yaml

from asteroid.losses import LOSSES, build_loss, build_training_loss
from seloss.train.options.loss import PRESETS
from seloss.train.options.recipe import LossConfig
from tests.asteroid.losses.signals import HOP_LENGTH, N_FFT, make_signals
from tests.asteroid.losses.test_training import train_some_steps

SHORT = {"n_fft": N_FFT, "hop_length": HOP_LENGTH}
BANDS = {"name": "neg_sisdr", "weights_type": "speech_norm", **SHORT}
#: Each option of each loss away from its default (scales and weightings: test_every_loss.py).
OPTIONS = [
    {**BANDS, "window": "rectangular"},
    {**BANDS, "gamma": 1.0},
    {**BANDS, "n_bins": 40},
    {**BANDS, "soft_clamp_db": 20.0},
    {**BANDS, "eps": 1e-4},
    {**BANDS, "weights_type": "presence_flux", "weighting_options": {"beta": 3.0}},
    {"name": "xp1", "soft_clamp_db": 30.0},
    {"name": "xp1", "eps": 1e-4},
    {"name": "si_snr", "soft_clamp_db": 30.0},
    {"name": "si_snr", "eps": 1e-4},
    {"name": "sdr", "eps": 1e-4},
    {"name": "weighted_sdr", "eps": 1e-4},
    {"name": "mse_spectrum", **SHORT},
    {"name": "lms", "n_mels": [8]},
    {"name": "lms", **SHORT, "win_length": N_FFT},
    {"name": "multi_scale_stft", "n_ffts": [64, 256]},
    {"name": "multi_scale_stft", "alpha": 0.0},
    {"name": "compressed_spectrum", "complex_weight": 0.0},
    {"name": "compressed_spectrum", "magnitude_weight": 0.0},
    {"name": "compressed_spectrum", "power": 0.5},
    {"name": "compressed_spectrum", "win_length": N_FFT, "hop_length": HOP_LENGTH},
]
#: What has no gradient, or none at silence, by intention; their values are in other tests.
NOT_FOR_TRAINING = {"variant", "clamp_db", "reduction", "sample_rate"}
BY_NAME = {"scale", "weights_type"}

CASES = yaml.safe_load(PRESETS.read_text(encoding="utf-8"))
CASES |= {
    " ".join(f"{key}={value}" for key, value in one.items() if key not in SHORT): [one]
    for one in OPTIONS
}
every_case = pytest.mark.parametrize("parts", CASES.values(), ids=CASES)


def build(parts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the 25 bands end at 3.8 kHz
        return build_training_loss(LossConfig(parts=tuple(parts)), 16000)


def judge(loss, est_targets, targets, lengths=None):
    """Return the values and the gradient for the estimate."""
    estimate = est_targets.clone().requires_grad_()
    values = loss(estimate, targets, lengths)
    values.sum().backward()
    return values.detach(), estimate.grad


def test_every_option_is_tried():
    tried = {(one["name"], key) for one in OPTIONS for key in one}
    for name in LOSSES.names():
        parameters = inspect.signature(LOSSES.get(name)).parameters
        for key in {*parameters} - NOT_FOR_TRAINING - BY_NAME:
            assert (name, key) in tried, f"{name}: {key}"
            default = parameters[key].default
            assert any(one.get(key, default) != default for one in OPTIONS if one["name"] == name)


@every_case
def test_gradient_is_right_in_double_precision(parts):
    est_targets, targets = make_signals(1, 1200)
    loss = build(parts).double()
    estimate = est_targets[:, :1].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), (estimate,), fast_mode=True)


def extremes():
    """Yield odd signals: silence, clipping, an offset, one sample, far too soft and too loud."""
    est_targets, targets = make_signals(dtype=torch.float32)
    nothing = torch.zeros_like(targets)
    yield "silent estimate", nothing, targets
    yield "silence", nothing, nothing
    yield "silent speech", est_targets, torch.stack([nothing[:, 0], targets[:, 1]], 1)
    yield "silent noise", est_targets, torch.stack([targets[:, 0], nothing[:, 0]], 1)
    yield "clipping", *((1e3 * x).clamp(-1, 1) for x in (est_targets, targets))
    yield "offset", torch.ones_like(targets), torch.ones_like(targets)
    yield "large offset", est_targets + 100, targets + 100
    yield "one sample", est_targets[..., :1], targets[..., :1]
    yield "one sample of an offset", *torch.ones(2, 2, 2, 1)
    for gain in (1e-10, 1e-6, 1e6, 1e10):
        yield f"both times {gain}", gain * est_targets, gain * targets
        yield f"estimate times {gain}", gain * est_targets, targets
        yield f"targets times {gain}", est_targets, gain * targets


@every_case
def test_value_and_gradient_are_finite_at_the_extremes(parts):
    loss = build(parts)
    for name, est_targets, targets in extremes():
        values, gradient = judge(loss, est_targets, targets)
        assert values.isfinite().all(), name
        assert gradient.isfinite().all(), name


@every_case
def test_batches_padding_and_inputs(parts):
    """Each utterance is judged by itself, up to its end, and nothing that came in is changed."""
    loss = build(parts)
    est_targets, targets = make_signals(3)
    lengths = torch.tensor([2000, 1111, 1500])
    for index, length in enumerate(lengths):
        est_targets[index, :, length:] = targets[index, :, length:] = 9.0
    kept = est_targets.clone(), targets.clone()
    values, gradient = judge(loss, est_targets, targets, lengths)
    assert torch.equal(est_targets, kept[0])
    assert torch.equal(targets, kept[1])
    for index, length in enumerate(lengths):
        one = (x[index : index + 1, :, :length] for x in (est_targets, targets))
        torch.testing.assert_close(loss(*one)[0], values[index])
        assert not gradient[index, :, length:].any()


@every_case
def test_autocast_computes_in_float32(parts):
    loss = build(parts)
    est_targets, targets = make_signals(dtype=torch.float32)
    rough = est_targets.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        values, gradient = judge(loss, rough, targets)
    assert values.dtype == torch.float32
    assert gradient.isfinite().all()
    torch.testing.assert_close(values, loss(rough.float(), targets))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_case
def test_a_gpu_gives_the_same(parts):
    est_targets, targets = make_signals(dtype=torch.float32)
    values, gradient = judge(build(parts), est_targets, targets)
    moved = judge(build(parts).cuda(), est_targets.cuda(), targets.cuda())
    torch.testing.assert_close(moved[0].cpu(), values, rtol=1e-3, atol=1e-3)
    assert moved[1].isfinite().all()
    assert gradient.any() == moved[1].any()


@pytest.mark.slow
@every_case
def test_a_fresh_network_learns_by_it(parts):
    loss = build(parts)
    before, after = train_some_steps(lambda *signals: loss(*signals).mean())
    assert after < before - 0.05 * abs(before)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lms", {"n_mels": 3}),
        ("multi_scale_stft", {"n_ffts": 512}),
        ("xp1", {"clamp_db": 3}),
        ("sdr", {"eps": "small"}),
        ("neg_sisdr", {"weighting_options": 3}),
    ],
)
def test_an_option_of_a_wrong_type_is_refused_by_name(name, options):
    ((key, value),) = options.items()
    with pytest.raises(ValueError, match=f"the loss '{name}' cannot be built with {key}={value!r}"):
        build_loss(name, **options)
