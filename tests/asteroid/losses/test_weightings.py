import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asteroid.dsp.bands import Scale, build_scale
from asteroid.losses import NegSISDRLoss, XP1Loss
from asteroid.losses.weightings import WEIGHTINGS, Cells
from asteroid.losses.weightings_presence import competition, flux, presence
from tests.asteroid.losses.signals import make_signals


def _cells(speech, noise, frames=None):
    return Cells(speech, lambda: noise, build_scale("mel", n_bins=speech.shape[1]), frames)


def _random_cells(seed=0, snr_db=0.0, bands=6, frames=9):
    generator = torch.Generator().manual_seed(seed)
    speech, noise = torch.rand(2, 3, bands, frames, generator=generator).double()
    return speech, noise * 10 ** (-snr_db / 20)


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(WEIGHTINGS.names()),
    seed=st.integers(0, 10**6),
    snr_db=st.floats(-120, 120),
    level_db=st.floats(-100, 60),
    silent=st.sampled_from(["nothing", "speech", "noise", "both"]),
)
def test_weights_are_finite_and_never_negative(name, seed, snr_db, level_db, silent):
    speech, noise = (10 ** (level_db / 20) * x.float() for x in _random_cells(seed, snr_db))
    if silent in ("speech", "both"):
        speech = torch.zeros_like(speech)
    if silent in ("noise", "both"):
        noise = torch.zeros_like(noise)
    weights = WEIGHTINGS.build(name)(_cells(speech, noise))
    assert weights.isfinite().all()
    assert (weights >= 0).all()
    weights.expand_as(speech)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
@pytest.mark.parametrize("level_db", [-60, 40])
def test_weights_do_not_depend_on_level_but_for_a_common_factor(name, level_db):
    speech, noise = _random_cells()
    gain = 10 ** (level_db / 20)
    weights = WEIGHTINGS.build(name)(_cells(speech, noise))
    changed = WEIGHTINGS.build(name)(_cells(gain * speech, gain * noise))
    torch.testing.assert_close(
        changed / changed.sum((1, 2), keepdim=True), weights / weights.sum((1, 2), keepdim=True)
    )


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_frames_behind_the_end_do_not_change_the_weights_before(name):
    speech, noise = _random_cells(frames=9)
    frames = torch.ones(3, 1, 12, dtype=torch.bool)
    frames[..., 9:] = False
    longer = (torch.cat([x, torch.full_like(x[..., :3], 7.0)], -1) for x in (speech, noise))
    weights = WEIGHTINGS.build(name)(_cells(speech, noise))
    padded = WEIGHTINGS.build(name)(_cells(*longer, frames))
    torch.testing.assert_close(padded.expand(3, 6, 12)[..., :9], weights.expand(3, 6, 9))


NOISY_BANDS = [
    "log_snr_speech_norm",
    "log_snr_softmax_speech_norm",
    "softmax_inverse_snr_speech_norm",
    "softmax",
    "softmax_log",
    "sigmoid",
    "sigmoid_log",
]


@pytest.mark.parametrize("name", NOISY_BANDS)
def test_a_noisier_band_counts_more(name):
    speech, noise = _random_cells(snr_db=6.0)
    noise = noise.clone()
    noise[:, 2] *= 6
    weights = WEIGHTINGS.build(name)(_cells(speech, noise)).expand_as(speech)
    quiet = WEIGHTINGS.build(name)(_cells(speech, _random_cells(snr_db=6.0)[1])).expand_as(speech)
    share = (weights.sum(2) / weights.sum((1, 2))[:, None])[:, 2]
    before = (quiet.sum(2) / quiet.sum((1, 2)).clamp_min(1e-30)[:, None])[:, 2]
    assert (share > before).all()


@pytest.mark.parametrize("name", ["relu", "relu_log"])
def test_a_cleaner_band_counts_more(name):
    speech, noise = _random_cells(snr_db=6.0)
    noise = noise.clone()
    noise[:, 2] /= 6
    weights = WEIGHTINGS.build(name)(_cells(speech, noise))[..., 0]
    assert (weights.argmax(1) == 2).all()


def test_removing_noise_from_the_noisiest_bands_never_hurts():
    # Published, the negative weights of the clean bands made it worse by 3 dB.
    _, targets = make_signals(noise_gain=0.3)
    loss = NegSISDRLoss(
        "critical", 256, 64, 18, weights_type="log_snr_speech_norm", reduction="none"
    )
    noise = targets[:, 1]
    smooth = torch.nn.functional.avg_pool1d(noise, 5, 1, 2)
    both = targets[:, 0] + 0.5 * noise
    assert (loss(both - 0.5 * (noise - smooth), targets) < loss(both, targets)).all()


@pytest.mark.parametrize("name", ["log_snr_speech_norm", "log_snr_softmax_speech_norm", "relu_log"])
def test_weights_that_would_all_be_zero_become_uniform(name):
    est_targets, targets = make_signals(noise_gain=1e-3 if name != "relu_log" else 1e4)
    weighted = NegSISDRLoss("mel", 256, 64, 18, weights_type=name, reduction="none")
    uniform = NegSISDRLoss("mel", 256, 64, 18, weights_type="wo", reduction="none")
    torch.testing.assert_close(weighted(est_targets, targets), uniform(est_targets, targets))


