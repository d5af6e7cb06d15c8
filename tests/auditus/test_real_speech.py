"""Every metric that a library has too, on recordings: the corpus, else the mini corpus, else made.

Tolerances: both sides compute in double precision; PESQ rounds to 16 bits after a level of its own
choice, and ours hands it signals of unit power.
"""

from __future__ import annotations

import warnings

import fast_bss_eval
import mir_eval
import numpy as np
import pesq as pesq_library
import pystoi
import pytest
import soundfile as sf
import torch

from auditus import METRICS, get_metric
from tests.auditus.signals import RATE
from tests.recordings import recordings, sentence


@pytest.fixture(scope="module", params=range(3))
def signals(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    """Estimate, target and noise of 2 to 3 s at 5 dB, with an artefact."""
    index = request.param
    target = sf.read(sentence(5 * index))[0]
    draw = np.random.default_rng(index)
    noise = np.resize(sf.read(recordings("noise/test/*/*.flac")[index])[0], len(target))
    noise = noise * np.sqrt(np.mean(target**2) / np.mean(noise**2) / 10**0.5)
    artefact = 0.02 * target.std() * draw.standard_normal(len(target))
    return {"estimate": 0.8 * target + 0.3 * noise + artefact, "target": target, "noise": noise}


def ours(name: str, signals: dict[str, np.ndarray]) -> float:
    tensors = {role: torch.from_numpy(signal)[None] for role, signal in signals.items()}
    return get_metric(name)(**tensors, sample_rate=RATE).item()


def test_ratios_agree_with_fast_bss_eval(signals: dict[str, np.ndarray]) -> None:
    estimate, target, noise = signals.values()
    centred = [signal - signal.mean() for signal in (target, noise, estimate)]
    references = torch.from_numpy(np.stack(centred[:2]))
    estimates = torch.from_numpy(np.stack([centred[2], centred[1]]))
    sdr, sir, sar = fast_bss_eval.si_bss_eval_sources(
        references, estimates, compute_permutation=False
    )
    found = [ours(name, signals) for name in ("si_sdr", "si_sir", "si_sar")]
    assert found == pytest.approx([sdr[0].item(), sir[0].item(), sar[0].item()], abs=1e-4)


def test_sdr_agrees_with_mir_eval(signals: dict[str, np.ndarray]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = mir_eval.separation.bss_eval_sources(
            signals["target"][None], signals["estimate"][None], compute_permutation=False
        )[0][0]
    assert ours("sdr", signals) == pytest.approx(expected, abs=0.01)


def test_snr_is_the_ratio_of_energies(signals: dict[str, np.ndarray]) -> None:
    error = signals["target"] - signals["estimate"]
    expected = 10 * np.log10(np.sum(signals["target"] ** 2) / np.sum(error**2))
    assert ours("snr", signals) == pytest.approx(expected, abs=1e-6)


def test_stoi_and_estoi_agree_with_pystoi(signals: dict[str, np.ndarray]) -> None:
    for name, extended in (("stoi", False), ("estoi", True)):
        expected = pystoi.stoi(signals["target"], signals["estimate"], RATE, extended=extended)
        assert ours(name, signals) == pytest.approx(expected, abs=1e-6)


def test_pesq_agrees_with_its_library(signals: dict[str, np.ndarray]) -> None:
    for name, mode in (("pesq_wb", "wb"), ("pesq_nb", "nb")):
        expected = pesq_library.pesq(RATE, signals["target"], signals["estimate"], mode)
        assert ours(name, signals) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    "name",
    [name for name in METRICS.names() if "sar" not in name and get_metric(name).channels == 1],
)
def test_more_noise_is_worse_on_recordings(name: str, signals: dict[str, np.ndarray]) -> None:
    if name.startswith(("dnsmos", "distillmos")):
        pytest.skip("slow: test_opinion.py")
    values = []
    for gain in (0.1, 0.4, 1.6):
        noisy = signals["target"] + gain * signals["noise"]
        values.append(ours(name, {**signals, "estimate": noisy}))
    assert values == sorted(values, reverse=get_metric(name).higher_is_better)
    assert values[0] != values[-1]
