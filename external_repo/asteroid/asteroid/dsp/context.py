"""Half-overlapping windows with context on both sides.

A window of ``window`` samples advances by ``window // 2`` and carries ``context`` samples before
and after. The first window lies wholly before the signal and the last one reaches its end, so
that every sample lies in two windows, whatever the signal's length.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["context_windows", "count_windows", "overlap_add", "reference_correlation"]


def count_windows(n_samples: int, window: int) -> int:
    """Return how many windows cover a signal of ``n_samples``."""
    # The first lies before the signal, and the last must reach its end.
    return (n_samples + window) // (window // 2) + 1


def context_windows(signal: Tensor, window: int, context: int) -> Tensor:
    """Cut a signal into windows with context; nothing is copied per window.

    Args:
        signal: ``(..., samples)``.
        window: Even number of samples of one window.
        context: Samples before and after each window; zeros outside the signal.

    Returns:
        A view ``(..., windows, window + 2 * context)`` of the padded signal.

    Raises:
        ValueError: ``window`` is odd or not positive, or ``context`` is negative.
    """
    if window < 2 or window % 2:
        raise ValueError(f"window must be an even, positive number of samples; got {window}")
    if context < 0:
        raise ValueError(f"context must not be negative; got {context}")
    padded = F.pad(signal, (context + window, context + window))
    return padded.unfold(-1, window + 2 * context, window // 2)


def overlap_add(windows: Tensor, n_samples: int) -> Tensor:
    """Add half-overlapping windows up to a signal, without weighting.

    Args:
        windows: ``(..., windows, window)``, as :func:`context_windows` places them.
        n_samples: Length of the signal they were cut from.

    Returns:
        ``(..., n_samples)``.
    """
    window = windows.shape[-1]
    first, second = windows.split(window // 2, dim=-1)
    blocks = F.pad(first, (0, 0, 0, 1)) + F.pad(second, (0, 0, 1, 0))
    return blocks.flatten(-2)[..., window : window + n_samples]


def reference_correlation(
    signal: Tensor, window: int, context: int, *, eps: float = 1e-8
) -> Tensor:
    r"""Normalised cross-correlation of each microphone with the first one, window by window.

    With :math:`r_l` the ``l``-th window of microphone 0 and :math:`x_{l,k}` the equally long piece
    that starts ``k - context`` samples later in another microphone:

    .. math:: \frac{\langle x_{l,k}, r_l \rangle}{(\|x_{l,k}\| + eps)(\|r_l\| + eps)}

    The products are summed in the time domain, because next to digital silence the round-off of a
    fast Fourier transform would be divided by almost nothing. Consecutive windows share half
    a window, so each product is computed once per half. The value does not depend on the level as
    long as norms stay far above ``eps``; at digital silence it is 0 and its gradient is finite.

    Args:
        signal: ``(..., mics, samples)``, float32 or float64.
        window: Even number of samples of one window.
        context: Largest shift in either direction.
        eps: Added to both norms.

    Returns:
        ``(..., mics, windows, 2 * context + 1)``.

    Source: Luo et al., "End-to-end microphone permutation and number invariant multi-channel
        speech separation", ICASSP 2020, equation 2.
    """
    hop, lags = window // 2, 2 * context + 1  # shifts from -context to +context
    n_windows = count_windows(signal.shape[-1], window)
    n_blocks = -(-lags // hop)
    end = (n_windows + n_blocks + 2) * hop - signal.shape[-1] - context - window
    padded = F.pad(signal, (context + window, max(end, context + window)))

    reference = padded[..., 0, context : context + (n_windows + 1) * hop]
    shifted = _toeplitz(reference.unflatten(-1, (n_windows + 1, hop)))
    pieces = padded.unfold(-1, 2 * hop, hop).unfold(-2, n_blocks, 1)[..., : n_windows + 1, :, :]
    # (..., halves, mics * blocks, 2 hop) @ (..., halves, 2 hop, hop): the columns come with the
    # largest shift first, and lag = block * hop + shift
    pieces = pieces.transpose(-1, -2).movedim(-4, -3)
    halves = (pieces.flatten(-3, -2) @ shifted).unflatten(-2, (-1, n_blocks)).flip(-1).flatten(-2)
    halves = halves[..., :lags].movedim(-2, -3)
    products = halves[..., :-1, :] + halves[..., 1:, :]

    scale = 1 / (_moving_norm(padded, window) + eps)
    # A window of the reference starts ``context`` samples into the padded signal.
    reference_scale = scale[..., :1, context::hop][..., :n_windows, None]
    normalised: Tensor = products * scale.unfold(-1, lags, hop)[..., :n_windows, :]
    return normalised * reference_scale


def _toeplitz(blocks: Tensor) -> Tensor:
    """Matrices of a block shifted down by ``n - 1`` to 0 in its columns: (..., n) -> (..., 2n, n).

    In this order of the columns they are a view of the padded block.
    """
    n = blocks.shape[-1]
    return F.pad(blocks, (n - 1, n)).unfold(-1, 2 * n, 1).transpose(-1, -2)


def _moving_norm(signal: Tensor, window: int) -> Tensor:
    """Euclidean norm of every stretch of ``window`` samples, with gradient 0 where it is 0."""
    energy = _moving_sum(signal.square(), window)
    silent = energy <= 0  # where the root has no gradient
    norm: Tensor = energy.masked_fill(silent, 1).sqrt().masked_fill(silent, 0)
    return norm


def _moving_sum(values: Tensor, window: int) -> Tensor:
    """Sum of every stretch of ``window`` values, from sums of 1, 2, 4 ... of them.

    Unlike a difference of cumulative sums this is exact next to silence, and unlike pooling it
    takes a logarithmic number of additions.
    """
    n_sums = values.shape[-1] - window + 1
    total = values.new_zeros(())
    start, size = 0, 1
    while True:
        if window & size:
            total = total + values[..., start : start + n_sums]
            start += size
        if 2 * size > window:
            return total
        values = values[..., :-size] + values[..., size:]
        size *= 2
