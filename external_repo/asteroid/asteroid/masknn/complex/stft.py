"""STFT and its inverse between signals and real tensors ``(batch, 2, freq, frames)``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.dsp.stft import overlap_add
from asteroid.utils.registry import check_choice

__all__ = ["ComplexStft"]

EDGES = ("reflect", "zeros", "asteroid")


class ComplexStft(nn.Module):
    """Short-time Fourier transform, real parts first, with an inverse for any number of samples.

    Computed in float32 (float64 for float64), also under autocast.

    Args:
        n_fft: Points of the transform, even.
        hop_length: Samples from one frame to the next, at most half a window.
        window_length: Samples of the Hann window (periodic), at most ``n_fft``; None: ``n_fft``.
        edges: ``reflect``: frames centred on multiples of the hop, the signal reflected at its ends
            (of signals shorter than ``n_fft`` after padding them to that with zeros).
            ``zeros``: ``window_length - hop_length`` zeros at either end, frames padded at their
            end to ``n_fft``, as in the original DCCRN.
            ``asteroid``: the filterbank of Asteroid: a square-root Hann window, no padding (frames
            that the signal fills, the rest of the output is zero), its scaling of the bins.

    Raises:
        ValueError: A length does not fit, or ``edges`` is unknown.
    """

    window: Tensor
    analysis: Tensor
    synthesis: Tensor

    def __init__(
        self, n_fft: int, hop_length: int, window_length: int | None = None, edges: str = "reflect"
    ) -> None:
        super().__init__()
        length = n_fft if window_length is None else window_length
        check_choice("edges", edges, EDGES)
        if n_fft % 2 or not 2 <= length <= n_fft:
            raise ValueError(
                f"n_fft must be even and window_length from 2 to n_fft; got {n_fft} and {length}"
            )
        if not 1 <= hop_length <= length // 2:
            raise ValueError(
                f"hop_length must be from 1 to half a window, {length // 2}; got {hop_length}"
            )
        if edges == "reflect" and length != n_fft:
            raise ValueError(f"reflected edges need a window as long as n_fft; got {length}")
        self.n_fft, self.hop_length, self.window_length = n_fft, hop_length, length
        self.edges = edges
        window = torch.hann_window(length, dtype=torch.float64)
        self._keep("window", window.sqrt() if edges == "asteroid" else window)
        # Asteroid's scaling of the bins, and what its transposed filters make of an analysed bin.
        scale = 2 * (hop_length / (length * n_fft)) ** 0.5
        self._keep("analysis", _but_ends(scale, 0.5**0.5, n_fft // 2 + 1))
        self._keep("synthesis", _but_ends(2 * hop_length / length, 1.0, n_fft // 2 + 1))

    def _keep(self, name: str, values: Tensor) -> None:
        """Keep values that move with the network, so that no step sends them to its device."""
        self.register_buffer(name, values, persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        """Transform ``(batch, samples)`` to ``(batch, 2, n_fft // 2 + 1, frames)``."""
        with torch.autocast(signal.device.type, enabled=False):
            return self.transform(self._pad(signal.to(_exact(signal))))

    def transform(self, signal: Tensor) -> Tensor:
        """Transform the complete frames of ``(batch, samples)``, without any padding."""
        frames = signal.unfold(-1, self.window_length, self.hop_length)
        first, last = self._around()
        frames = F.pad(frames * self.window.to(signal), (first, last))
        spectrum = torch.fft.rfft(frames).transpose(1, 2)
        parts = torch.stack([spectrum.real, spectrum.imag], dim=1)
        return parts * self.analysis.to(parts) if self.edges == "asteroid" else parts

    def inverse(self, spectrum: Tensor, n_samples: int) -> Tensor:
        """Return the signals ``(batch, n_samples)`` of ``(batch, 2, n_fft // 2 + 1, frames)``."""
        with torch.autocast(spectrum.device.type, enabled=False):
            spectrum = spectrum.to(_exact(spectrum))
            frames, window = self.frames(spectrum), self.window.to(spectrum)
            n_padded = (frames.shape[1] - 1) * self.hop_length + self.window_length
            signal = overlap_add(frames, self.hop_length, n_padded)
            if self.edges != "asteroid":
                squares = (window * window).expand(1, frames.shape[1], -1)
                signal = signal / overlap_add(squares, self.hop_length, n_padded).clamp_min(1e-8)
            start = self._start()
            signal = signal[:, start : start + n_samples]
            return F.pad(signal, (0, n_samples - signal.shape[-1]))

    def frames(self, spectrum: Tensor) -> Tensor:
        """Return windowed frames ``(batch, frames, window_length)``, ready to be added up."""
        if self.edges == "asteroid":
            spectrum = spectrum / self.analysis.to(spectrum) * self.synthesis.to(spectrum)
        re, im = spectrum.transpose(2, 3).unbind(1)
        frames = torch.fft.irfft(torch.complex(re, im), n=self.n_fft)
        window, first = self.window.to(spectrum), self._around()[0]
        windowed: Tensor = frames[..., first : first + self.window_length] * window
        return windowed

    @property
    def delay(self) -> int:
        """Samples by which the output of frames overlaps lags behind their input."""
        return self.window_length - self.hop_length

    def repeated(self, frames: Tensor) -> Tensor:
        """Sum of squared windows at each sample of ``frames.shape[1]`` hops, all frames there."""
        squares = F.pad(self.window.to(frames).square(), (0, -self.window_length % self.hop_length))
        sums: Tensor = squares.view(-1, self.hop_length).sum(0)
        return sums.repeat(frames.shape[1])

    def _pad(self, signal: Tensor) -> Tensor:
        n_samples, start = signal.shape[-1], self._start()
        if self.edges == "zeros":
            return F.pad(signal, (start, start + -n_samples % self.hop_length))
        shortest = self.window_length
        signal = F.pad(signal, (0, max(shortest - n_samples, 0)))
        return F.pad(signal, (start, start), mode="reflect") if start else signal

    def _start(self) -> int:
        """Samples before the first of the signal."""
        before = {"reflect": self.n_fft // 2, "zeros": self.window_length - self.hop_length}
        return before.get(self.edges, 0)

    def _around(self) -> tuple[int, int]:
        """Zeros before and after a window in its frame."""
        missing = self.n_fft - self.window_length
        first = missing // 2 if self.edges == "asteroid" else 0
        return first, missing - first


def _exact(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float)


def _but_ends(value: float, factor: float, n_bins: int) -> Tensor:
    """``value`` for each bin, times ``factor`` for the first and the last."""
    values = torch.full((n_bins, 1), value, dtype=torch.float64)
    values[[0, -1]] *= factor
    return values
