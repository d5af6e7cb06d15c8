"""Segmental measures: closed forms, and fwSNRseg restated frame by frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from asteroid.dsp.bands import band_table
from auditus import fw_seg_snr, lsd, seg_snr
from tests.auditus.signals import RATE, speech_case
from tests.data import noise_like, speech_like


def restated_fw_seg_snr(clean: np.ndarray, processed: np.ndarray) -> float:
    """Hu and Loizou's comp_fwseg, one frame and one band after the other."""
    length, skip, n_fft = 480, 120, 1024
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, length + 1) / (length + 1)))
    table = band_table("quackenbush_25")
    scores = []
    for start in range(0, len(clean) - length + 1, skip):
        spectra = []
        for signal in (clean, processed):
            spectrum = np.abs(np.fft.rfft(window * signal[start : start + length], n_fft))
            spectra.append(spectrum / spectrum.sum())
        total = weight = 0.0
        for centre, width in zip(table.centres_hz, table.bandwidths_hz, strict=True):
            middle, bins = math.floor(centre * n_fft / RATE), width * n_fft / RATE
            gain = np.exp(-11 * ((np.arange(n_fft // 2) - middle) / bins) ** 2)
            gain *= table.bandwidths_hz[0] / width
            gain[gain <= math.exp(-30 / (2 * 2.303))] = 0.0
            reference, other = (float(gain @ spectrum[: n_fft // 2]) for spectrum in spectra)
            error = max((reference - other) ** 2, np.finfo(float).eps)
            total += reference**0.2 * 10 * math.log10(reference**2 / error)
            weight += reference**0.2
        scores.append(min(max(total / weight, -10.0), 35.0))
    return float(np.mean(scores))


def test_fw_seg_snr_agrees_with_its_definition() -> None:
    clean = speech_like(1.0, seed=1).astype(float) + 1e-4 * noise_like(1.0, seed=5)
    for noise_gain in (0.02, 0.3):
        processed = clean + noise_gain * noise_like(1.0, seed=2)
        value = fw_seg_snr(
            torch.from_numpy(processed)[None], torch.from_numpy(clean)[None], sample_rate=RATE
        )
        assert value.item() == pytest.approx(restated_fw_seg_snr(clean, processed), abs=1e-4)


def test_fw_seg_snr_skips_digital_silence_of_the_speech() -> None:
    clean = torch.from_numpy(noise_like(1.0))[None].double()
    clean[:, 8000:] = 0.0
    noisy = clean + 0.1 * torch.from_numpy(noise_like(1.0, seed=1))
    value = fw_seg_snr(noisy, clean, sample_rate=RATE).item()
    half = fw_seg_snr(noisy[:, :8000], clean[:, :8000], sample_rate=RATE).item()
    assert value == pytest.approx(half, abs=0.5)


def test_segmental_snr_of_a_constant_ratio() -> None:
    _, speech, _ = speech_case()
    speech = speech[:, 2000:6000]
    assert seg_snr(0.9 * speech, speech, sample_rate=RATE).tolist() == pytest.approx([20.0] * 2)
    assert seg_snr(speech, speech, sample_rate=RATE).tolist() == pytest.approx([35.0] * 2)
    assert seg_snr(-9 * speech, speech, sample_rate=RATE).tolist() == pytest.approx([-10.0] * 2)
    assert seg_snr(0 * speech, speech, sample_rate=RATE).tolist() == pytest.approx([0.0] * 2)


def test_log_spectral_distance_of_a_gain_is_the_gain() -> None:
    speech = torch.from_numpy(noise_like(1.0, kind="white"))[None]
    assert lsd(speech, speech, sample_rate=RATE).item() == 0.0
    assert lsd(2 * speech, speech, sample_rate=RATE).item() == pytest.approx(6.0206, abs=1e-3)
    assert lsd(0.5 * speech, speech, sample_rate=RATE).item() == pytest.approx(6.0206, abs=1e-3)


def test_shorter_than_a_frame_has_no_score() -> None:
    estimate, speech, _ = speech_case(0.5)
    for metric in (seg_snr, fw_seg_snr, lsd):
        scores = metric.measure(estimate[:, :479], speech[:, :479], sample_rate=RATE)
        assert scores.values.isnan().all()
        assert scores.reasons == ("shorter than 0.03 s: 0.030 s",) * 2
