"""Binaural measures: intelligibility with both ears, and errors of the speech's direction.

Signals are ``(batch, 2, time)``, left ear first. The target is the clean speech as it arrives at
both ears. The interaural errors say how far enhancement moved the speech: they compare the
estimate's level and time differences with the target's, where the speech is active.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from asteroid.utils.optional import needed_for

from .band_ratios import DC_LOBE, N_BANDS, critical_bands, double_stft, window_samples
from .metric import Rows, Scores, mean_where, metric
from .perceptual import STOI_MIN_SECONDS, unit_power

__all__ = ["ild_error", "itd_error", "mbstoi"]

# Cells (frames) of the target within this range of the loudest of their band hold speech.
ACTIVE_RANGE_DB = 20.0
# Ears differ by at most this much: an ear without any sound has a level all the same.
LEVEL_RANGE = 1e-10
# Below this frequency ears follow the fine structure; above a head's delay is ambiguous.
ITD_LIMIT_HZ = 1500.0
# Delays that are looked at: those of a head and some more; the step is refined by a parabola.
MOST_DELAY_S = 1e-3
DELAY_STEP_S = 1e-5

_ERRORS = (
    "interaural errors after Van den Bogaert, Doclo, Wouters, Moonen, JASA 125(1), 2009; bands, "
    "frames and active cells: ours"
)


@metric(
    "mbstoi",
    "MBSTOI",
    unit="",
    bounds=(-1.0, 1.0),
    channels=2,
    min_seconds=STOI_MIN_SECONDS,
    source="Andersen, de Haan, Tan, Jensen, Speech Communication 102, 2018; pyclarity",
)
def mbstoi(rows: Rows) -> Scores:
    """Modified binaural STOI: intelligibility with equalisation-cancellation and the better ear.

    NaN with less than about 0.4 s of active speech. Some 0.7 s of computing per second of audio.

    Raises:
        ModuleNotFoundError: The library is not installed.
    """
    with needed_for("MBSTOI"):
        from clarity.evaluator.mbstoi import mbstoi as library
    values, reasons = [], []
    for target, estimate in zip(unit_power(rows.target), unit_power(rows.estimate), strict=True):
        try:
            with _root_logger_quiet():
                value = float(library(*target, *estimate, rows.sample_rate))
        except (ValueError, IndexError):  # too few frames are left for its arrays
            value = math.nan
        values.append(value)
        reasons.append("" if math.isfinite(value) else "fewer than 30 frames of active speech")
    return Scores(torch.tensor(values, dtype=torch.float64), tuple(reasons))


@metric(
    "ild_error",
    "ILD-error",
    bounds=(0.0, 200.0),
    higher_is_better=False,
    channels=2,
    source=_ERRORS,
)
def ild_error(rows: Rows) -> Scores:
    """Interaural level difference error: |ILD of the estimate - ILD of the target| in dB.

    ILDs are those of 21 critical bands in frames of 32 ms; the mean is over the cells of the target
    within 20 dB of the loudest one of their band.
    """
    target, estimate = _cells(rows.target, rows), _cells(rows.estimate, rows)
    power = target.sum(1)
    # A band without any speech has no active cell.
    active = (power > power.amax(-1, keepdim=True) * 10 ** (-ACTIVE_RANGE_DB / 10)) & (
        power > LEVEL_RANGE * power.amax((-2, -1), keepdim=True)
    )
    difference = (_level_difference(estimate) - _level_difference(target)).abs()
    total = torch.where(active, difference, 0.0).sum((-2, -1))
    return Scores.of(total / active.sum((-2, -1)))


@metric(
    "itd_error",
    "ITD-error",
    unit="us",
    bounds=(0.0, 2e6 * MOST_DELAY_S),
    higher_is_better=False,
    channels=2,
    source=_ERRORS,
)
def itd_error(rows: Rows) -> Scores:
    """Interaural time difference error: |ITD of the estimate - ITD of the target| in microseconds.

    ITDs are the lags, within 1 ms, of the largest interaural correlation below 1.5 kHz in frames of
    32 ms; the mean is over the frames of the target within 20 dB of the loudest one.
    """
    target, estimate = _low_spectra(rows.target, rows), _low_spectra(rows.estimate, rows)
    energy = target.abs().square().sum((1, 2))
    active = energy > energy.amax(-1, keepdim=True) * 10 ** (-ACTIVE_RANGE_DB / 10)
    difference = 1e6 * (_delay(estimate, rows) - _delay(target, rows)).abs()
    return Scores.of(mean_where(difference, active))


@contextmanager
def _root_logger_quiet() -> Iterator[None]:
    """Keep the library from telling its steps through the root logger."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(max(before, logging.WARNING))
    try:
        yield
    finally:
        root.setLevel(before)


