"""Whitening of complex channels: ``y = M (x - mean) + bias`` for each channel's ``[re; im]``.

``M`` is a learnt symmetric 2 x 2 matrix times the inverse square root of the channel's covariance.
Maps are real tensors ``(batch, 2 * C, freq, frames)``, the real parts first; symmetric matrices are
``(3, C)``: re re, re im, im im.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["mix", "moments", "whiten", "whitener"]


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``(2, C)`` and covariance ``(3, C)`` of a map."""
    mean = x.mean(dim=(0, 2, 3))
    re, im = (x - mean[:, None, None]).chunk(2, dim=1)
    products = (re * re, re * im, im * im)
    covariance = torch.stack([product.mean(dim=(0, 2, 3)) for product in products])
    return mean.unflatten(0, (2, -1)), covariance


def whiten(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    covariance: Tensor,
    *,
    eps: float,
    of_batch: bool,
) -> Tensor:
    """Whiten a map.

    Args:
        x: The map, float32 or float64.
        weight: Learnt symmetric matrices ``(3, C)``.
        bias: ``(2, C)``.
        mean: What :func:`moments` gave, or running averages of it.
        covariance: Likewise.
        eps: Added to both variances.
        of_batch: The moments are those of ``x``, so gradients flow through them.
    """
    mean, covariance = moments(x) if of_batch else (mean, covariance)
    centred = x - mean.flatten()[:, None, None]
    return mix(whitener(covariance, weight, eps), centred) + bias.flatten()[:, None, None]


def whitener(covariance: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Learnt matrix times ``(V + eps I)^(-1/2)``: ``(2, 2, C)``; the root by Cayley and Hamilton.

    The determinant is summed from terms that cannot be negative: computed as a difference, it would
    be for proportional parts of large variance.
    """
    a, b, c = covariance
    determinant = (a * c - b * b).clamp_min(0) + eps * (a + c) + eps * eps
    a, c = a + eps, c + eps
    # For a symmetric 2 x 2 matrix, sqrt(V) = (V + sqrt(det V) I) / sqrt(tr V + 2 sqrt(det V)).
    root = determinant.sqrt()
    scale = 1 / (root * (a + c + 2 * root).sqrt())
    # Its inverse: the diagonal's elements change places, the others their sign.
    d, e, f = (c + root) * scale, -b * scale, (a + root) * scale
    p, q, r = weight
    rows = [p * d + q * e, p * e + q * f], [q * d + r * e, q * e + r * f]
    return torch.stack([torch.stack(row) for row in rows])


def mix(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply each channel's ``[re; im]`` by its matrix ``(2, 2, C)``."""
    re, im = x.chunk(2, dim=1)
    m = matrix[..., None, None]
    parts = [torch.addcmul(re * row[0], im, row[1]) for row in m]
    return torch.cat(parts, dim=1)
