"""SI ratios: orthogonal signals of known ratios, fast_bss_eval, the recorded original."""

from __future__ import annotations

import fast_bss_eval
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asteroid.losses import build_loss
from auditus import METRICS, get_metric, si_sar, si_sar_leroux, si_sdr, si_sir, snr
from auditus.ratios import energy_ratio_db
from tests.auditus.signals import RATE, REFERENCE, orthonormal, reference_inputs, speech_case

EXACT_DB = 1e-6  # float64 arithmetic
RECORDED_DB = 6e-5  # the original rounds to 4 decimals
SHARES = st.floats(0.01, 10.0)


def db(ratio: float) -> float:
    return float(10 * torch.log10(torch.tensor(ratio, dtype=torch.float64)))


@given(a=SHARES, b=SHARES, c=SHARES)
@settings(max_examples=25, deadline=None)
def test_orthogonal_parts_have_the_ratios_of_their_energies(a: float, b: float, c: float) -> None:
    speech, noise, other = orthonormal(1, 3, 500)
    estimate = a * speech + b * noise + c * other
    expected = {
        si_sdr: a**2 / (b**2 + c**2),
        si_sir: a**2 / b**2,
        si_sar: (a**2 + b**2) / c**2,
        si_sar_leroux: a**2 / c**2,
    }
    for metric, ratio in expected.items():
        value = metric(estimate, speech, noise, sample_rate=RATE).item()
        assert value == pytest.approx(db(ratio), abs=EXACT_DB)


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.287, 0.8])
def test_noise_that_resembles_the_speech_is_told_from_artefacts(rho: float) -> None:
    """The original's separate projections gave 6.0 dB SIR and 12.5 dB SAR for 13.0 and infinite."""
    speech, other, rest = orthonormal(1, 3)
    noise = rho * speech + (1 - rho**2) ** 0.5 * other
    gain = 0.25
    estimate = speech + gain * noise
    value = si_sir(estimate, speech, noise, sample_rate=RATE).item()
    expected = (1 + gain * rho) ** 2 / (gain**2 * (1 - rho**2))
    assert value == pytest.approx(db(expected), abs=EXACT_DB)
    assert si_sar(estimate, speech, noise, sample_rate=RATE).item() > 140
    assert si_sir(speech, speech, noise, sample_rate=RATE).item() > 140
    wrong = si_sir(estimate, speech, noise, sample_rate=RATE, variant="published").item()
    assert abs(wrong - value) > 0.5
    # with an artefact, the ratios add up as energies do
    sdr, sir, sar = (
        metric(estimate + 0.1 * rest, speech, noise, sample_rate=RATE)
        for metric in (si_sdr, si_sir, si_sar_leroux)
    )
    assert torch.allclose(10 ** (-sdr / 10), 10 ** (-sir / 10) + 10 ** (-sar / 10), rtol=1e-9)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("n_samples", [50, 1000, 16001])
@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize("common", [0.0, 0.5])
def test_agrees_with_fast_bss_eval(rows: int, n_samples: int, offset: float, common: float) -> None:
    draw = torch.Generator().manual_seed(n_samples + rows)
    speech, noise, other = torch.randn(3, rows, n_samples, generator=draw, dtype=torch.float64)
    noise = noise + common * speech
    estimate = 0.9 * speech + 0.3 * noise + 0.2 * other + offset
    references, estimates = torch.stack([speech, noise], 1), torch.stack([estimate, other], 1)
    sdr, sir, sar = fast_bss_eval.si_bss_eval_sources(
        references, estimates, zero_mean=True, compute_permutation=False
    )
    for metric, expected in ((si_sdr, sdr), (si_sir, sir), (si_sar, sar)):
        value = metric(estimate, speech, noise, sample_rate=RATE)
        assert torch.allclose(value, expected[:, 0], atol=1e-4, rtol=0), metric.name


@pytest.mark.parametrize("condition", ["mid", "low", "high"])
def test_reference_inputs_are_those_recorded(condition: str) -> None:
    check = REFERENCE["inputs_check"][condition]
    for name, signal in zip(("est", "speech", "noise"), reference_inputs(condition), strict=True):
        assert signal.double().square().sum().item() == pytest.approx(
            check[name]["sumsq"], rel=1e-5
        )
        assert signal[0, :5].tolist() == pytest.approx(check[name]["first5_item0"], rel=1e-4)


@pytest.mark.parametrize("condition", ["mid", "low", "high"])
def test_agrees_with_the_recorded_values(condition: str) -> None:
    estimate, speech, noise = reference_inputs(condition)
    for name, values in REFERENCE["joint"][condition].items():
        found = get_metric(name)(estimate, speech, noise, sample_rate=RATE)
        assert found.tolist() == pytest.approx(values, abs=1e-6), name
    for name, values in REFERENCE["published"][condition].items():
        metric = get_metric(name)
        options = {"variant": "published"} if metric.published else {}
        found = metric(estimate, speech, noise, sample_rate=RATE, **options)
        assert found.tolist() == pytest.approx(values, abs=RECORDED_DB), name


@given(
    gains=st.tuples(*[st.floats(-2, 2)] * 3),
    common=st.floats(-0.95, 0.95),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_sdr_is_never_above_sir_or_sar(
    gains: tuple[float, float, float], common: float, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    speech, noise, other = torch.randn(3, 1, 400, generator=draw, dtype=torch.float64)
    noise = noise + common * speech
    estimate = gains[0] * speech + gains[1] * noise + gains[2] * other
    values = {
        metric: metric(estimate, speech, noise, sample_rate=RATE).item()
        for metric in (si_sdr, si_sir, si_sar, si_sar_leroux)
    }
    for metric in (si_sir, si_sar, si_sar_leroux):
        if values[metric] == values[metric]:
            assert values[si_sdr] <= values[metric] + EXACT_DB


def test_plain_loss_is_the_negated_metric() -> None:
    estimate, speech, noise = (signal.double() for signal in speech_case())
    loss = build_loss("xp1", reduction="none")
    value = loss(torch.stack([estimate, noise], 1), torch.stack([speech, noise], 1))
    assert torch.allclose(value, -si_sdr(estimate, speech, sample_rate=RATE), atol=1e-4)


def test_snr_is_that_of_the_difference() -> None:
    speech, other = orthonormal(2, 2)
    values = snr(speech + 0.1 * other, speech, sample_rate=RATE)
    assert values.tolist() == pytest.approx([20.0, 20.0], abs=EXACT_DB)
    assert snr(torch.zeros_like(speech), speech, sample_rate=RATE).tolist() == [0.0, 0.0]


def test_no_ratio_where_noise_and_speech_are_one() -> None:
    estimate, speech, _ = speech_case()
    for name in ("si_sir", "fw_sir"):
        scores = METRICS.get(name).measure(estimate, speech, -0.5 * speech, sample_rate=RATE)
        assert scores.values.isnan().all()
        assert set(scores.reasons) == {"the noise is a multiple of the target"}


def test_ratio_is_bounded_and_nothing_over_nothing_is_undefined() -> None:
    energy = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    other = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    values = energy_ratio_db(energy, other)
    assert values[:3].tolist() == pytest.approx([0.0, 150.0, -150.0])
    assert values[3].isnan()
    assert torch.equal(energy_ratio_db(1e-20 * energy, 1e-20 * other)[:3], values[:3])


def test_unknown_variant_is_refused() -> None:
    estimate, speech, noise = speech_case()
    with pytest.raises(ValueError, match="default, published; got 'original'"):
        si_sir(estimate, speech, noise, sample_rate=RATE, variant="original")
