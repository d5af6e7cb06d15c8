"""Short-time Fourier transform frame by frame: nothing of a frame lies behind its last sample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .stft import overlap_add

__all__ = ["FramedStft"]


class FramedStft(nn.Module):
    """STFT without centring, and its least-squares inverse; both work on single frames too.

    ``win_length - hop_length`` zeros are put before the signal, so frame ``t`` ends with sample
    ``(t + 1) * hop_length - 1`` and the first frame holds one hop of the signal. The window is a
    periodic Hamming window on both sides. The inverse of a frame is the signal whose spectrum is
    nearest to the given one when each of the ``n_fft // 2 + 1`` bins counts once, which is what a
    pseudo-inverse of the transform's matrix computes; overlapping frames are added and divided by
    the sum of the squared windows. Unchanged spectra give the signal back.

    Args:
        win_length: Window, samples; even.
        hop_length: Samples from one frame to the next.
        n_fft: Transform length, samples; even, at least ``win_length``.
        whole: Take as many frames as it needs to cover every sample. Otherwise stop where the
            signal and ``win_length - hop_length`` zeros behind it are used up, as the published
            networks do, which loses up to ``hop_length - 1`` samples at the end.

    Raises:
        ValueError: The lengths do not fit each other.

    Example:
        >>> stft, signal = FramedStft(8, 4, 8), torch.randn(1, 17)
        >>> bool((stft.inverse(stft(signal), 17) - signal).abs().max() < 1e-5)
        True

    Source: Hu et al., "DCCRN", Interspeech 2020 (the transform as a convolution).
    """

    window: Tensor
    envelope: Tensor

    def __init__(self, win_length: int, hop_length: int, n_fft: int, *, whole: bool = True) -> None:
        super().__init__()
        if win_length < 2 or win_length % 2 or n_fft % 2 or n_fft < win_length:
            raise ValueError(
                f"win_length and n_fft must be even, and n_fft not below win_length; got "
                f"{win_length} and {n_fft}"
            )
        if not 0 < hop_length <= win_length:
            raise ValueError(f"hop_length must be from 1 to {win_length}; got {hop_length}")
        self.win_length, self.hop_length, self.n_fft = win_length, hop_length, n_fft
        self.whole = whole
        window = torch.hamming_window(win_length, dtype=torch.float64)
        self.register_buffer("window", window, persistent=False)
        missing = -win_length % hop_length
        # Windows a hop apart overlap: the sum of their squares repeats with the hop.
        envelope = F.pad(window.square(), (0, missing)).view(-1, hop_length).sum(0)
        self.register_buffer("envelope", envelope, persistent=False)

    @property
    def delay(self) -> int:
        """Samples by which the output of frames overlaps lags behind their input."""
        return self.win_length - self.hop_length

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of ``n_samples`` samples."""
        if self.whole:
            return -(-(n_samples + self.delay) // self.hop_length)
        return (n_samples + 2 * self.delay - self.win_length) // self.hop_length + 1

    def forward(self, signal: Tensor) -> Tensor:
        """Transform ``(batch, samples)`` to complex spectra ``(batch, n_fft // 2 + 1, frames)``."""
        return self.transform(self.pad(signal))

    def pad(self, signal: Tensor) -> Tensor:
        """Put zeros around ``(batch, samples)``, so that its frames are complete ones."""
        needed = (self.n_frames(signal.shape[-1]) - 1) * self.hop_length + self.win_length
        right = needed - self.delay - signal.shape[-1]
        return F.pad(signal, (self.delay, right))

    def transform(self, signal: Tensor) -> Tensor:
        """Transform the complete frames of ``(batch, samples)``, without any padding."""
        frames = signal.unfold(-1, self.win_length, self.hop_length)
        spectra: Tensor = torch.fft.rfft(frames * self.window.to(signal), n=self.n_fft)
        return spectra.transpose(1, 2)

    def inverse(self, spectrum: Tensor, n_samples: int) -> Tensor:
        """Return the signal ``(batch, n_samples)`` of spectra ``(batch, bins, frames)``.

        Samples that no complete set of frames covers (``whole=False``) are zeros.
        """
        frames = self.frames(spectrum)
        covered = frames.shape[1] * self.hop_length
        signal = overlap_add(frames, self.hop_length, covered) / self.repeated(frames)
        signal = signal[:, self.delay :]
        return F.pad(signal, (0, n_samples - signal.shape[-1]))

    def frames(self, spectrum: Tensor) -> Tensor:
        """Return windowed frames ``(batch, frames, win_length)``, ready to be added up."""
        y = spectrum.transpose(1, 2)
        n = self.win_length
        window = self.window.to(y.real)
        z = torch.fft.irfft(y, n=self.n_fft)[..., :n] * self.n_fft
        alternating = torch.ones_like(window)
        alternating[1::2] = -1
        # irfft counts bins twice but for the first and the last, which are added here, so that all
        # count once after the division.
        z = (z + y[..., :1].real + y[..., -1:].real * alternating) / 2
        # The transform's matrix times its transpose is n_fft/2 I + (1 1' + a a')/2, where a
        # alternates: its inverse (by the Woodbury identity) takes two means away.
        share = 0.5 / (self.n_fft / 2 + 0.5 * n)
        mean = z.sum(-1, keepdim=True)
        swing = (z * alternating).sum(-1, keepdim=True)
        z = (z - share * (mean + swing * alternating)) * (2 / self.n_fft)
        windowed: Tensor = z * window
        return windowed

    def repeated(self, frames: Tensor) -> Tensor:
        """Sum of squared windows at each sample of ``frames.shape[1]`` hops."""
        return self.envelope.to(frames).repeat(frames.shape[1])
