"""Power spectra of frames that lie inside a signal, with a gradient that costs one inverse FFT."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .stft import overlap_add

__all__ = ["count_frames", "pad_to_frames", "power_spectrum"]


def power_spectrum(signal: Tensor, window: Tensor, hop_length: int, n_fft: int) -> Tensor:
    """Return the power ``|FFT|^2`` of every frame that lies inside the signal.

    Frames are windowed and padded with zeros at the end to ``n_fft`` samples. The gradient is of
    first order only.

    Args:
        signal: ``(batch, samples)``, float32 or float64, at least as long as the window.
        window: ``(window,)``, at most ``n_fft`` samples.
        hop_length: Samples from one frame to the next.
        n_fft: Length of the transform, even.

    Returns:
        ``(batch, frames, n_fft // 2 + 1)``.

    Example:
        >>> tone = torch.cos(2 * torch.pi * torch.arange(8) / 8)[None]
        >>> power_spectrum(tone, torch.ones(8), 8, 8).round()
        tensor([[[ 0., 16.,  0.,  0.,  0.]]])
    """
    power: Tensor = _Power.apply(signal, window.to(signal), hop_length, n_fft)
    return power


def count_frames(n_samples: Tensor, window: int, hop_length: int) -> Tensor:
    """Return how many frames hold ``n_samples`` samples, the last one filled with zeros."""
    return (n_samples - window).clamp_min(0).add(hop_length - 1) // hop_length + 1


def pad_to_frames(signal: Tensor, window: int, hop_length: int) -> Tensor:
    """Append zeros to ``(batch, samples)`` until every sample lies in a frame."""
    frames = int(count_frames(torch.tensor(signal.shape[-1]), window, hop_length))
    return F.pad(signal, (0, (frames - 1) * hop_length + window - signal.shape[-1]))


class _Power(torch.autograd.Function):
    """See :func:`power_spectrum`; why not autograd: see ``_Magnitude`` in ``stft.py``."""

    @staticmethod
    def forward(ctx: Any, signal: Tensor, window: Tensor, hop_length: int, n_fft: int) -> Tensor:
        frames = signal.unfold(-1, window.shape[0], hop_length) * window
        spectrum = torch.fft.rfft(frames, n=n_fft)
        ctx.save_for_backward(spectrum, window)
        ctx.hop_length, ctx.n_samples, ctx.n_fft = hop_length, signal.shape[-1], n_fft
        real, imaginary = spectrum.real, spectrum.imag
        power: Tensor = (real * real).addcmul_(imaginary, imaginary)
        return power

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        spectrum, window = ctx.saved_tensors
        # d|X|^2 = 2 X; the inverse transform counts all bins but the first and the last twice.
        # Part by part: a product with both at once runs over rows of two numbers, thrice as slow.
        gradient = torch.empty_like(spectrum)
        torch.mul(spectrum.real, grad, out=gradient.real)
        torch.mul(spectrum.imag, grad, out=gradient.imag)
        gradient[..., 0] *= 2
        gradient[..., -1] *= 2
        frames = torch.fft.irfft(gradient, n=ctx.n_fft, norm="forward")
        frames = frames[..., : window.shape[0]] * window
        return overlap_add(frames, ctx.hop_length, ctx.n_samples), None, None, None
