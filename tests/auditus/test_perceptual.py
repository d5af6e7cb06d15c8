"""STOI, ESTOI, PESQ: the libraries' own values where they have one, NaN and a reason where not."""

from __future__ import annotations

import warnings

import numpy as np
import pesq as pesq_library
import pystoi
import pytest
import torch

from auditus import estoi, get_metric, pesq_nb, pesq_wb, stoi
from auditus.metric import Metric
from tests.auditus.signals import RATE, speech_case
from tests.data import noise_like, speech_like

ALL = (stoi, estoi, pesq_wb, pesq_nb)


@pytest.fixture(scope="module")
def case() -> tuple[torch.Tensor, torch.Tensor]:
    estimate, speech, _ = speech_case(1.5, rows=2)
    return estimate, speech


def test_stoi_agrees_with_pystoi(case: tuple[torch.Tensor, torch.Tensor]) -> None:
    for metric, extended in ((stoi, False), (estoi, True)):
        expected = [
            pystoi.stoi(clean, other, RATE, extended=extended)
            for other, clean in zip(*(signal.double().numpy() for signal in case), strict=True)
        ]
        assert metric(*case, sample_rate=RATE).tolist() == pytest.approx(expected, abs=1e-6)


def test_pesq_agrees_with_the_library(case: tuple[torch.Tensor, torch.Tensor]) -> None:
    for metric, mode in ((pesq_wb, "wb"), (pesq_nb, "nb")):
        expected = [
            pesq_library.pesq(RATE, clean, other, mode)
            for other, clean in zip(*(signal.numpy() for signal in case), strict=True)
        ]
        assert metric(*case, sample_rate=RATE).tolist() == pytest.approx(expected, abs=1e-4)


def test_narrow_band_pesq_at_8_khz() -> None:
    speech, noise = speech_like(1.0, 8000), noise_like(1.0, 8000)
    expected = pesq_library.pesq(8000, speech, speech + 0.1 * noise, "nb")
    signals = (torch.from_numpy(signal)[None] for signal in (speech + 0.1 * noise, speech))
    assert pesq_nb(*signals, sample_rate=8000).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_too_short_has_no_score(metric: Metric) -> None:
    estimate, speech, _ = speech_case(0.2)
    scores = metric.measure(estimate, speech, sample_rate=RATE)
    assert scores.values.isnan().all()
    assert all(reason.startswith("shorter than") for reason in scores.reasons)


@pytest.mark.parametrize("metric", [stoi, estoi], ids=lambda metric: metric.name)
def test_too_little_speech_has_no_score(metric: Metric) -> None:
    """pystoi answers 1e-5 with a warning; here there is neither."""
    estimate, speech, _ = speech_case(1.0, rows=1)
    speech = speech * (torch.arange(speech.shape[-1]) < 5000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = metric.measure(estimate, speech, sample_rate=RATE)
    assert scores.values.isnan().all()
    assert "active speech" in scores.reasons[0]


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
@pytest.mark.parametrize("which", ["estimate", "target"])
def test_silence_has_no_score_and_harms_no_other_row(metric: Metric, which: str) -> None:
    estimate, speech, _ = speech_case(1.0)
    (estimate if which == "estimate" else speech)[0] = 0.0
    scores = metric.measure(estimate, speech, sample_rate=RATE)
    assert scores.reasons == (f"the {which} is silent", "")
    assert scores.values.isnan().tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "rate"), [("pesq_wb", 8000), ("pesq_wb", 44100), ("pesq_nb", 48000)]
)
def test_pesq_refuses_other_rates(name: str, rate: int) -> None:
    estimate, speech, _ = speech_case(1.0, rows=1)
    scores = get_metric(name).measure(estimate, speech, sample_rate=rate)
    assert scores.values.isnan().all()
    assert f"the signals are at {rate} Hz" in scores.reasons[0]


def test_pesq_of_more_utterances_than_it_can_hold_does_not_kill() -> None:
    """P.862's code crashes beyond 50 utterances; up to that many it answers as ever."""
    draw = np.random.default_rng(0)
    burst = np.concatenate([0.1 * draw.standard_normal(6400), np.zeros(8000)])
    for count, defined in ((26, True), (60, False)):
        clean = np.tile(burst, count)
        noisy = clean + 0.01 * draw.standard_normal(len(clean))
        signals = (torch.from_numpy(signal)[None] for signal in (noisy, clean))
        scores = pesq_nb.measure(*signals, sample_rate=RATE)
        assert bool(scores.values.isfinite().all()) == defined
        if defined:
            expected = pesq_library.pesq(RATE, clean, noisy, "nb")
            assert scores.values.item() == pytest.approx(expected, abs=1e-3)
        else:
            assert "50 utterances" in scores.reasons[0]


def test_numpy_global_random_state_stays(case: tuple[torch.Tensor, torch.Tensor]) -> None:
    np.random.seed(5)
    expected = np.random.rand(3)
    np.random.seed(5)
    first = estoi(*case, sample_rate=RATE)
    assert np.array_equal(np.random.rand(3), expected)
    assert torch.equal(first, estoi(*case, sample_rate=RATE))