def test_equal_weights_on_tiling_frames_are_the_plain_si_sdr_by_parseval():
    # Frames side by side without a window hold the energy once; a bin between 0 and the Nyquist
    # frequency stands for its mirror image too.
    both_sides = torch.full((1, 33, 1), 2.0, dtype=torch.float64)
    both_sides[:, [0, -1]] = 1
    bands = NegSISDRLoss(
        "linear", 64, 64, -1, lambda _: both_sides, window="rectangular", reduction="none"
    )
    silent_edges = torch.zeros(2, 2, 64, dtype=torch.float64)
    signals = [x - x.mean(-1, keepdim=True) for x in make_signals(n_samples=64 * 40)]
    signals = [torch.cat([silent_edges, x, silent_edges], -1) for x in signals]
    torch.testing.assert_close(
        bands(*signals), XP1Loss(reduction="none")(*signals), atol=1e-6, rtol=0
    )


def test_a_weighting_of_ones_own_takes_a_few_lines():
    name = "loud_bands"

    @WEIGHTINGS.register(name)
    def loud_bands(exponent=1.0):
        return lambda cells: cells.mean(cells.speech**2) ** exponent

    try:
        est_targets, targets = make_signals()
        options = {"weighting_options": {"exponent": 0.0}}
        flat = NegSISDRLoss("mel", 256, 64, 18, name, **options)
        uniform = NegSISDRLoss("mel", 256, 64, 18, "wo")
        torch.testing.assert_close(flat(est_targets, targets), uniform(est_targets, targets))
        steep = NegSISDRLoss("mel", 256, 64, 18, name)
        assert steep(est_targets, targets) != uniform(est_targets, targets)
    finally:
        WEIGHTINGS._parts.pop(name)


def test_a_scale_and_a_weighting_can_be_given_as_objects():
    est_targets, targets = make_signals()
    bank = torch.zeros(1, 129)
    bank[0, 10:40] = 1
    one = torch.ones(1)
    scale = Scale(bank, 1000 * one, 800 * one, one)
    loss = NegSISDRLoss(scale, 256, 64, weights_type=lambda cells: cells.speech.sqrt())
    assert loss(est_targets, targets).isfinite()


def test_presence_follows_speech_from_0_to_1():
    speech = torch.tensor([[[0.0, 1e-6, 1.0, 1.0]]])
    found = presence(_cells(speech, speech), floor_db=-20)
    assert found[0, 0, 0] == 0
    assert found[0, 0, 1] < 1e-6
    assert found[0, 0, 2] > 0.99


def test_competition_is_1_where_speech_and_noise_are_equal_and_0_where_one_rules():
    speech = torch.tensor([[[1.0, 1.0, 1.0, 1.0]]])
    noise = torch.tensor([[[1.0, 0.1, 10.0, 10**0.5]]])
    found = competition(_cells(speech, noise), range_db=20)
    torch.testing.assert_close(found, torch.tensor([[[1.0, 0.0, 0.0, 0.5]]]), atol=1e-5, rtol=0)


def test_flux_is_high_at_onsets_only():
    speech = torch.tensor([[[1.0, 1.0, 0.1, 1.0, 0.5]]])
    expected = torch.tensor([[[0.0, 0.0, 0.0, 0.9 / 1.1, 0.0]]])
    torch.testing.assert_close(flux(_cells(speech, speech)), expected)


@pytest.mark.parametrize(
    ("name", "more"),
    [("presence_competition", [1]), ("presence_flux", [3]), ("presence_competition_flux", [1, 3])],
)
def test_each_factor_raises_the_cells_it_is_named_after(name, more):
    speech = torch.tensor([[[1.0, 1.0, 0.5, 1.0, 1.0]]])
    noise = torch.tensor([[[0.01, 1.0, 0.005, 0.01, 0.01]]])
    cells = _cells(speech, noise)
    plain = WEIGHTINGS.build("speech_presence")(cells)
    ratio = (WEIGHTINGS.build(name)(cells) / plain)[0, 0]
    assert [int(i) for i in (ratio > 1.01).nonzero()] == more


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights_type": "loudness"}, "weights_type must be one of wo, speech_norm"),
        ({"variant": "new"}, "variant must be one of default, published; got 'new'"),
        ({"reduction": "sum"}, "reduction must be one of mean, none; got 'sum'"),
        ({"clamp_db": (35, -10)}, r"clamp_db must be \(lowest, highest\)"),
        ({"eps": 0.0}, "eps must be between 0 and 1"),
        ({"scale": "critical", "n_bins": 17}, "n_bins of 18, 21, 25; got 17"),
        (
            {"variant": "published", "weights_type": "perceptual-2", "n_bins": 21},
            "'perceptual-2' has a table for 18 bands; the scale has 21",
        ),
        (
            {"variant": "published", "weights_type": "perceptual", "scale": "linear"},
            "a table for 18, 21, 25 bands; the scale has 513",
        ),
        (
            {"variant": "published", "weights_type": "presence_flux"},
            'with variant="published", be one of wo',
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_wrong_option_is_refused_with_the_right_ones(options, words):
    with pytest.raises(ValueError, match=words):
        NegSISDRLoss(**options)


def test_soft_clamp_bounds_the_value_and_keeps_a_gradient():
    _, targets = make_signals()
    estimate = (targets[:, :1] + 1e-4 * targets[:, 1:]).requires_grad_()
    soft = NegSISDRLoss("mel", 256, 64, 18, soft_clamp_db=30, reduction="none")
    hard = NegSISDRLoss("mel", 256, 64, 18, clamp_db=(-10, 30), reduction="none")
    assert (soft(estimate, targets) > -30).all()
    for loss, moves in [(soft, True), (hard, False)]:
        (gradient,) = torch.autograd.grad(loss(estimate, targets).sum(), estimate)
        assert gradient.any() == moves
