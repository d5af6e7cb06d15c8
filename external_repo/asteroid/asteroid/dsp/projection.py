r"""Split an estimate into what comes from the target, from the noise, and from neither.

With mean-free signals :math:`\hat s` (estimate), :math:`s` (target) and :math:`n` (noise):

* scale-invariant: :math:`\hat s = a s + d`, :math:`a = \langle\hat s, s\rangle / \|s\|^2`;
* joint: :math:`\hat s = a s + e_i + e_a` with :math:`a s + e_i` the orthogonal projection of
  :math:`\hat s` onto the plane of :math:`s` and :math:`n`, minus :math:`a s`. The three parts are
  mutually orthogonal, so their energies add up.

Source: Le Roux, Wisdom, Erdogan and Hershey, "SDR - half-baked or well done?", ICASSP 2019;
Vincent, Gribonval and Fevotte, "Performance measurement in blind audio source separation", 2006.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from asteroid.utils.registry import check_choice

from .lengths import check_lengths, sample_mask, zero_padding

__all__ = [
    "Decomposition",
    "Projection",
    "decompose",
    "project",
    "project_centred",
    "remove_mean",
]


class Projection(NamedTuple):
    """``estimate = scale * target + distortion``: ``(batch,)`` and ``(batch, samples)``."""

    scale: Tensor
    distortion: Tensor


class Decomposition(NamedTuple):
    """``estimate = target + interference + artefact``, each ``(batch, samples)``."""

    target: Tensor
    interference: Tensor
    artefact: Tensor


def remove_mean(signal: Tensor, lengths: Tensor | None = None, *, checked: bool = False) -> Tensor:
    """Return the signal without its mean over time; padding neither counts nor stays.

    Args:
        signal: ``(batch, ..., samples)``.
        lengths: Valid samples of each utterance, ``(batch,)``; all of them if not given.
        checked: Whether :func:`.check_lengths` has been through ``lengths`` already.

    Raises:
        ValueError: ``lengths`` does not fit the signal.
    """
    if lengths is None:
        return signal - signal.mean(-1, keepdim=True)
    if not checked:
        lengths = check_lengths(lengths, signal.shape[0], signal.shape[-1])
    lengths = lengths.to(signal.device)
    signal = zero_padding(signal, lengths)
    counts = lengths.reshape(-1, *(1,) * (signal.ndim - 1)).to(signal.dtype)
    return zero_padding(signal - signal.sum(-1, keepdim=True) / counts, lengths)


def _check(estimate: Tensor, *references: Tensor) -> None:
    for reference in references:
        if estimate.ndim != 2 or estimate.shape != reference.shape:
            raise ValueError(
                "signals must be (batch, samples) and alike in shape; got "
                f"{tuple(estimate.shape)} and {tuple(reference.shape)}"
            )


def _along(estimate: Tensor, direction: Tensor, eps: float = 0.0) -> Tensor:
    """Coefficient of the projection of ``estimate`` on ``direction``; 0 where that is silent."""
    energy = (direction * direction).sum(-1)
    # tiny: 0 / tiny is 0, with a finite gradient
    energy = energy + eps if eps else energy.clamp_min(torch.finfo(energy.dtype).tiny)
    return (estimate * direction).sum(-1) / energy


def project_centred(estimate: Tensor, target: Tensor, *, eps: float = 0.0) -> Projection:
    """Do what :func:`project` does for signals that are mean-free already.

    Args:
        estimate: ``(batch, samples)``.
        target: ``(batch, samples)``.
        eps: Added to the target's energy, absolute; only to reproduce published values.
    """
    scale = _along(estimate, target, eps)
    return Projection(scale, torch.addcmul(estimate, scale[:, None], target, value=-1))


def project(estimate: Tensor, target: Tensor, *, lengths: Tensor | None = None) -> Projection:
    """Split the estimate into its projection on the target and the distortion.

    Args:
        estimate: ``(batch, samples)``; the mean over time is removed first.
        target: ``(batch, samples)``, likewise. Where it is silent, everything is distortion.
        lengths: Valid samples of each utterance, ``(batch,)``.

    Raises:
        ValueError: Shapes differ or ``lengths`` does not fit.

    Example:
        >>> target = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
        >>> project(2 * target + torch.tensor([[1.0, 1.0, -1.0, -1.0]]), target).scale
        tensor([2.])
    """
    _check(estimate, target)
    return project_centred(remove_mean(estimate, lengths), remove_mean(target, lengths))


def decompose(
    estimate: Tensor,
    target: Tensor,
    noise: Tensor,
    *,
    decomposition: str = "joint",
    lengths: Tensor | None = None,
) -> Decomposition:
    """Split the estimate into target, interference and artefact parts.

    Args:
        estimate: ``(batch, samples)``; the mean over time is removed first.
        target: ``(batch, samples)``, likewise.
        noise: ``(batch, samples)``, likewise.
        decomposition: ``"joint"`` projects onto the plane of target and noise, so that the parts
            are orthogonal (the residual of a noise that is a multiple of the target is artefact);
            ``"separate"`` projects on each alone, as published with arXiv 2506.18714, which
            counts what target and noise have in common twice.
        lengths: Valid samples of each utterance, ``(batch,)``.

    Raises:
        ValueError: Shapes differ, ``lengths`` does not fit, or the decomposition is unknown.
    """
    check_choice("decomposition", decomposition, ("joint", "separate"))
    _check(estimate, target, noise)
    estimate, target, noise = (remove_mean(x, lengths) for x in (estimate, target, noise))
    part = _along(estimate, target)[:, None] * target
    if decomposition == "separate":
        interference = _along(estimate, noise)[:, None] * noise
    else:
        interference = _beyond(estimate - part, target, noise)
    artefact = estimate - part - interference
    if lengths is not None:
        mask = sample_mask(lengths, estimate.shape[-1], device=estimate.device)
        artefact = artefact * mask
    return Decomposition(part, interference, artefact)


def _beyond(rest: Tensor, target: Tensor, noise: Tensor) -> Tensor:
    """Project what is left of the estimate on the noise's component orthogonal to the target.

    Gram-Schmidt done twice, so that round-off of nearly collinear signals stays small; a noise
    that is collinear with the target to working precision has no such component.
    """
    component = noise
    for _ in range(2):
        component = component - _along(component, target)[:, None] * target
    # Round-off of both projections, as an energy.
    floor = (32 * torch.finfo(noise.dtype).eps) ** 2 * (noise * noise).sum(-1)
    collinear = (component * component).sum(-1) <= floor
    component = torch.where(collinear[:, None], torch.zeros_like(component), component)
    return _along(rest, component)[:, None] * component
