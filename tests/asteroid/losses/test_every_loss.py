"""What every loss of the project keeps, whatever it is: one helper's list, each rule a test."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asteroid.losses import LOSSES, PITLossWrapper
from tests.asteroid.losses.signals import (
    ESTIMATE_LEVEL_BLIND,
    EVERY_LOSS,
    NEW_LOSSES,
    RECORDING_LEVEL_BLIND,
    label,
    make_loss,
    make_signals,
)

every_loss = pytest.mark.parametrize("loss", EVERY_LOSS, ids=label)
SOME = [*EVERY_LOSS[: -len(NEW_LOSSES) : 7], *NEW_LOSSES]
some_losses = pytest.mark.parametrize("loss", SOME, ids=label)
LEVEL_DB = 0.01  # what level may change


def test_every_registered_loss_is_in_the_list():
    assert {name for name, _ in EVERY_LOSS} == set(LOSSES.names())


@every_loss
def test_gradient_is_right_in_double_precision(loss):
    est_targets, targets = make_signals(1, 300)
    estimate = est_targets[:, :1].clone().requires_grad_()
    module = make_loss(
        loss, **({"n_fft": 128, "hop_length": 64} if loss[0] == "neg_sisdr" else {})
    ).double()
    assert torch.autograd.gradcheck(module, (estimate, targets), fast_mode=True)


@every_loss
@pytest.mark.parametrize(
    "extreme",
    ["silent target", "silent estimate", "silence", "silent noise", "clipping", "DC", "1 sample"],
)
def test_value_and_gradient_are_finite_at_the_extremes(loss, extreme):
    est_targets, targets = make_signals(dtype=torch.float32)
    if extreme in ("silent target", "silence"):
        targets[:, 0] = 0
    if extreme in ("silent estimate", "silence"):
        est_targets[:] = 0
    if extreme in ("silent noise", "silence"):
        targets[:, 1] = 0
    if extreme == "clipping":
        est_targets, targets = (1e3 * est_targets).clamp(-1, 1), (1e3 * targets).clamp(-1, 1)
    if extreme == "DC":
        est_targets, targets = torch.ones_like(est_targets), torch.ones_like(targets)
    if extreme == "1 sample":
        est_targets, targets = est_targets[..., :1], targets[..., :1]
    est_targets.requires_grad_()
    value = make_loss(loss, reduction="none")(est_targets, targets)
    value.sum().backward()
    assert value.shape == (2,)
    assert value.isfinite().all()
    assert est_targets.grad.isfinite().all()


def odd_signals(level, n_samples=1200):
    """Signals that real programs give, a row each: constant, periodic, one-sided, nearly silent."""
    t = torch.arange(n_samples, dtype=torch.float64)
    noise = torch.randn(n_samples, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = [
        *(torch.ones_like(t), torch.zeros_like(t), t / n_samples, (t == 777).double()),
        *((-1.0) ** t, torch.sin(2 * torch.pi * t / 64), (t % 64 < 32).double() - 0.5, t % 64 == 0),
        *(noise.abs(), noise * (t > 600), 1e-20 * noise, 1 + 1e-7 * noise),
    ]
    return (level * torch.stack([row.double() for row in rows])).float()


@every_loss
@pytest.mark.parametrize("level", [0.1, 1 / 3, 123.4])
def test_value_and_gradient_are_finite_for_odd_signals(loss, level):
    """A constant, less its mean, leaves round-off, whose spectra's squares are 0 and they not."""
    odd = odd_signals(level)
    est_targets, targets = make_signals(len(odd), odd.shape[1], dtype=torch.float32)
    module = make_loss(loss, reduction="none")
    for estimate, target in ((odd, targets[:, 0]), (est_targets[:, 0], odd), (odd, odd.flip(0))):
        estimate = estimate.clone().requires_grad_()
        value = module(estimate, torch.stack([target, targets[:, 1]], 1))
        value.sum().backward()
        assert value.isfinite().all()
        assert estimate.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize("gain_db", [-120, -60, 40, 120])
