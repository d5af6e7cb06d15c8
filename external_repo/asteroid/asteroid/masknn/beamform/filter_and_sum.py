"""Filter-and-sum beamforming of windows with context by fast Fourier transforms."""

from __future__ import annotations

from typing import Any

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
    outputs = [_FilterAndMean.apply(signals, taps, window) for signals, taps in groups]
    joined: Tensor = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return joined.transpose(1, 2)


class _FilterAndMean(torch.autograd.Function):
    """(arrays, mics, windows, n), (arrays, mics, windows, sources, n) -> mean over mics.

    The gradients are the same kind of real transforms again; left to autograd, the transform of the
    filters would be differentiated by complex ones of twice the size.
    """

    @staticmethod
    def forward(ctx: Any, windows: Tensor, filters: Tensor, window: int) -> Tensor:
        ctx.save_for_backward(windows, filters if windows.requires_grad else None)
        n, ctx.n_mics = windows.shape[-1], windows.shape[1]
        # conj(sum conj(X) H) = sum X conj(H): only the spectra of the windows are conjugated
        spectrum = torch.fft.rfft(windows).conj().resolve_conj().unsqueeze(-2)
        mean = torch.fft.rfft(filters).mul_(spectrum).mean(1)
        filtered: Tensor = torch.fft.irfft(mean.conj(), n=n)[..., :window]
        return filtered

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        windows, filters = ctx.saved_tensors
        n = windows.shape[-1]
        gradient = (torch.fft.rfft(gradients[0], n=n) / ctx.n_mics).unsqueeze(1)
        to_windows = to_filters = None
        if ctx.needs_input_grad[0]:
            spectrum = (torch.fft.rfft(filters) * gradient).sum(-2)
            to_windows = torch.fft.irfft(spectrum, n=n)
        if ctx.needs_input_grad[1]:
            spectrum = torch.fft.rfft(windows).unsqueeze(-2) * gradient.conj().resolve_conj()
            to_filters = torch.fft.irfft(spectrum, n=n)
        return to_windows, to_filters, None
