"""Filter-and-sum beamforming of windows with context by fast Fourier transforms."""

from __future__ import annotations

import torch
from torch import Tensor

from .packed_mics import PackedMics

__all__ = ["filter_and_sum"]


def filter_and_sum(windows: Tensor, filters: Tensor, window: int, mics: PackedMics) -> Tensor:
    r"""Filter every microphone's window and average over the microphones of each array.

    .. math:: y_{b,s,l}(t) = \frac{1}{M_b} \sum_m \sum_k x_{m,l}(t + k) h_{m,l,s}(k)

    The spectrum of a window serves all sources, and the average is taken between the transforms,
    so that one inverse transform per array and source remains. The transform is as long as a
    window with its context: whatever wraps around falls outside the samples kept.

    Args:
        windows: ``(rows, windows, window + 2 * context)``, float32 or float64; rows are ``mics``'.
        filters: ``(rows, windows, sources, window + 2 * context)``, of the same dtype; the last
            ``window - 1`` taps must be zero, so that nothing needs padding here.
        window: Samples of a window without its context.
        mics: How rows belong to arrays.

    Returns:
        ``(batch, sources, windows, window)``.

    Source: Luo et al., ICASSP 2020, equation 1.
    """
    groups = zip(mics.groups(windows), mics.groups(filters), strict=True)
    outputs = [_filter_and_mean(signals, taps, window) for signals, taps in groups]
    joined: Tensor = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return joined.transpose(1, 2)


def _filter_and_mean(windows: Tensor, filters: Tensor, window: int) -> Tensor:
    """(arrays, mics, windows, n), (arrays, mics, windows, sources, n) -> mean over mics."""
    # A correlation: sum X conj(H). As conj(sum conj(X) H), only the windows' spectra are
    # conjugated, which serve all sources.
    mean = (torch.fft.rfft(filters) * torch.fft.rfft(windows).conj().unsqueeze(-2)).mean(1)
    filtered: Tensor = torch.fft.irfft(mean.conj(), n=windows.shape[-1])
    return filtered[..., :window]
