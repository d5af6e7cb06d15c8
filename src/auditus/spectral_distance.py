"""Spectral distances of speech quality: log-likelihood ratio and weighted spectral slope.

Frames of 30 ms advance by 7.5 ms; the means are over the best 95 % of the frames, as in the
programs that accompany Loizou's book. As there, the last whole frame is left out. A frame in which
the clean speech is digitally silent has no spectrum and does not count (there it counts as whatever
rounding gives).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .band_ratios import critical_bands
from .metric import Rows, Scores, metric
from .segmental import FRAME_S, frames_of, power_of

__all__ = ["llr", "llr_frames", "mean_of_best", "wss", "wss_frames"]

# The share of frames that counts.
BEST = 0.95
LLR_LIMIT = 2.0
# Orders of linear prediction below and from this rate on.
ORDER_LIMIT_HZ = 10000
LOW_ORDER, HIGH_ORDER = 10, 16
N_BANDS = 25
# Klatt's constants.
K_MAX = 20.0
K_LOCAL = 1.0
# Band energies of the weighted slopes are floored for signals between -1 and 1; here both signals
# are brought to this level first, that of a recording at the usual -26 dB, so that level is free.
LEVEL = 0.05
ENERGY_FLOOR = 1e-10
MIN_SECONDS = FRAME_S * 2

_PAPER = "Hu and Loizou, IEEE TASLP 16(1), 2008, section III"


@metric(
    "llr",
    "LLR",
    unit="",
    bounds=(0.0, LLR_LIMIT),
    higher_is_better=False,
    min_seconds=MIN_SECONDS,
    source=f"{_PAPER}, eq. 3; Quackenbush, Barnwell, Clements 1988",
)
def llr(rows: Rows) -> Scores:
    """Log-likelihood ratio of linear predictors, each frame's limited to 2."""
    values, counted = llr_frames(rows)
    return Scores.of(mean_of_best(values.clamp_max(LLR_LIMIT), counted))


@metric(
    "wss",
    "WSS",
    unit="",
    bounds=(0.0, torch.inf),
    higher_is_better=False,
    min_seconds=MIN_SECONDS,
    source=f"{_PAPER}, eq. 5; Klatt, ICASSP 1982",
)
def wss(rows: Rows) -> Scores:
    """Weighted spectral slope: squared differences of slopes between 25 bands up to 3.8 kHz."""
    return Scores.of(mean_of_best(*wss_frames(rows)))


def llr_frames(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return log(a_e R a_e / a_t R a_t) of each frame, R of the target, and which frames count.

    Both ``(rows, frames)``; the ratio is not limited.
    """
    order = LOW_ORDER if rows.sample_rate < ORDER_LIMIT_HZ else HIGH_ORDER
    clean = _autocorrelation(frames_of(rows.target, rows)[:, :-1], order)
    other = _autocorrelation(frames_of(rows.estimate, rows)[:, :-1], order)
    counted = clean[..., 0] > 0
    error = _prediction_error(clean, _predictor(other))
    least = _prediction_error(clean, _predictor(clean))
    tiny = torch.finfo(clean.dtype).tiny
    # The target's own predictor has the least error: what lies below is rounding.
    return torch.log(error.clamp_min(tiny) / least.clamp_min(tiny)).clamp_min(0.0), counted


def wss_frames(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return the weighted squared difference of slopes of each frame, and which frames count.

    Both ``(rows, frames)``.
    """
    clean, counted = _band_levels(rows.target, rows)
    other, _ = _band_levels(rows.estimate, rows)
    # Klatt's distance: the weights are the mean of both signals'.
    weights = (_slope_weights(clean) + _slope_weights(other)) / 2
    difference = (clean.diff(dim=-1) - other.diff(dim=-1)).square()
    return (weights * difference).sum(-1) / weights.sum(-1), counted


def mean_of_best(values: Tensor, counted: Tensor, share: float = BEST) -> Tensor:
    """Average the smallest values of each row's frames that count: ``(rows,)``."""
    ordered = torch.where(counted, values, torch.inf).sort(-1).values
    # Rounded half up, as the reference programs do; torch.round would round half to even.
    kept = torch.floor(share * counted.sum(-1, keepdim=True) + 0.5)
    counts = torch.arange(values.shape[-1], device=values.device) < kept
    return torch.where(counts, ordered, 0.0).sum(-1) / kept[:, 0]


def _autocorrelation(frames: Tensor, order: int) -> Tensor:
    """Return lags 0 .. order, ``(..., order + 1)``."""
    length = frames.shape[-1]
    lags = [
        (frames[..., : length - lag] * frames[..., lag:]).sum(-1)
        for lag in range(min(order, length - 1) + 1)
    ]
    return torch.stack(lags, -1)


def _predictor(correlation: Tensor) -> Tensor:
    """Return the prediction-error filter 1, a_1 .. a_p by the Levinson-Durbin recursion.

    A frame without energy is not predicted: 1, 0 .. 0.
    """
    filters = torch.zeros_like(correlation)
    filters[..., 0] = 1.0
    error = correlation[..., 0]
    tiny = torch.finfo(correlation.dtype).tiny
    for step in range(1, correlation.shape[-1]):
        head = filters[..., :step]
        # Clamped: rounding may push the coefficient of a nearly singular frame beyond 1.
        reflection = -(head * correlation[..., 1 : step + 1].flip(-1)).sum(-1)
        reflection = (reflection / error.clamp_min(tiny)).clamp(-1.0, 1.0)
        padded = filters[..., : step + 1]
        filters = filters.clone()
        filters[..., : step + 1] = padded + reflection[..., None] * padded.flip(-1)
        error = error * (1 - reflection.square())
    return filters


def _prediction_error(correlation: Tensor, filters: Tensor) -> Tensor:
    """Return a R a with the Toeplitz matrix R of the correlation."""
    order = correlation.shape[-1] - 1
    own = _autocorrelation(filters, order)
    # R is symmetric: lag 0 counts once, every other lag twice.
    return 2 * (own * correlation).sum(-1) - own[..., 0] * correlation[..., 0]


def _band_levels(signal: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
    """Return levels in dB ``(rows, frames, bands)`` and which frames are not silent."""
    level = signal.square().mean(-1, keepdim=True).sqrt()
    frames = frames_of(LEVEL * signal / level, rows)[:, :-1]
    power = power_of(frames)
    n_fft = 2 * (power.shape[1] - 1)
    bands: Tensor = critical_bands(n_fft, rows.sample_rate, N_BANDS, signal.device)(power)
    counted = (frames != 0).any(-1)
    return 10 * torch.log10(bands.clamp_min(ENERGY_FLOOR)).transpose(1, 2), counted


def _slope_weights(levels: Tensor) -> Tensor:
    """Return Klatt's weights ``(rows, frames, bands - 1)``: large near the maximum and near peaks.

    A band's peak is found uphill. On a rising slope the band before the summit is taken for it, as
    the reference programs do.
    """
    slopes, n_bands = levels.diff(dim=-1), levels.shape[-1]
    place = torch.arange(n_bands - 1, device=levels.device).expand_as(slopes)
    rising = slopes > 0
    # first place from here on that does not rise; last place up to here that does
    summit = torch.where(rising, n_bands - 1, place).flip(-1).cummin(-1).values.flip(-1)
    foot = torch.where(rising, place, -1).cummax(-1).values
    peak = levels.gather(-1, torch.where(rising, summit - 1, foot + 1))
    below_most = levels.amax(-1, keepdim=True) - levels[..., :-1]
    return K_MAX / (K_MAX + below_most) * K_LOCAL / (K_LOCAL + peak - levels[..., :-1])
