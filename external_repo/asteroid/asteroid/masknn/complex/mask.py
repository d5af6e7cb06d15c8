"""Masks on complex spectra: what the output of a network does to the noisy spectrum.

Spectra and network outputs are real tensors ``(batch, 2 * channels, freq, frames)``, the real parts
of all channels first. All is done in float32 (float64 for float64), also under autocast.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from asteroid.utils.registry import Registry

__all__ = ["MASKS", "Mask", "apply_mask", "bound_polar"]

Mask = Callable[[Tensor, Tensor], Tensor]
"""``(spectrum, output) -> masked spectrum``; a spectrum of one channel serves all masks."""

MASKS: Registry[Mask] = Registry("mask")

SMALL_POWER = 1e-3  # below it the series of tanh(r) / r is exact to float64's last digits but one


def apply_mask(spectrum: Tensor, mask_output: Tensor, kind: str = "tanh") -> Tensor:
    """Mask a spectrum.

    Args:
        spectrum: Noisy, ``(batch, 2, freq, frames)``, or as many channels as ``mask_output``.
        mask_output: Output of a network, ``(batch, 2 * n, freq, frames)``; half as many channels
            for ``magnitude``.
        kind: ``unbounded``: the output is the mask, a complex product (UBD; DCCRN-C).
            ``sigmoid``: each part of the mask lies in (0, 1), so that it can turn the phase by 0 to
            90 degrees only (BDSS).
            ``tanh``: the mask's magnitude is tanh of the output's and its phase the output's: less
            than 1, and any phase (BDT; DCCRN-E).
            ``separate``: the output's parts multiply the spectrum's parts, unbounded (DCCRN-R).
            ``magnitude``: sigmoid of a real output multiplies the magnitude; the noisy phase stays.

    Returns:
        Masked spectra ``(batch, 2 * n, freq, frames)``. Their gradients are finite everywhere, also
        where spectrum or output is 0.

    Raises:
        ValueError: ``kind`` is unknown.

    Source: Choi et al., "Phase-aware speech enhancement with deep complex U-Net", ICLR 2019,
        section 3.2; Hu et al., "DCCRN", Interspeech 2020, section 2.3.
    """
    mask = MASKS.get(kind)
    exact = torch.promote_types(torch.promote_types(spectrum.dtype, mask_output.dtype), torch.float)
    with torch.autocast(spectrum.device.type, enabled=False):
        return mask(spectrum.to(exact), mask_output.to(exact))


def bound_polar(output: Tensor) -> Tensor:
    """Squeeze magnitudes by tanh and keep phases: ``tanh(|O|) O / |O|``, which is 0 at 0.

    ``tanh(r) / r`` is a smooth function of ``r ** 2``, so no angle, no root of 0 and no offset is
    needed; near 0 it comes from its series.
    """
    re, im = output.chunk(2, dim=1)
    power = re * re + im * im
    small = power < SMALL_POWER
    # each branch sees only what it is for: a gradient of 0 times infinity would be NaN
    magnitude, little = torch.where(small, 1.0, power).sqrt(), torch.where(small, power, 0.0)
    # tanh(r) / r up to r^8
    series = 1 - little * (1 / 3 - little * (2 / 15 - little * (17 / 315 - little * (62 / 2835))))
    factor = torch.where(small, series, magnitude.tanh() / magnitude)
    return torch.cat([re * factor, im * factor], dim=1)


@MASKS.register("unbounded")
def multiply(spectrum: Tensor, mask: Tensor) -> Tensor:
    """Complex product: magnitudes multiply, phases add."""
    re, im = spectrum.chunk(2, dim=1)
    mask_re, mask_im = mask.chunk(2, dim=1)
    return torch.cat([mask_re * re - mask_im * im, mask_re * im + mask_im * re], dim=1)


@MASKS.register("sigmoid")
def _rectangular(spectrum: Tensor, output: Tensor) -> Tensor:
    return multiply(spectrum, output.sigmoid())


@MASKS.register("tanh")
def _polar(spectrum: Tensor, output: Tensor) -> Tensor:
    return multiply(spectrum, bound_polar(output))


@MASKS.register("separate")
def _separate(spectrum: Tensor, output: Tensor) -> Tensor:
    re, im = spectrum.chunk(2, dim=1)
    mask_re, mask_im = output.chunk(2, dim=1)
    return torch.cat([re * mask_re, im * mask_im], dim=1)


@MASKS.register("magnitude")
def _magnitude(spectrum: Tensor, output: Tensor) -> Tensor:
    re, im = spectrum.chunk(2, dim=1)
    gain = output.sigmoid()
    return torch.cat([re * gain, im * gain], dim=1)
