"""New mixtures out of a batch: another item's noise, another level."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from asteroid.data.batch import Batch
from asteroid.dsp.lengths import sample_mask

from .config import DataConfig

__all__ = ["augmentation", "remix"]

TINY = 1e-20


def augmentation(data: DataConfig) -> Callable[[Batch], Batch] | None:
    """Return what the options want done to training batches; None if nothing."""
    return partial(remix, gain_db=data.gain_db) if data.remix else None


def remix(batch: Batch, *, gain_db: float = 0.0) -> Batch:
    """Return the batch with noises dealt out anew among its items, and levels changed.

    Every item keeps its speech and its SNR: the noise that it is dealt is scaled, and repeated or
    cut to its length. Draws from torch's global generator.

    Args:
        batch: Of one microphone; speech and noise add up to the mixture.
        gain_db: Each item's level is changed by up to so many dB, up or down.

    Raises:
        ValueError: An item has several microphones: the noise at the others is not known.

    Source: the noise shuffling of Defossez, Synnaeve and Adi, "Real time speech enhancement in the
        waveform domain", Interspeech 2020.
    """
    if batch.mixture.shape[1] != 1:
        raise ValueError(
            "data.remix needs mixtures of one microphone (data.max_mics: 1); got "
            f"{batch.mixture.shape[1]}"
        )
    speech, noise = batch.sources[:, 0], batch.sources[:, 1]
    size, n_samples = speech.shape
    dealt = torch.randperm(size).to(speech.device)
    index = torch.arange(n_samples, device=speech.device) % batch.lengths[dealt, None]
    other = noise[dealt].gather(-1, index)
    other = other * sample_mask(batch.lengths, n_samples)
    energies = [x.square().sum(-1, keepdim=True) for x in (noise, other)]
    other = other * (energies[0] / (energies[1] + TINY)).sqrt()
    gain = 10 ** (gain_db * (2 * torch.rand(size, 1, 1) - 1).to(speech.device) / 20)
    sources = gain * torch.stack([speech, other], 1)
    return batch._replace(mixture=sources.sum(1, keepdim=True), sources=sources)
