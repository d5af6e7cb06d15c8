"""LLR, WSS and the composite measures: another implementation's values, closed forms, scipy."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from pesq import pesq
from scipy.linalg import solve_toeplitz, toeplitz
from scipy.signal import resample_poly

from auditus import cbak, covl, csig, get_metric, llr, pesq_nb, pesq_wb, wss
from auditus.composite import raw_pesq
from auditus.metric import Rows
from auditus.segmental import seg_snr_frames
from auditus.spectral_distance import llr_frames, mean_of_best, wss_frames
from tests.auditus.signals import RATE, speech_case
from tests.data import noise_like, speech_like
from tests.recordings import babble, sentence

TESTS = Path(__file__).parents[1]
REFERENCE = json.loads((TESTS / "reference" / "composite.json").read_text())["values"]
# Both compute in double precision; what differs is rounding, and the constant 2e-16 that the other
# adds to every sample.
TOLERANCE = 1e-4


def signals(name: str) -> Rows:
    """The signals that the reference values were computed from."""
    kind, *rest = name.split("-")
    if kind == "made":
        rate = int(rest[0])
        clean = speech_like(2.0, rate, seed=3).astype(float)
        # no frame is digitally silent: there the two differ on purpose
        clean += 1e-4 * np.random.default_rng(0).standard_normal(2 * rate)
        other = clean + 0.1 * noise_like(2.0, rate, seed=4)
    else:
        index, snr_db = (int(number) for number in rest)
        clean, rate = sf.read(sentence(5 * index))
        noise = np.resize(sf.read(babble())[0], len(clean))
        other = clean + noise * np.sqrt(np.mean(clean**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
        if kind == "real8k":
            clean, other, rate = resample_poly(clean, 1, 2), resample_poly(other, 1, 2), 8000
    pair = {"target": clean, "estimate": other}
    return Rows({role: torch.from_numpy(signal)[None] for role, signal in pair.items()}, rate)


@pytest.mark.parametrize("name", REFERENCE)
def test_parts_agree_with_another_implementation(name: str) -> None:
    rows, expected = signals(name), REFERENCE[name]
    ratios, known = llr_frames(rows)
    assert llr.core(rows).values.item() == pytest.approx(expected["llr"], abs=TOLERANCE)
    assert mean_of_best(ratios, known).item() == pytest.approx(
        expected["llr_composite"], abs=TOLERANCE
    )
    assert wss.core(rows).values.item() == pytest.approx(expected["wss"], abs=1e-3)
    whole = seg_snr_frames(rows)[0][:, :-1].mean().item()
    assert whole == pytest.approx(expected["seg_snr"], abs=TOLERANCE)


@pytest.mark.parametrize("name", REFERENCE)
def test_composite_is_the_regression_on_those_parts(name: str) -> None:
    rows, parts = signals(name), REFERENCE[name]
    clean, other = rows.target[0].numpy(), rows.estimate[0].numpy()
    if rows.sample_rate == 16000:
        score = pesq(16000, clean, other, "wb")
    else:
        mapped = pesq(8000, clean, other, "nb")
        score = (4.6607 - math.log((4.999 - mapped) / (mapped - 0.999))) / 1.4945
    likelihood, slope, snr = (parts[key] for key in ("llr_composite", "wss", "seg_snr"))
    expected = {
        csig: 3.093 - 1.029 * likelihood + 0.603 * score - 0.009 * slope,
        cbak: 1.634 + 0.478 * score - 0.007 * slope + 0.063 * snr,
        covl: 1.594 + 0.805 * score - 0.512 * likelihood - 0.007 * slope,
    }
    for metric, value in expected.items():
        limited = min(max(value, 1.0), 5.0)
        # PESQ itself is only that good: it rounds to 16 bits
        assert metric.core(rows).values.item() == pytest.approx(limited, abs=5e-3), metric.name


def test_llr_by_solving_the_normal_equations() -> None:
    """a = -R^-1 r by scipy instead of Levinson's recursion, a' R a instead of correlations."""
    estimate, speech, _ = speech_case(0.3, rows=1)
    rows = Rows({"target": speech.double(), "estimate": estimate.double()}, RATE)
    found, known = llr_frames(rows)
    window = np.hanning(482)[1:-1]

    def filter_and_matrix(signal: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
        frame = window * signal[start : start + 480]
        lags = np.correlate(frame, frame, "full")[479 : 479 + 17]
        return np.append(1.0, -solve_toeplitz(lags[:-1], lags[1:])), toeplitz(lags)

    checked = 0
    for frame in range(found.shape[1]):
        if not known[0, frame]:
            continue
        own, matrix = filter_and_matrix(rows.target[0].numpy(), 120 * frame)
        other, _ = filter_and_matrix(rows.estimate[0].numpy(), 120 * frame)
        ratio = math.log(other @ matrix @ other / (own @ matrix @ own))
        assert found[0, frame].item() == pytest.approx(ratio, rel=1e-4, abs=1e-5)
        checked += 1
    assert checked > 20


def test_slope_of_a_flat_gain_is_nothing_and_of_a_tilt_is_its_square() -> None:
    """A filter that falls by g dB from band to band adds g to each slope: WSS = g^2."""
    clean = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert wss(0.1 * clean, clean, sample_rate=RATE).item() == pytest.approx(0.0, abs=1e-12)
    level = torch.linspace(40, -50, 25, dtype=torch.float64)
    from auditus.spectral_distance import _slope_weights

    weights = _slope_weights(level[None, None])[0, 0]
    # falling all the way: the peak is the first band for every one
    below = level[0] - level[:-1]
    assert torch.allclose(weights, 20 / (20 + below) / (1 + below))
    rising = _slope_weights(level.flip(0)[None, None])[0, 0]
    # rising: the band before the summit is taken for it
    expected = 20 / (20 + level[0] - level.flip(0)[:-1]) / (1 + level[1] - level.flip(0)[:-1])
    assert torch.allclose(rising, expected)


def test_the_best_of_the_frames_that_count() -> None:
    values = torch.arange(20.0)[None]
    assert mean_of_best(values, torch.ones(1, 20, dtype=torch.bool)).item() == 9.0
    known = torch.arange(20)[None] < 10
    assert mean_of_best(values, known).item() == 4.5
    assert mean_of_best(values, torch.zeros(1, 20, dtype=torch.bool)).isnan().item()


def test_raw_pesq_undoes_the_mapping() -> None:
    raw = torch.linspace(-0.5, 4.5, 20, dtype=torch.float64)
    mapped = 0.999 + 4 / (1 + torch.exp(-1.4945 * raw + 4.6607))
    assert torch.allclose(raw_pesq(mapped), raw)


def test_a_perfect_estimate_has_the_best_of_ratings() -> None:
    _, speech, _ = speech_case(1.0, rows=1)
    for metric in (csig, cbak, covl):
        assert metric(speech, speech, sample_rate=RATE).item() == 5.0
    assert llr(speech, speech, sample_rate=RATE).item() == 0.0
    assert wss(speech, speech, sample_rate=RATE).item() == 0.0


def test_no_pesq_no_rating_for_its_reason() -> None:
    clean = torch.zeros(1, 16000)
    clean[0, 8000] = 1.0
    noise = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    scores = csig.measure(clean + 1e-3 * noise, clean, sample_rate=RATE)
    wanted = pesq_wb.measure(clean + 1e-3 * noise, clean, sample_rate=RATE)
    assert scores.reasons == wanted.reasons
    assert scores.values.isnan().all() == wanted.values.isnan().all()
    for rate in (44100, 48000):
        refused = get_metric("covl").measure(noise, noise, sample_rate=rate)
        assert f"defined at 8000 or 16000 Hz; the signals are at {rate} Hz" in refused.reasons[0]


def test_pauses_of_digital_silence_do_not_count() -> None:
    estimate, speech, _ = speech_case(1.0, rows=1)
    pause = torch.zeros(1, 8000)
    longer = [torch.cat([signal, pause], 1) for signal in (estimate, speech)]
    for frames in (llr_frames, wss_frames):
        rows = Rows({"target": longer[1].double(), "estimate": longer[0].double()}, RATE)
        values, known = frames(rows)
        assert bool(values[known].isfinite().all())
        assert not known[0, 135:].any()
    assert pesq_nb(*longer, sample_rate=RATE).isfinite().all()
    assert csig(*longer, sample_rate=RATE).isfinite().all()
