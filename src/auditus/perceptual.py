"""STOI, ESTOI and PESQ, by the libraries ``pystoi`` and ``pesq``.

Both libraries fail or answer with a placeholder where the measure is not defined; here that is NaN
with the reason, never a score. Signals are brought to unit power first, which neither measure
depends on, so that no library constant makes the level matter.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asteroid.utils.optional import needed_for

from .memory import once
from .metric import Rows, Scores, metric
from .pesq_process import pesq_score

__all__ = ["estoi", "pesq_nb", "pesq_wb", "stoi"]

# STOI compares spectra over 30 frames of 25.6 ms that advance by 12.8 ms.
STOI_MIN_SECONDS = 0.397
# P.862's buffer, as its code refuses shorter ones.
PESQ_MIN_SECONDS = 0.25

_Array = NDArray[np.float64]


@metric(
    "stoi",
    "STOI",
    unit="",
    bounds=(-1.0, 1.0),
    min_seconds=STOI_MIN_SECONDS,
    source="Taal, Hendriks, Heusdens, Jensen 2011; pystoi",
)
def stoi(rows: Rows) -> Scores:
    """Short-time objective intelligibility; NaN with less than about 0.4 s of active speech."""
    score = partial(_stoi, sample_rate=rows.sample_rate, extended=False)
    return _by_row(rows.target, rows.estimate, score)


@metric(
    "estoi",
    "ESTOI",
    unit="",
    bounds=(-1.0, 1.0),
    min_seconds=STOI_MIN_SECONDS,
    source="Jensen and Taal 2016; pystoi",
)
def estoi(rows: Rows) -> Scores:
    """Extended short-time objective intelligibility, for modulated maskers."""
    score = partial(_stoi, sample_rate=rows.sample_rate, extended=True)
    return _by_row(rows.target, rows.estimate, score)


@metric(
    "pesq_wb",
    "PESQ",
    unit="MOS-LQO",
    bounds=(0.999, 4.999),
    min_seconds=PESQ_MIN_SECONDS,
    sample_rates=(16000,),
    source="ITU-T P.862.2 (wide band); pesq",
)
def pesq_wb(rows: Rows) -> Scores:
    """Perceptual evaluation of speech quality, wide band, on the whole utterance."""
    return _pesq(rows.target, rows.estimate, rows.sample_rate, "wb")


@metric(
    "pesq_nb",
    "PESQ (nb)",
    unit="MOS-LQO",
    bounds=(0.999, 4.999),
    min_seconds=PESQ_MIN_SECONDS,
    sample_rates=(8000, 16000),
    source="ITU-T P.862 with P.862.1 (narrow band); pesq",
)
def pesq_nb(rows: Rows) -> Scores:
    """Perceptual evaluation of speech quality, narrow band, on the whole utterance."""
    return _pesq(rows.target, rows.estimate, rows.sample_rate, "nb")


@once
def _pesq(target: Tensor, estimate: Tensor, sample_rate: int, mode: str) -> Scores:
    """Score each utterance; the composite measures use it again."""
    return _by_row(target, estimate, partial(pesq_score, sample_rate=sample_rate, mode=mode))


def _by_row(
    target: Tensor, estimate: Tensor, score: Callable[[_Array, _Array], tuple[float, str]]
) -> Scores:
    """Score each utterance; ``score`` takes the reference first, as the libraries do."""
    pairs = list(map(score, unit_power(target), unit_power(estimate)))
    values = torch.tensor([value for value, _ in pairs], dtype=torch.float64)
    return Scores(values, tuple(reason for _, reason in pairs))


@once
def unit_power(signal: Tensor) -> _Array:
    """Scale every row, both ears of a binaural one alike, to a mean square of 1."""
    axes = tuple(range(1, signal.ndim))
    array: _Array = (signal / signal.square().mean(axes, keepdim=True).sqrt()).cpu().numpy()
    return array


def _stoi(
    target: _Array, estimate: _Array, sample_rate: int, *, extended: bool
) -> tuple[float, str]:
    """Call pystoi; it warns and answers 1e-5 when too few frames hold speech."""
    with needed_for("STOI"):
        from pystoi import stoi as pystoi_stoi

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # ESTOI adds noise at the size of rounding: one seed, and numpy's generator as it was.
        state = np.random.get_state()
        np.random.seed(0)
        try:
            value = float(pystoi_stoi(target, estimate, sample_rate, extended=extended))
        finally:
            np.random.set_state(state)
    if any("Not enough STFT frames" in str(entry.message) for entry in caught):
        return np.nan, f"fewer than 30 frames ({STOI_MIN_SECONDS:g} s) of active speech"
    return (value, "") if np.isfinite(value) else (np.nan, "STOI is not finite")