def test_level_of_estimate_and_of_recording_does_not_matter(loss, gain_db):
    est_targets, targets = make_signals(dtype=torch.float32)
    module, gain = make_loss(loss, reduction="none"), 10 ** (gain_db / 20)
    expected = module(est_targets, targets)
    changed = []
    if loss[0] in ESTIMATE_LEVEL_BLIND:
        changed.append((gain * est_targets, targets))
    if loss[0] in RECORDING_LEVEL_BLIND:
        changed.append((gain * est_targets, gain * targets))
    for pair in changed:
        torch.testing.assert_close(module(*pair), expected, atol=LEVEL_DB, rtol=0)
    # The others follow the level, and stay numbers.
    estimate = (gain * est_targets).requires_grad_()
    value = module(estimate, gain * targets).sum()
    value.backward()
    assert value.isfinite()
    assert estimate.grad.isfinite().all()


@every_loss
def test_a_bad_start_has_a_gradient(loss):
    _, targets = make_signals(dtype=torch.float32)
    estimate = torch.randn(targets[:, :1].shape, generator=torch.Generator().manual_seed(3))
    estimate.requires_grad_()
    value = make_loss(loss, reduction="none")(estimate, targets)
    value.sum().backward()
    if loss[0] in ("xp1", "neg_sisdr"):
        assert (value > 10).all()  # an SI-SDR below -10 dB, where the published clamp has none
    assert (estimate.grad.abs().amax((1, 2)) > 0).all()


@every_loss
def test_inputs_stay_as_they_are(loss):
    est_targets, targets = make_signals()
    est_targets, targets = est_targets + 0.1, targets + 0.2
    kept = est_targets.clone(), targets.clone()
    make_loss(loss)(est_targets, targets)
    assert torch.equal(est_targets, kept[0])
    assert torch.equal(targets, kept[1])


@some_losses
def test_leaf_expanded_inference_and_activation_outputs_are_accepted(loss):
    est_targets, targets = make_signals(dtype=torch.float32)
    leaf = est_targets.clone().requires_grad_()
    make_loss(loss)(torch.tanh(leaf), targets[:1].expand_as(targets)).backward()
    assert leaf.grad.isfinite().all()
    with torch.inference_mode():
        make_loss(loss)(est_targets.clone(), targets.clone())


@every_loss
def test_a_batch_gives_what_its_utterances_give_alone_and_the_mean_of_them(loss):
    est_targets, targets = make_signals(3)
    values = make_loss(loss, reduction="none")(est_targets, targets)
    alone = [make_loss(loss)(e[None], t[None]) for e, t in zip(est_targets, targets, strict=True)]
    torch.testing.assert_close(values, torch.stack(alone))
    torch.testing.assert_close(make_loss(loss)(est_targets, targets), values.mean())


@every_loss
@pytest.mark.parametrize("behind", [0.0, 10.0, float("nan")])
def test_padding_never_counts(loss, behind):
    est_targets, targets = make_signals(2, 2000)
    lengths = torch.tensor([2000, 1111])
    padded = est_targets.clone(), targets.clone()
    for signal in padded:
        signal[1, :, 1111:] = behind
    padded[0].requires_grad_()
    values = make_loss(loss, reduction="none")(*padded, lengths=lengths)
    values.sum().backward()
    alone = make_loss(loss)(est_targets[1:, :, :1111], targets[1:, :, :1111])
    torch.testing.assert_close(values[1], alone)
    assert not padded[0].grad[1, :, 1111:].any()
    assert padded[0].grad.isfinite().all()


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    index=st.integers(0, len(EVERY_LOSS) - 1),
    less=st.floats(0.05, 0.8),
)
def test_less_of_the_same_distortion_never_scores_worse(seed, index, less):
    module = make_loss(EVERY_LOSS[index], reduction="none")
    est_targets, targets = make_signals(seed=seed)
    distortion = est_targets[:, 0] - targets[:, 0]
    worse, better = (targets[:, 0] + share * distortion for share in (1.0, less))
    assert (module(better, targets) <= module(worse, targets) + 1e-6).all()


