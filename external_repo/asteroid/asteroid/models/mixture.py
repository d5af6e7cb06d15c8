"""Mixtures as networks take them."""

from __future__ import annotations

from torch import Tensor

__all__ = ["check_floating", "first_channel"]


def check_floating(mixture: object) -> None:
    """Raise TypeError unless the mixture is a floating-point tensor."""
    if not isinstance(mixture, Tensor) or not mixture.is_floating_point():
        kind = mixture.dtype if isinstance(mixture, Tensor) else type(mixture).__name__
        raise TypeError(f"the mixture must be a floating-point tensor; got {kind}")


def first_channel(mixture: Tensor) -> Tensor:
    """Return the first channel (the reference microphone) of each mixture, ``(batch, samples)``.

    Args:
        mixture: ``(batch, samples)``, ``(batch, channels, samples)`` or ``(samples,)``.

    Raises:
        TypeError: It is no floating-point tensor.
        ValueError: It has another number of dimensions, or is empty.
    """
    check_floating(mixture)
    if not 1 <= mixture.ndim <= 3 or 0 in mixture.shape:
        raise ValueError(
            "the mixture must have shape (batch, samples) or (batch, channels, samples), none "
            f"empty; got {tuple(mixture.shape)}"
        )
    if mixture.ndim == 3:
        return mixture[:, 0]
    return mixture if mixture.ndim == 2 else mixture[None]
