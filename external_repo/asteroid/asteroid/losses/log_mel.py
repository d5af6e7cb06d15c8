r"""LMS: distance of log-mel spectra.

With :math:`m_{kf}` the magnitudes of a short-time transform, :math:`B_b` the triangular mel filters
of bank :math:`b` and :math:`L^b = \ln(B_b m / N + 10^{-7})`,

.. math:: \text{LMS} = \frac1{|b|} \sum_b \frac1F \sum_f
          \sqrt{\frac1{K_b} \sum_k (\hat L^b_{kf} - L^b_{kf})^2 + 10^{-7}}.

Source: the perceptual loss of "DCCRN with various loss functions", fixed: the filters go over
frequency, where the published code sent them over a mixture of time and frequency.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from asteroid.dsp.power import power_spectrum

from .speech_loss import Signals, SpeechLoss, mean_over_time
from .squared_error import check_transform

__all__ = ["LogMelLoss", "mel_bank"]

FLOOR = 1e-7  # of power, of band values and below the root, as published


class LogMelLoss(SpeechLoss):
    """Distance of log-mel spectra (LMS) in natural logarithms of amplitude: 0.1 is about 0.9 dB.

    Banks of few and of many filters are averaged, so that both the broad shape and the harmonics
    count. Weak bands count as much as strong ones, down to an absolute floor: signals are expected
    at their usual level, with peaks between 0.01 and 1.

    Args:
        n_mels: Number of filters of each bank.
        n_fft: Transform length in samples, even.
        win_length: Length of the periodic Hann window in samples.
        hop_length: Samples from one frame to the next.
        sample_rate: Hz. The filters reach up to half of it; the lengths above are meant for 16 kHz.
        variant: ``"published"`` reads rows of ``n_fft // 2 + 1`` numbers out of the spectrogram as
            if they were frames, which they are not.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> tone = 0.1 * torch.sin(0.3 * torch.arange(4000.0))[None]
        >>> bool(LogMelLoss()(0.5 * tone, tone) < LogMelLoss()(0.1 * tone, tone))
        True
    """

    window: Tensor
    banks: Tensor

    def __init__(
        self,
        n_mels: Sequence[int] = (16, 32, 64),
        n_fft: int = 512,
        win_length: int = 400,
        hop_length: int = 100,
        *,
        sample_rate: float = 16000,
        variant: str = "default",
        reduction: str = "mean",
    ) -> None:
        super().__init__(variant=variant, reduction=reduction)
        check_transform(n_fft, win_length, hop_length)
        if not n_mels or any(count < 1 for count in n_mels):
            raise ValueError(f"n_mels must be positive numbers of filters; got {n_mels}")
        if sample_rate <= 0:
            raise ValueError(f"sample_rate must be positive; got {sample_rate}")
        self.n_mels = tuple(int(count) for count in n_mels)
        self.n_fft, self.hop_length = n_fft, hop_length
        banks = torch.cat([mel_bank(count, n_fft, sample_rate) for count in self.n_mels])
        self.register_buffer("window", torch.hann_window(win_length), persistent=False)
        # Divided by n_fft, as published, so that FLOOR is relative to amplitudes near 1.
        self.register_buffer("banks", banks.T / n_fft, persistent=False)

    def per_utterance(self, signals: Signals) -> Tensor:
        """Return the mean distance over frames and banks, ``(batch,)``."""
        with torch.no_grad():
            target = self._log_mel(signals.target)
        difference = (self._log_mel(signals.estimate) - target).square()
        distances = [
            (bank.mean(-1) + FLOOR).sqrt() for bank in difference.split(self.n_mels, dim=-1)
        ]
        edge = self._edge()
        frames = (signals.counts + 2 * edge - self.window.shape[0]) // self.hop_length + 1
        return mean_over_time(torch.stack(distances).mean(0), frames)

    def _edge(self) -> int:
        """Zeros on both sides: every sample lies in as many frames as any other."""
        return self.window.shape[0] - self.hop_length

    def _log_mel(self, signal: Tensor) -> Tensor:
        """Logarithms of the bands of all banks, ``(batch, frames, bands)``."""
        padded = F.pad(signal, (self._edge(), self._edge()))
        power = power_spectrum(padded, self.window, self.hop_length, self.n_fft)
        magnitude = power.add_(FLOOR).sqrt_()
        if self.variant == "published":
            magnitude = magnitude.transpose(1, 2).reshape(magnitude.shape)
        return (magnitude @ self.banks.to(magnitude)).add_(FLOOR).log()


def mel_bank(n_mels: int, n_fft: int, sample_rate: float) -> Tensor:
    """Return triangular filters with corners on whole bins, ``(n_mels, n_fft // 2 + 1)``.

    The corners are equally far apart on the scale ``1127.01048 ln(1 + f / 700)`` from 0 to half the
    sampling rate, rounded down to ``(n_fft // 2 + 1) f / (sample_rate / 2)``.

    Example:
        >>> mel_bank(16, 512, 16000).argmax(-1)[:4]
        tensor([ 3,  7, 12, 18])
    """
    bins, nyquist = n_fft // 2 + 1, sample_rate / 2
    highest = 1127.01048 * math.log1p(nyquist / 700)
    corners = [
        math.floor(bins * 700 * math.expm1(highest * i / (n_mels + 1) / 1127.01048) / nyquist)
        for i in range(n_mels + 1)
    ]
    corners.append(bins)  # one bin beyond the last: the highest filter does not fall to 0 inside
    edges = torch.tensor(corners, dtype=torch.float64)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bin_index = torch.arange(bins, dtype=torch.float64)
    rising = (bin_index - low) / (centre - low).clamp_min(1)
    falling = (high - bin_index) / (high - centre).clamp_min(1)
    bank = torch.where(bin_index < centre, rising, falling).clamp_min(0)
    return bank.float()
