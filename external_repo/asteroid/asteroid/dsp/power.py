"""Power spectra of frames that lie inside a signal."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .lengths import Count, at_least

__all__ = ["count_frames", "pad_to_frames", "power_spectrum"]


def power_spectrum(signal: Tensor, window: Tensor, hop_length: int, n_fft: int) -> Tensor:
    """Return the power ``|FFT|^2`` of every frame that lies inside the signal.

    Frames are windowed and padded with zeros at the end to ``n_fft`` samples.

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
    frames = signal.unfold(-1, window.shape[0], hop_length) * window.to(signal)
    spectrum = torch.fft.rfft(frames, n=n_fft)
    # Part by part: products of complex numbers take two or three times as long.
    real, imaginary = spectrum.real, spectrum.imag
    power: Tensor = torch.addcmul(real * real, imaginary, imaginary)
    return power


def count_frames(n_samples: Count, window: int, hop_length: int) -> Count:
    """Return how many frames hold ``n_samples`` samples, the last one filled with zeros."""
    # Hops behind the first frame, rounded up.
    return (at_least(n_samples - window, 0) + hop_length - 1) // hop_length + 1


def pad_to_frames(signal: Tensor, window: int, hop_length: int) -> Tensor:
    """Append zeros to ``(batch, samples)`` until every sample lies in a frame."""
    frames = count_frames(signal.shape[-1], window, hop_length)
    return F.pad(signal, (0, (frames - 1) * hop_length + window - signal.shape[-1]))