@every_loss
def test_only_the_first_estimated_source_is_judged(loss):
    est_targets, targets = make_signals()
    module = make_loss(loss)
    expected = module(est_targets, targets)
    other = torch.cat([est_targets[:, :1], torch.zeros_like(est_targets)], 1)
    torch.testing.assert_close(module(other, targets), expected)
    torch.testing.assert_close(module(est_targets[:, 0], targets), expected)


@every_loss
def test_precision_of_the_input_is_kept_and_half_is_computed_in_float32(loss):
    est_targets, targets = make_signals()
    module = make_loss(loss)
    expected = module(est_targets, targets)
    assert expected.dtype == torch.float64
    single = module(est_targets.float(), targets.float())
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(expected.item(), abs=1e-2)
    rough = est_targets.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        value = module(rough, targets.float())
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(module(rough.float(), targets.float()).item(), abs=1e-5)


@some_losses
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_loss_works_where_its_inputs_are(loss, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    est_targets, targets = (x.to(device) for x in make_signals(dtype=torch.float32))
    module = make_loss(loss)
    here = module(est_targets, targets)
    moved = module.to(device)(est_targets, targets, torch.tensor([2000, 1500], device=device))
    assert here.device.type == moved.device.type == device
    assert not module.state_dict()


def test_losses_that_need_no_noise_work_inside_the_permutation_wrapper():
    est_targets, targets = make_signals()
    weighted = ("neg_sisdr", {"scale": "mel", "weights_type": "speech_norm"})
    for loss in [("xp1", {}), weighted, ("lms", {}), ("pmsqe", {})]:
        module = make_loss(loss, reduction="none")
        straight = PITLossWrapper(module, pit_from="pw_pt")(est_targets, targets)
        swapped = PITLossWrapper(module, pit_from="pw_pt")(est_targets.flip(1), targets)
        torch.testing.assert_close(straight, swapped)
        whole = PITLossWrapper(module, pit_from="perm_avg")(est_targets, targets)
        torch.testing.assert_close(whole, module(est_targets, targets).mean())


NOISE_BLIND = {
    "wo",
    "speech_norm",
    "perceptual",
    "perceptual-2",
    "perceptual-3",
    "speech_presence",
    "presence_flux",
}


@every_loss
def test_a_noise_that_is_missing_is_asked_for_where_it_is_looked_at(loss):
    est_targets, targets = make_signals()
    module = make_loss(loss, reduction="none")
    if loss[1].get("weights_type", "wo") in NOISE_BLIND and loss[0] != "weighted_sdr":
        found = module(est_targets[:, 0], targets[:, 0])
        torch.testing.assert_close(found, module(est_targets, targets))
    else:
        with pytest.raises(ValueError, match="targets must hold it as source 1"):
            module(est_targets[:, 0], targets[:, 0])


@some_losses
@pytest.mark.parametrize(
    ("estimate", "target", "words"),
    [
        (
            (2, 2, 2000),
            (2, 2, 1999),
            r"agree in batch and samples.*\(2, 2, 2000\) and \(2, 2, 1999\)",
        ),
        ((3, 2, 2000), (2, 2, 2000), "agree in batch and samples"),
        ((2, 2, 0), (2, 2, 0), "none of them 0"),
        ((2000,), (2000,), r"must be \(batch, n_src, samples\) or \(batch, samples\)"),
        ((2, 1, 2, 2000), (2, 1, 2, 2000), r"must be \(batch, n_src, samples\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_what_came(loss, estimate, target, words):
    with pytest.raises(ValueError, match=words):
        make_loss(loss)(torch.zeros(estimate), torch.zeros(target))
