"""Asteroid's normalisations for tensors whose channels come last."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.masknn import norms

__all__ = ["build_norm", "normalise"]

_EPS = 1e-8  # that of asteroid.masknn.norms


def build_norm(name: object, n_channels: int) -> nn.Module:
    """Build one of Asteroid's normalisations for :func:`normalise`.

    Raises:
        ValueError: No such normalisation, or one that needs an order of time: ``cgLN`` averages
            over the past of a sequence, which folded dual-path features do not have.
    """
    kind = norms.get(name) if name is not None else None
    if kind is None or kind is norms.CumLN:
        raise ValueError(f"norm_type must be one of gLN, cLN, fgLN, bN; got {name!r}")
    module: nn.Module = kind(n_channels)
    return module


def normalise(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a normalisation to ``(rows, ..., channels)``; global ones by a single group norm.

    Args:
        norm: One of :mod:`asteroid.masknn.norms`, made for ``(rows, channels, ...)``.
        x: Three or four dimensions.

    Returns:
        Of the shape of ``x``.
    """
    if isinstance(norm, norms.ChanLN):
        return F.layer_norm(x, x.shape[-1:], norm.gamma, norm.beta, _EPS)
    first = x.movedim(-1, 1)
    if isinstance(norm, norms.GlobLN):
        image = first if first.ndim == 4 else first.unsqueeze(-1)
        normed = F.group_norm(image, 1, norm.gamma, norm.beta, _EPS)
        first = normed.view_as(first) if first.ndim == 4 else normed.squeeze(-1)
    else:
        first = norm(first)
    return first.movedim(1, -1)
