"""FW ratios: errors of known size in every cell, and each defect of the published computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import hilbert
from torch import Tensor

from auditus import fw_sar, fw_sdr, fw_sir, si_sdr
from auditus.band_ratios import speech_frames
from tests.auditus.signals import RATE, speech_case
from tests.data import speech_like

EDGE_DB = 0.2  # the reflected ends are not in quadrature


def quadrature(signal: Tensor) -> Tensor:
    """Return the signal turned by 90 degrees: as large in every cell, orthogonal to it."""
    turned: np.ndarray = hilbert(signal.numpy(), axis=-1).imag
    return torch.from_numpy(turned)


@pytest.fixture
def speech() -> Tensor:
    return torch.from_numpy(speech_like(2.0, seed=3))[None].double()


def high_band(like: Tensor, lowest_hz: float) -> Tensor:
    spectrum = torch.fft.rfft(torch.randn(like.shape, generator=torch.Generator().manual_seed(1)))
    frequency = torch.fft.rfftfreq(like.shape[-1], 1 / RATE)
    return torch.fft.irfft(spectrum * (frequency > lowest_hz), like.shape[-1]).to(like)


@pytest.mark.parametrize("level_db", [0.0, 10.0, 25.0])
def test_error_of_known_size_in_every_cell(level_db: float) -> None:
    time = torch.arange(2 * RATE, dtype=torch.float64) / RATE
    tones = torch.arange(100, 7900, 100, dtype=torch.float64)[:, None]
    speech = torch.cos(2 * torch.pi * tones * time + tones**2).sum(0)[None]
    error = 10 ** (-level_db / 20) * quadrature(speech)
    value = fw_sdr(speech + error, speech, high_band(speech, 100.0), sample_rate=RATE).item()
    assert value == pytest.approx(level_db, abs=EDGE_DB)
    value = fw_sir(speech + error, speech, quadrature(speech), sample_rate=RATE).item()
    assert value == pytest.approx(level_db, abs=EDGE_DB)
    value = fw_sar(speech + error, speech, high_band(speech, 100.0), sample_rate=RATE).item()
    assert value == pytest.approx(level_db, abs=EDGE_DB)


def test_phase_counts(speech: Tensor) -> None:
    """Published FW-SDR compares magnitudes: it gave 17.5 dB where SI-SDR was 5.8 dB."""
    spectrum = torch.stft(
        speech, 512, 128, window=torch.hann_window(512).double(), return_complex=True
    )
    draw = torch.Generator().manual_seed(0)
    jitter = torch.empty(spectrum.shape, dtype=torch.float64).uniform_(-1, 1, generator=draw)
    turned = torch.istft(
        spectrum * torch.exp(0.45j * torch.pi * jitter),
        512,
        128,
        window=torch.hann_window(512).double(),
        length=speech.shape[-1],
    )
    noise = high_band(speech, 100.0)
    found = fw_sdr(turned, speech, noise, sample_rate=RATE).item()
    blind = fw_sdr(turned, speech, noise, sample_rate=RATE, variant="published").item()
    assert found < si_sdr(turned, speech, sample_rate=RATE).item() + 5
    assert found <= fw_sar(turned, speech, noise, sample_rate=RATE).item() + 0.1
    assert blind > found + 5


def test_pauses_do_not_count(speech: Tensor) -> None:
    """Published, silence in the second half lowered a perfect estimate from 35 to 18.7 dB."""
    paused = speech.clone()
    paused[:, RATE:] = 0.0
    hiss = 1e-4 * high_band(speech, 100.0) * (torch.arange(speech.shape[-1]) >= RATE)
    noise = high_band(speech, 100.0)
    for estimate in (paused, paused + hiss):
        assert fw_sdr(estimate, paused, noise, sample_rate=RATE).item() == pytest.approx(
            35, abs=1.5
        )
    assert fw_sdr(paused + hiss, paused, noise, sample_rate=RATE, variant="published").item() < 30


@pytest.mark.parametrize("gain_db", [-60.0, -20.0, 40.0])
def test_level_does_not_count(gain_db: float) -> None:
    """Published, a gain of -40 dB took 1 dB off FW-SDR, -80 dB took 24."""
    signals = speech_case()
    gain = 10 ** (gain_db / 20)
    for metric in (fw_sdr, fw_sir, fw_sar):
        before = metric(*signals, sample_rate=RATE)
        for scaled in ([gain * signal for signal in signals], [gain * signals[0], *signals[1:]]):
            assert torch.allclose(metric(*scaled, sample_rate=RATE), before, atol=0.01)


def test_errors_above_4_khz_count(speech: Tensor) -> None:
    """The published 25 bands end at 3.8 kHz: as much noise as speech above them scored 35 dB."""
    noise = high_band(speech, 4200.0)
    noise = noise * speech.norm() / noise.norm()
    arguments = (speech + noise, speech, high_band(speech, 100.0))
    assert fw_sdr(*arguments, sample_rate=RATE, variant="published").item() > 33
    assert fw_sdr(*arguments, sample_rate=RATE).item() < 28


def test_digital_silence_inside_is_finite(speech: Tensor) -> None:
    paused = speech.clone()
    paused[:, 4000:12000] = 0.0
    noise = high_band(speech, 100.0)
    values = fw_sdr(paused + 0.1 * noise, paused, noise, sample_rate=RATE)
    assert bool(torch.isfinite(values).all())


def test_speech_frames_are_those_within_40_db() -> None:
    frames = 10 ** (torch.tensor([0.0, -39.0, -41.0, -200.0, -torch.inf]) / 20)
    spectrum = frames.expand(1, 5, 5).clone()
    spectrum[:, :2] = 1.0  # an offset reaches the first two bins
    assert speech_frames(spectrum).tolist() == [[True, True, False, False, False]]


@pytest.mark.parametrize("rate", [8000, 16000])
def test_other_rates_and_short_signals(rate: int) -> None:
    signals = [signal[:, 4000:4300] for signal in speech_case()]
    for metric in (fw_sdr, fw_sir, fw_sar):
        assert bool(torch.isfinite(metric(*signals, sample_rate=rate)).all())


def test_bands_that_end_early_are_warned_about() -> None:
    with pytest.warns(UserWarning, match="21 critical bands end at 9400 Hz"):
        fw_sdr(*speech_case(), sample_rate=44100)
