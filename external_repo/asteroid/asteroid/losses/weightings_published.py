"""The weightings exactly as published with arXiv 2506.18714, to reproduce its numbers.

They may be negative, infinite or NaN, depend on level, and are not for training: what is wrong
with each, and the fixed form, is in ``weightings.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from asteroid.dsp.bands import Scale, band_table

from .weightings import Cells, Weighting

__all__ = ["PUBLISHED_WEIGHTINGS", "build_published_weighting"]

EPS = 1e-8  # absolute, as published
FIRST_ADJUSTMENT_DB = 15.65  # ANSI S3.5-1997, Table 3: bandwidth adjustment of the 160 Hz band ...
STEP_DB = 1.0  # ... and what each further third octave adds

_TABLES = {18: "third_octave_18", 21: "critical_21_published", 25: "quackenbush_25"}


def _snr(cells: Cells) -> Tensor:
    return cells.mean(cells.speech**2) / (cells.mean(cells.noise**2) + EPS)


def _log_snr(cells: Cells) -> Tensor:
    return torch.log10(_snr(cells) + EPS)


def _importance(cells: Cells) -> Tensor:
    importance = band_table(_TABLES[cells.scale.n_bands]).importance
    return cells.speech.new_tensor(importance)[None, :, None]


def _bandwidth(cells: Cells) -> Tensor:
    steps = torch.arange(18, device=cells.speech.device, dtype=cells.speech.dtype)
    return 10 ** ((FIRST_ADJUSTMENT_DB + STEP_DB * steps) / 10)[None, :, None]


PUBLISHED_WEIGHTINGS: dict[str, Callable[[Cells, float], Tensor]] = {
    "wo": lambda c, _: torch.ones_like(c.speech),
    "speech_norm": lambda c, gamma: c.speech**gamma,
    "log_snr_speech_norm": lambda c, gamma: -_log_snr(c) * c.speech**gamma,
    "log_snr_softmax_speech_norm": lambda c, _: -_log_snr(c) * torch.softmax(c.speech, 1),
    "softmax_inverse_snr_speech_norm": lambda c, gamma: (
        torch.softmax(1 / _snr(c), 1) * c.speech**gamma
    ),
    "inverse_spectral_diff": lambda c, _: 1 / ((c.speech - c.noise).abs() + EPS),
    "softmax": lambda c, _: torch.softmax(-_snr(c), 1),
    "softmax_ps": lambda c, _: torch.softmax(-_snr(c), 1) * c.mean(c.speech**2),
    "softmax_log": lambda c, _: torch.softmax(-_log_snr(c), 1),
    "sigmoid": lambda c, _: torch.sigmoid(-_snr(c)),
    "sigmoid_log": lambda c, _: torch.sigmoid(-_log_snr(c)),
    "relu": lambda c, _: _snr(c).relu(),
    "relu_log": lambda c, _: _log_snr(c).relu(),
    "perceptual": lambda c, _: _importance(c),
    "perceptual-2": lambda c, _: _bandwidth(c),
    "perceptual-3": lambda c, _: _importance(c) * _bandwidth(c),
}


def build_published_weighting(name: str, scale: Scale, gamma: float = 0.2) -> Weighting:
    """Return a published weighting.

    Args:
        name: One of the published names.
        scale: The scale it will weight; the perceptual tables fit 18, 21 or 25 bands only, the
            bandwidths of ``perceptual-2`` and ``-3`` 18.
        gamma: Exponent of the speech in the weightings that have it.

    Raises:
        ValueError: The name is not a published one, or has no table for the scale's bands.
    """
    if name not in PUBLISHED_WEIGHTINGS:
        names = ", ".join(PUBLISHED_WEIGHTINGS)
        raise ValueError(
            f'weights_type must, with variant="published", be one of {names}; got {name!r}'
        )
    fitting = {"perceptual": tuple(_TABLES), "perceptual-2": (18,), "perceptual-3": (18,)}
    if name in fitting and scale.n_bands not in fitting[name]:
        names = ", ".join(map(str, fitting[name]))
        raise ValueError(
            f"the published weights_type {name!r} has a table for {names} bands; "
            f"the scale has {scale.n_bands}"
        )
    formula = PUBLISHED_WEIGHTINGS[name]
    return lambda cells: formula(cells, gamma)
