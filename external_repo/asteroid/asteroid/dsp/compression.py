"""Power compression of spectra: magnitudes to a power, phases kept."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["compress", "compress_published", "expand"]

FLOOR = 1e-7


def compress(spectrum: Tensor, power: float) -> Tensor:
    """Return ``|X|^power e^{i arg X}`` as ``(batch, 2, freq, frames)``: real, imaginary.

    Computed as ``X (|X|^2 + 1e-7)^((power - 1) / 2)``: zero where ``X`` is, smooth everywhere.

    Args:
        spectrum: Complex ``(batch, freq, frames)``.
        power: Exponent of the magnitude.
    """
    parts = torch.stack([spectrum.real, spectrum.imag], dim=1)
    energy = parts.square().sum(1, keepdim=True)
    return parts * (energy + FLOOR) ** ((power - 1) / 2)


def compress_published(spectrum: Tensor, power: float) -> Tensor:
    """Return what the original computes: it gives silence a magnitude of ``3.2e-4^power``."""
    angle = torch.atan2(spectrum.imag, spectrum.real)
    magnitude = (spectrum.real.square() + spectrum.imag.square() + FLOOR).sqrt()
    magnitude = magnitude**power
    return torch.stack([magnitude * angle.cos(), magnitude * angle.sin()], dim=1)


def expand(parts: Tensor, power: float) -> Tensor:
    """Undo :func:`compress`: ``(batch, 2, freq, frames)`` to complex ``(batch, freq, frames)``."""
    energy = parts.square().sum(1, keepdim=True)
    exponent = (1 / power - 1) / 2  # |Y|^2 to this is |Y|^(1 / power) / |Y|
    if abs(exponent - round(exponent)) > 1e-9:
        energy = energy.clamp_min(FLOOR**2)  # a fractional power has no gradient at zero
    re, im = (parts * energy**exponent).unbind(1)
    return torch.complex(re, im)
