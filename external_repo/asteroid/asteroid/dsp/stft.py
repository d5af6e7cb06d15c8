"""Short-time Fourier transform of batches whose utterances differ in length."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.utils.registry import check_choice

from .lengths import Count, at_least, sample_mask, zero_padding

__all__ = ["Stft", "overlap_add"]


class Stft(nn.Module):
    """Centred STFT with reflected edges, the same for an utterance alone and in a padded batch.

    Utterances shorter than ``n_fft`` are padded with zeros at the end to ``n_fft`` samples.

    Args:
        n_fft: Window and transform length in samples, even.
        hop_length: Samples from one frame to the next.
        window: ``"hann"`` (periodic) or ``"rectangular"``.

    Raises:
        ValueError: A length is not positive, ``n_fft`` is odd, or the window is unknown.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int, window: str = "hann") -> None:
        super().__init__()
        if n_fft < 2 or n_fft % 2:
            raise ValueError(f"n_fft must be even and at least 2 samples; got {n_fft}")
        if not 0 < hop_length <= n_fft:
            raise ValueError(f"hop_length must be from 1 to n_fft = {n_fft}; got {hop_length}")
        windows = {"hann": torch.hann_window(n_fft), "rectangular": torch.ones(n_fft)}
        check_choice("window", window, windows)
        self.n_fft, self.hop_length = n_fft, hop_length
        self.register_buffer("window", windows[window], persistent=False)

    def forward(self, signal: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Transform ``(batch, samples)`` to complex spectra ``(batch, n_fft // 2 + 1, frames)``.

        Args:
            signal: ``(batch, samples)``, float32 or float64.
            lengths: Valid samples of each utterance, ``(batch,)``. Frames behind an utterance's
                end hold no defined values: see :meth:`frame_mask`.
        """
        padded, window = self._pad(signal, lengths), self.window.to(signal)
        return torch.stft(
            padded, self.n_fft, self.hop_length, window=window, center=False, return_complex=True
        )

    def magnitude(self, signal: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return ``forward(signal, lengths).abs()``; its gradient is 0 where the magnitude is."""
        return self.forward(signal, lengths).abs()

    def _pad(self, signal: Tensor, lengths: Tensor | None) -> Tensor:
        if signal.shape[-1] < self.n_fft:
            signal = F.pad(signal, (0, self.n_fft - signal.shape[-1]))
        if lengths is not None:
            return self._reflect(zero_padding(signal, lengths), lengths)
        half = self.n_fft // 2
        return F.pad(signal, (half, half), mode="reflect")

    def _reflect(self, signal: Tensor, lengths: Tensor) -> Tensor:
        """Pad half a window on both sides, reflecting at each utterance's own end."""
        half, n_samples = self.n_fft // 2, signal.shape[-1]
        # An utterance shorter than a window was padded with zeros up to one.
        last = lengths.to(signal.device).clamp_min(self.n_fft)[:, None] - 1
        index = torch.arange(-half, n_samples + half, device=signal.device).abs()
        # Mirrored at the last sample; what lies further behind is masked, any index will do.
        index = torch.where(index > last, 2 * last - index, index).clamp_min(0)
        return signal.gather(-1, index)

    def n_frames(self, n_samples: Count) -> Count:
        """Return the number of frames of utterances of ``n_samples`` samples."""
        return at_least(n_samples, self.n_fft) // self.hop_length + 1

    def frame_mask(self, lengths: Tensor, n_samples: int) -> Tensor:
        """Return a boolean mask ``(batch, frames)``, true for the frames of each utterance."""
        return sample_mask(self.n_frames(lengths), self.n_frames(n_samples))


def overlap_add(frames: Tensor, hop_length: int, n_samples: int) -> Tensor:
    """Add frames ``(batch, frames, n_fft)``, each ``hop_length`` after the last, to a signal.

    Returns:
        ``(batch, n_samples)``, cut or padded with zeros.
    """
    batch, n_frames, n_fft = frames.shape
    pieces = -(-n_fft // hop_length)  # hops in a frame, rounded up
    if n_fft % hop_length:
        frames = F.pad(frames, (0, pieces * hop_length - n_fft))
    signal = F.pad(frames[..., :hop_length], (0, 0, 0, pieces - 1))
    for piece in range(1, pieces):
        start = piece * hop_length
        signal[:, piece : piece + n_frames].add_(frames[..., start : start + hop_length])
    signal = signal.reshape(batch, -1)
    missing = n_samples - signal.shape[-1]
    return signal if missing == 0 else F.pad(signal, (0, missing))
