"""Frequency-weighted ratios: per critical band and frame, averaged with weights of the speech.

The estimate is split by the joint projection into s_t (target), e_i (interference) and e_a
(artefact); C(x) are the critical-band magnitudes of x. In every frame each band's ratio in dB is
weighted with C(speech)^0.2, and the frame's mean is limited to [-10, 35] dB before frames are
averaged, as in frequency-weighted segmental SNR:

    FW-SDR: C(s_t) over C(e_i + e_a)      FW-SIR: C(s_t) over C(e_i)      FW-SAR: C(s_t + e_i) over
    C(e_a)

What differs from the published numbers (``variant="published"`` returns those), and why:

- All three use the bands of the *error signal*. FW-SDR used differences of magnitudes, which do not
  see the phase, so that it could exceed FW-SAR.
- 21 critical bands up to Nyquist. The published 25 bands end at 3.8 kHz, so that at 16 kHz
  fricatives did not count.
- Frames more than 40 dB below the loudest frame of the speech do not count. Pauses used to lower a
  perfect score.
- Nothing depends on the level: no absolute constant is added.
- No cell is better than the 35 dB at which a frame is perfect: with 80 dB in the bands that a
  system left alone it could make up for ruined ones.
- The projection is the joint one.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import torch
from torch import Tensor

from asteroid.dsp.bands import Scale, build_scale
from asteroid.dsp.stft import Stft

from .memory import once
from .metric import Rows, Scores, mean_where, metric
from .ratios import PUBLISHED_EPS, check_variant, split, without_copies

__all__ = ["critical_bands", "fw_frames", "fw_hop", "fw_sar", "fw_sdr", "fw_sir", "speech_frames"]

WINDOW_S = 0.032
OVERLAP = 4
GAMMA = 0.2
FRAME_LIMITS_DB = (-10.0, 35.0)
DYNAMIC_RANGE_DB = 40.0
N_BANDS = 21
PUBLISHED_N_BANDS = 25
# Bins that a constant reaches through the Hann window: an offset is no speech.
DC_LOBE = 2
# A cell's ratio is resolved to +-100 dB; the floor is relative, hence free of level.
CELL_RESOLUTION = 1e-10

_SIGNALS = ("estimate", "target", "noise")
_SOURCE = "Monir et al., arXiv 2506.18714; frame and band averaging: Hu and Loizou 2008, eq. 10"


@metric("fw_sdr", "FW-SDR", bounds=FRAME_LIMITS_DB, needs=_SIGNALS, source=_SOURCE)
def fw_sdr(rows: Rows, *, variant: str = "default", n_bands: int | None = None) -> Scores:
    """Frequency-weighted signal-to-distortion ratio: bands of s_t over bands of estimate - s_t."""
    return Scores.of(mean_where(*fw_frames(rows, "sdr", variant=variant, n_bands=n_bands)))


@metric("fw_sir", "FW-SIR", bounds=FRAME_LIMITS_DB, needs=_SIGNALS, source=_SOURCE)
def fw_sir(rows: Rows, *, variant: str = "default", n_bands: int | None = None) -> Scores:
    """Frequency-weighted signal-to-interference ratio: bands of s_t over bands of e_i."""
    frames = fw_frames(rows, "sir", variant=variant, n_bands=n_bands)
    return without_copies(Scores.of(mean_where(*frames)), rows)


@metric("fw_sar", "FW-SAR", bounds=FRAME_LIMITS_DB, needs=_SIGNALS, source=_SOURCE)
def fw_sar(rows: Rows, *, variant: str = "default", n_bands: int | None = None) -> Scores:
    """Frequency-weighted signal-to-artefact ratio: bands of s_t + e_i over bands of e_a."""
    return Scores.of(mean_where(*fw_frames(rows, "sar", variant=variant, n_bands=n_bands)))


def fw_frames(
    rows: Rows, ratio: str, *, variant: str = "default", n_bands: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return what these ratios are the mean of: each frame's value, and which frames count.

    ``ratio`` is "sdr", "sir" or "sar".

    Returns:
        ``(rows, frames)`` in dB, limited to [-10, 35], and ``(rows, frames)``, bool. Frame ``i`` is
        centred on sample ``i * fw_hop(sample_rate)``.
    """
    published = check_variant(variant)
    parts, view = split(rows, published=published), _BandView(rows, n_bands, published=published)
    target = view(parts.target)
    if ratio == "sir":
        return view.frames(target, view(parts.interference))
    if ratio == "sdr":
        if published:  # differences of magnitudes, which do not see the phase
            whole = view(parts.target, parts.interference, parts.artefact)
            return view.frames(target, whole - target)
        return view.frames(target, view(parts.interference, parts.artefact))
    if published:
        return view.frames(target + view(parts.interference), view(parts.artefact))
    return view.frames(view(parts.target, parts.interference), view(parts.artefact))


