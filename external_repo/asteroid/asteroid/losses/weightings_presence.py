r"""Time-frequency weightings by speech presence, competition and onset.

The abstract of "Time-Frequency Weighted Losses for Phoneme Reconstruction in DNN-Based Speech
Enhancement" (Monir et al., arXiv 2606.21635) names local speech presence, speech-to-interference
ratio and spectral flux; no formula was to be found. What follows is this project's own design:

* presence :math:`a = S^2 / (S^2 + S_0^2)`, with :math:`S_0` a given number of dB under the
  utterance's root mean square;
* competition :math:`c = \max(1 - |20 \log_{10}(S / N)| / r, 0)`, 1 where speech and noise are
  equal, 0 where they differ by r dB or more;
* flux :math:`f = \max(S_t - S_{t-1}, 0) / (S_t + S_{t-1})`, near 1 at onsets, 0 in the first frame.

All of them are from 0 to 1 and independent of level.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .weightings import EPS, TINY, WEIGHTINGS, Cells, Weighting

__all__ = ["competition", "flux", "presence"]


def presence(cells: Cells, floor_db: float) -> Tensor:
    """Speech presence of each cell, from 0 to 1; 1/2 at ``floor_db`` relative to the level."""
    energy = cells.relative(cells.speech, cells.speech) ** 2
    return energy / (energy + 10 ** (floor_db / 10))


def competition(cells: Cells, range_db: float) -> Tensor:
    """Closeness of speech and noise in level, from 0 to 1."""
    both = (cells.speech**2 + cells.noise**2).sqrt()
    speech, noise = (cells.relative(x, both) + EPS for x in (cells.speech, cells.noise))
    return (1 - 20 * torch.log10(speech / noise).abs() / range_db).relu()


def flux(cells: Cells) -> Tensor:
    """Relative rise of speech from the frame before, from 0 to 1."""
    before, now = cells.speech[..., :-1], cells.speech[..., 1:]
    rise = (now - before).relu() / (now + before + TINY)
    return torch.nn.functional.pad(rise, (1, 0))  # the first frame has none before it


@WEIGHTINGS.register("speech_presence")
def speech_presence(floor_db: float = -20.0) -> Weighting:
    """Cells that hold speech: w = a."""
    return lambda cells: presence(cells, floor_db)


@WEIGHTINGS.register("presence_competition")
def presence_competition(
    floor_db: float = -20.0, range_db: float = 20.0, alpha: float = 1.0
) -> Weighting:
    """Cells that hold speech, more where noise is about as strong: w = a (1 + alpha c)."""
    return lambda cells: presence(cells, floor_db) * (1 + alpha * competition(cells, range_db))


@WEIGHTINGS.register("presence_flux")
def presence_flux(floor_db: float = -20.0, beta: float = 1.0) -> Weighting:
    """Cells that hold speech, more at onsets: w = a (1 + beta f)."""
    return lambda cells: presence(cells, floor_db) * (1 + beta * flux(cells))


@WEIGHTINGS.register("presence_competition_flux")
def presence_competition_flux(
    floor_db: float = -20.0, range_db: float = 20.0, alpha: float = 1.0, beta: float = 1.0
) -> Weighting:
    """All three: w = a (1 + alpha c) (1 + beta f)."""

    def weights(cells: Cells) -> Tensor:
        contested = 1 + alpha * competition(cells, range_db)
        return presence(cells, floor_db) * contested * (1 + beta * flux(cells))

    return weights
