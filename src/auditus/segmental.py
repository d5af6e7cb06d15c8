"""Segmental measures: averages over short frames of the clean and the processed signal.

Frames of 30 ms advance by 7.5 ms, as in the reference programs that accompany Loizou's book; the
last incomplete frame is left out. Level matters to segmental SNR and to the log-spectral distance;
frequency-weighted segmental SNR normalises every frame.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .band_ratios import critical_bands
from .metric import Rows, Scores, mean_where, metric

__all__ = ["fw_seg_snr", "fw_seg_snr_frames", "lsd", "lsd_frames", "seg_snr", "seg_snr_frames"]

FRAME_S = 0.030
OVERLAP = 4
GAMMA = 0.2
FRAME_LIMITS_DB = (-10.0, 35.0)
N_BANDS = 25
# The log spectrum is resolved to 80 dB below the loudest bin of the clean speech.
SPECTRAL_RANGE = 1e-8


@metric(
    "seg_snr",
    "segSNR",
    bounds=FRAME_LIMITS_DB,
    sounding=("target",),
    min_seconds=FRAME_S,
    source="Hansen and Pellom 1998; Hu and Loizou 2008, eq. 8",
)
def seg_snr(rows: Rows) -> Scores:
    """Segmental SNR: that of each 30 ms frame, limited to [-10, 35] dB, averaged over all."""
    return Scores.of(mean_where(*seg_snr_frames(rows)))


def seg_snr_frames(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return each frame's SNR in dB, limited, and which frames count: ``(rows, frames)`` both."""
    clean, error = frames_of(rows.target, rows), frames_of(rows.target - rows.estimate, rows)
    above, below = clean.square().sum(-1), error.square().sum(-1)
    # A frame that is silent in both tells nothing and would be 0 over 0.
    counts = (above > 0) | (below > 0)
    tiny = torch.finfo(above.dtype).tiny  # a silent frame or a perfect one is limited, not infinite
    ratios = (10 * torch.log10((above + tiny) / (below + tiny))).clamp(*FRAME_LIMITS_DB)
    return ratios, counts


@metric(
    "fw_seg_snr",
    "fwSNRseg",
    bounds=FRAME_LIMITS_DB,
    min_seconds=FRAME_S,
    source="Hu and Loizou, IEEE TASLP 16(1), 2008, eq. 10",
)
def fw_seg_snr(rows: Rows, *, n_bands: int = N_BANDS) -> Scores:
    """Frequency-weighted segmental SNR: band magnitudes against differences of band magnitudes.

    It does not see the phase and, with its 25 bands, nothing above 3.8 kHz: it is here as it was
    defined. Frames in which the clean speech is digitally silent have no spectrum to normalise and
    do not count.
    """
    return Scores.of(mean_where(*fw_seg_snr_frames(rows, n_bands=n_bands)))


def fw_seg_snr_frames(rows: Rows, *, n_bands: int = N_BANDS) -> tuple[Tensor, Tensor]:
    """Return each frame's mean over bands in dB, limited, and which frames count."""
    clean, counts = _unit_spectra(rows.target, rows)
    processed, _ = _unit_spectra(rows.estimate, rows)
    n_fft = 2 * (clean.shape[1] - 1)
    scale = critical_bands(n_fft, rows.sample_rate, n_bands, clean.device)
    reference, other = scale(clean), scale(processed)
    # eps bounds the ratio of a perfect cell; spectra have unit sum, so it is free of level.
    error = (reference - other).square().clamp_min(torch.finfo(torch.float64).eps)
    ratios = 10 * torch.log10(reference.square() / error + torch.finfo(torch.float64).tiny)
    weights = reference**GAMMA
    frames = (weights * ratios).sum(1) / weights.sum(1).clamp_min(torch.finfo(torch.float64).tiny)
    return frames.clamp(*FRAME_LIMITS_DB), counts


@metric(
    "lsd",
    "LSD",
    bounds=(0.0, torch.inf),
    higher_is_better=False,
    min_seconds=FRAME_S,
    source="Gray and Markel, IEEE TASSP 24(5), 1976; rms over frequency, mean over frames",
)
def lsd(rows: Rows) -> Scores:
    """Log-spectral distance; bins 80 dB below the loudest one of the clean speech are floored."""
    return Scores.of(mean_where(*lsd_frames(rows)))


def lsd_frames(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return each frame's distance in dB, and that all frames count."""
    clean, other = (power_of(frames_of(x, rows)) for x in (rows.target, rows.estimate))
    floor = SPECTRAL_RANGE * clean.amax((-2, -1), keepdim=True)
    difference = 10 * torch.log10(clean.clamp_min(floor) / other.clamp_min(floor))
    frames = difference.square().mean(1).sqrt()
    return frames, torch.ones_like(frames, dtype=torch.bool)


def frame_and_hop(sample_rate: int) -> tuple[int, int]:
    """Return a frame's samples and those from one frame to the next."""
    length = round(FRAME_S * sample_rate)
    return length, length // OVERLAP


def frames_of(signal: Tensor, rows: Rows) -> Tensor:
    """Cut signals into windowed frames ``(rows, frames, samples)``."""
    length, hop = frame_and_hop(rows.sample_rate)
    # The symmetric Hann window without its two zeros.
    window = torch.hann_window(
        length + 2, periodic=False, dtype=signal.dtype, device=signal.device
    )[1:-1]
    return signal.unfold(-1, length, hop) * window


def power_of(frames: Tensor) -> Tensor:
    """Return power spectra ``(rows, freq, frames)`` of frames ``(rows, frames, samples)``."""
    # The next power of two from twice the frame on, as in the reference programs.
    n_fft = 1 << (2 * frames.shape[-1] - 1).bit_length()
    spectra: Tensor = torch.fft.rfft(frames, n_fft).abs().square().transpose(1, 2)
    return spectra


def _unit_spectra(signal: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
    """Return magnitude spectra of unit sum, zero where silent, and which frames are not."""
    magnitude = power_of(frames_of(signal, rows)).sqrt()
    total = magnitude.sum(1, keepdim=True)
    counts = total > 0
    return torch.where(
        counts, magnitude / total.clamp_min(torch.finfo(total.dtype).tiny), 0.0
    ), counts[:, 0]