def fw_hop(sample_rate: int) -> int:
    """Return the samples from one frame of these ratios to the next."""
    return window_samples(sample_rate) // OVERLAP


def window_samples(sample_rate: int) -> int:
    """Return the samples of a window of 32 ms, an even number."""
    return 2 * round(WINDOW_S * sample_rate / 2)


@lru_cache(maxsize=4)
def double_stft(n_fft: int, device: torch.device) -> Stft:
    """Return the transform with windows of ``n_fft`` samples in float64, built once."""
    return Stft(n_fft, n_fft // OVERLAP).to(device, torch.float64)


@lru_cache(maxsize=16)
def critical_bands(n_fft: int, sample_rate: int, n_bands: int, device: torch.device) -> Scale:
    """Return the filters in float64, built once, without the warning that 25 bands end early."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the 25 critical bands end")
        scale = build_scale("critical", n_fft=n_fft, sample_rate=sample_rate, n_bins=n_bands)
    return scale.to(device, torch.float64)


def speech_frames(spectrum: Tensor, range_db: float = DYNAMIC_RANGE_DB) -> Tensor:
    """Tell which frames hold speech: those within ``range_db`` of the loudest.

    Args:
        spectrum: ``(rows, freq, frames)``, complex or magnitudes, of the clean speech; the bins
            at 0 Hz do not count.
        range_db: 40 dB as in STOI.

    Returns:
        ``(rows, frames)``, bool; at least one True in a row that is not silent.
    """
    energy = spectrum[:, DC_LOBE:].abs().square().sum(1)
    # Strictly above: in a silent row no frame is.
    return energy > energy.amax(-1, keepdim=True) * 10 ** (-range_db / 10)


@once
def _spectrum(signal: Tensor, n_fft: int) -> Tensor:
    spectrum: Tensor = double_stft(n_fft, signal.device)(signal)
    return spectrum


@once
def _speech_magnitude(target: Tensor, n_fft: int) -> Tensor:
    return _magnitude(_spectrum(target - target.mean(-1, keepdim=True), n_fft))


def _magnitude(spectrum: Tensor) -> Tensor:
    """Return absolute values, without hypot's care for what double precision cannot square."""
    return torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag).sqrt()


class _BandView:
    """Critical-band magnitudes and the weights of one batch's speech."""

    def __init__(self, rows: Rows, n_bands: int | None, *, published: bool) -> None:
        n_fft = window_samples(rows.sample_rate)
        count = n_bands or (PUBLISHED_N_BANDS if published else N_BANDS)
        self.published, self.n_fft = published, n_fft
        self.scale = critical_bands(n_fft, rows.sample_rate, count, rows.estimate.device)
        magnitude = _speech_magnitude(rows.target, n_fft)
        bands: Tensor = self.scale(magnitude)
        self.weights = bands**GAMMA
        everything = torch.ones_like(bands[:, 0], dtype=torch.bool)
        self.counts = everything if published else speech_frames(magnitude)

    def __call__(self, *signals: Tensor) -> Tensor:
        """Return the band magnitudes of the signals' sum, ``(rows, bands, frames)``."""
        # Spectra are linear: those of the parts are shared by all three ratios.
        spectrum = _spectrum(signals[0], self.n_fft)
        for signal in signals[1:]:
            spectrum = spectrum + _spectrum(signal, self.n_fft)
        bands: Tensor = self.scale(_magnitude(spectrum))
        return bands

    def frames(self, numerator: Tensor, denominator: Tensor) -> tuple[Tensor, Tensor]:
        """Average over bands with the weights, limit; return with the frames that count."""
        above, below = numerator.square(), denominator.square()
        if self.published:
            cells = 10 * torch.log10(above / (below + PUBLISHED_EPS) + PUBLISHED_EPS)
        else:
            # An empty cell (0 over 0) says nothing: its floor keeps it at 0 dB, its weight is 0 or
            # nearly so.
            floor = CELL_RESOLUTION * (above + below) + torch.finfo(above.dtype).tiny
            cells = 10 * torch.log10((above + floor) / (below + floor))
            cells = cells.clamp_max(FRAME_LIMITS_DB[1])
        frames = (self.weights * cells).sum(1) / self.weights.sum(1)
        return frames.clamp(*FRAME_LIMITS_DB), self.counts
