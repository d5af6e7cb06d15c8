"""Augmentation of a batch: noises exchanged among its items, other levels and colours."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch

from asteroid.dsp.lengths import sample_mask
from seloss.data.formats.batch import Batch
from seloss.train.options.recipe import DataConfig

__all__ = ["augmentation", "remix"]

TINY = 1e-20
KNOTS, LOW = 8, 40.0  # gains are drawn at 8 frequencies, linear below a fortieth of the highest


def augmentation(data: DataConfig) -> Callable[[Batch], Batch] | None:
    """Return the augmentation that the options ask for; None if there is none."""
    return partial(remix, gain_db=data.gain_db) if data.remix else None


def remix(batch: Batch, *, gain_db: float = 0.0) -> Batch:
    """Return the batch with its noises exchanged among the items, and other levels and colours.

    Every item keeps the energies, and so the SNR, of its speech and its noise before the level is
    changed: the noise that it is given is scaled, and repeated or cut to its length. Draws from
    torch's global generator.

    Args:
        batch: Of one microphone; speech and noise add up to the mixture.
        gain_db: Largest change of each item's level, and of every part of the spectra of its speech
            (the target too) and its noise, dB up or down.

    Raises:
        ValueError: An item has several microphones: the noise at the others is not known.

    Source: Defossez, Synnaeve and Adi, "Real time speech enhancement in the waveform domain",
        Interspeech 2020 (dealing out noises); Valin, "A hybrid DSP/deep learning approach to
        real-time full-band speech enhancement", MMSP 2018 (random filters for both).
    """
    if batch.mixture.shape[1] != 1:
        raise ValueError(
            "data.remix needs mixtures of one microphone (data.max_mics: 1); got "
            f"{batch.mixture.shape[1]}"
        )
    before = batch.sources[:, :2]
    size, _, n_samples = before.shape
    dealt = torch.randperm(size).to(before.device)
    # A noise that is shorter than its new speech is repeated.
    index = torch.arange(n_samples, device=before.device) % batch.lengths[dealt, None]
    after = torch.stack([before[:, 0], before[dealt, 1].gather(-1, index)], 1)
    if gain_db:
        after = _coloured(after, gain_db)
    after = after * sample_mask(batch.lengths, n_samples)[:, None]
    energies = [signal.square().sum(-1, keepdim=True) for signal in (before, after)]
    # Colouring and cutting have changed the energies: the SNR is that of before again.
    after = after * (energies[0] / (energies[1] + TINY)).sqrt()
    gain = 10 ** (gain_db * (2 * torch.rand(size, 1, 1) - 1).to(before.device) / 20)
    sources = gain * after
    return batch._replace(mixture=sources.sum(1, keepdim=True), sources=sources)


def _coloured(signals: torch.Tensor, gain_db: float) -> torch.Tensor:
    """Filter each of ``(batch, sources, samples)`` by random gains that change over octaves."""
    n_samples = signals.shape[-1]
    spectra = torch.fft.rfft(signals)
    n_bins = spectra.shape[-1]
    draws = gain_db * (2 * torch.rand(*signals.shape[:2], KNOTS) - 1).to(signals.device)
    bins = torch.arange(n_bins, device=signals.device)
    # From 0 at the lowest bin to KNOTS - 1 at the highest, and logarithmic in between.
    place = torch.log1p(LOW * bins / n_bins) / math.log1p(LOW) * (KNOTS - 1)
    left = place.long().clamp_max(KNOTS - 2)
    curve_db = torch.lerp(draws[..., left], draws[..., left + 1], place - left)
    coloured: torch.Tensor = torch.fft.irfft(spectra * 10 ** (curve_db / 20), n=n_samples)
    return coloured