def _spectra(signal: Tensor, rows: Rows) -> Tensor:
    """Return ``(rows, 2, freq, frames)``."""
    stft = double_stft(window_samples(rows.sample_rate), signal.device)
    spectra: Tensor = stft(signal.flatten(0, 1))
    return spectra.reshape(*signal.shape[:2], *spectra.shape[1:])


def _cells(signal: Tensor, rows: Rows) -> Tensor:
    """Return the powers of critical bands, ``(rows, 2, bands, frames)``."""
    power = _spectra(signal, rows).abs().square()
    n_fft = 2 * (power.shape[-2] - 1)
    scale = critical_bands(n_fft, rows.sample_rate, N_BANDS, signal.device)
    bands: Tensor = scale(power.flatten(0, 1))
    return bands.reshape(*power.shape[:2], *bands.shape[1:])


def _level_difference(cells: Tensor) -> Tensor:
    """Return left over right in dB, ``(rows, bands, frames)``, 0 where both are silent."""
    floor = LEVEL_RANGE * cells.amax((1, 2, 3), keepdim=True)  # of the row's loudest cell
    left, right = cells.clamp_min(floor).unbind(1)
    return 10 * torch.log10(left / right)


def _low_spectra(signal: Tensor, rows: Rows) -> Tensor:
    """Return the spectra below 1.5 kHz without those of a constant, ``(rows, 2, bins, frames)``."""
    spectra = _spectra(signal, rows)
    n_fft = 2 * (spectra.shape[-2] - 1)
    last = math.floor(ITD_LIMIT_HZ * n_fft / rows.sample_rate)
    return spectra[:, :, DC_LOBE + 1 : last + 1]


def _delay(spectra: Tensor, rows: Rows) -> Tensor:
    """Return how much later the right ear hears, in s, ``(rows, frames)``; positive: from the left.

    0 where there is no sound.
    """
    n_fft = window_samples(rows.sample_rate)
    # The bins that _low_spectra keeps: those of a constant's main lobe are left out.
    bins = torch.arange(DC_LOBE + 1, DC_LOBE + 1 + spectra.shape[-2], device=spectra.device)
    steps = round(MOST_DELAY_S / DELAY_STEP_S)
    delays = DELAY_STEP_S * torch.arange(-steps, steps + 1, dtype=torch.float64).to(bins.device)
    # Interaural correlation: the cross-spectrum turned back by each delay, summed over the bins.
    phase = 2j * math.pi * rows.sample_rate / n_fft * delays[:, None] * bins
    cross = spectra[:, 0].conj() * spectra[:, 1]
    correlation = (phase.exp() @ cross).real
    best = correlation.argmax(1, keepdim=True).clamp(1, 2 * steps - 1)  # with both neighbours
    # The vertex of the parabola through the largest value and its neighbours, in steps.
    before, here, after = (correlation.gather(1, best + step)[:, 0] for step in (-1, 0, 1))
    curvature = before - 2 * here + after
    vertex = torch.where(curvature < 0, 0.5 * (before - after) / curvature, 0.0).clamp(-1, 1)
    sounding = cross.abs().sum(1) > 0
    return torch.where(sounding, delays[best[:, 0]] + DELAY_STEP_S * vertex, 0.0)
