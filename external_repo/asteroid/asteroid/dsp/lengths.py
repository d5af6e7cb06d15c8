"""Lengths of the utterances in a zero-padded batch."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

__all__ = ["Count", "at_least", "check_lengths", "sample_mask", "zero_padding"]

Count = TypeVar("Count", int, Tensor)


def at_least(count: Count, least: int) -> Count:
    """Return the larger of both; a number stays a number, so no device is waited for."""
    return count.clamp_min(least) if isinstance(count, Tensor) else max(count, least)


def check_lengths(lengths: Tensor, batch: int, n_samples: int) -> Tensor:
    """Return the lengths as a long tensor, after checking them.

    Those on a GPU are not waited for: a length outside the range ends the program there, by an
    assertion of the device, some operations later.

    Args:
        lengths: Valid samples of each utterance, ``(batch,)``, each from 1 to ``n_samples``.
        batch: Number of utterances.
        n_samples: Samples of the padded batch.

    Raises:
        ValueError: Wrong shape, or a length outside the range (not on a GPU).
    """
    lengths = torch.as_tensor(lengths).long()
    if lengths.shape != (batch,):
        raise ValueError(
            f"lengths must have shape ({batch},), one per utterance; got {tuple(lengths.shape)}"
        )
    inside = ((lengths >= 1) & (lengths <= n_samples)).all()
    if lengths.device.type in ("cuda", "meta"):  # others cannot check without waiting
        torch._assert_async(inside, f"lengths must be from 1 to {n_samples} samples")
    elif not inside:
        raise ValueError(f"lengths must be from 1 to {n_samples} samples; got {lengths.tolist()}")
    return lengths


def sample_mask(lengths: Tensor, n_samples: int, *, device: torch.device | None = None) -> Tensor:
    """Return a boolean mask ``(batch, n_samples)``, true inside each utterance."""
    device = lengths.device if device is None else device
    return torch.arange(n_samples, device=device) < lengths.to(device)[:, None]


def zero_padding(signal: Tensor, lengths: Tensor) -> Tensor:
    """Return the signal ``(batch, ..., samples)`` with exact zeros behind each utterance."""
    mask = sample_mask(lengths, signal.shape[-1], device=signal.device)
    mask = mask.reshape(mask.shape[0], *(1,) * (signal.ndim - 2), mask.shape[-1])
    return torch.where(mask, signal, signal.new_zeros(()))
