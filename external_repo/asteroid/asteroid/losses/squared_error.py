r"""Mean squared errors: of the waveform, and of complex spectra.

.. math:: L = \frac1T \sum_t (\hat s_t - s_t)^2, \qquad
          L = \frac1{KF} \sum_{k,f} |\hat S_{kf} - S_{kf}|^2

Source: the base loss of "DCCRN with various loss functions"; the losses "Wav" and "Spc" that
weighted SDR is compared with in Choi et al., "Phase-aware speech enhancement with deep complex
U-Net", ICLR 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asteroid.dsp.power import count_frames, pad_to_frames, power_spectrum

from .speech_loss import Signals, SpeechLoss, mean_over_time

__all__ = ["SpectrumMSELoss", "WaveformMSELoss"]


class WaveformMSELoss(SpeechLoss):
    """Mean over the samples of the squared error; in the square of the signals' unit.

    Follows the level: a recording 20 dB weaker counts a hundredth.

    Args:
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Example:
        >>> WaveformMSELoss()(torch.tensor([[0.5, 0.0]]), torch.tensor([[0.0, 0.5]]))
        tensor(0.2500)
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)

    def per_utterance(self, signals: Signals) -> Tensor:
        """Return the mean squared error, ``(batch,)``."""
        error = signals.estimate - signals.target
        return error.square().sum(-1) / signals.counts


class SpectrumMSELoss(SpeechLoss):
    """Mean over all cells of the squared distance of complex spectra, phase included.

    The spectra are those of ``torch.stft`` (periodic Hann, not normalised) without its reflected
    edges. The transform is linear, so only that of the error is needed. By Parseval's theorem this
    is nearly the waveform's error, times the window's energy.

    Args:
        n_fft: Window and transform length in samples, even.
        hop_length: Samples from one frame to the next.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: A length is not positive, or ``n_fft`` is odd.
    """

    window: Tensor

    def __init__(
        self, n_fft: int = 1024, hop_length: int = 256, *, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        check_transform(n_fft, n_fft, hop_length)
        self.n_fft, self.hop_length = n_fft, hop_length
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def per_utterance(self, signals: Signals) -> Tensor:
        """Return the mean squared distance of the spectra, ``(batch,)``."""
        error = pad_to_frames(signals.estimate - signals.target, self.n_fft, self.hop_length)
        power = power_spectrum(error, self.window, self.hop_length, self.n_fft)
        frames = count_frames(signals.counts, self.n_fft, self.hop_length)
        return mean_over_time(power.mean(-1), frames)


def check_transform(n_fft: int, win_length: int, hop_length: int) -> None:
    """Raise ValueError unless these make a short-time transform."""
    if n_fft < 2 or n_fft % 2:
        raise ValueError(f"n_fft must be even and at least 2 samples; got {n_fft}")
    if not 0 < win_length <= n_fft:
        raise ValueError(f"win_length must be from 1 to n_fft = {n_fft}; got {win_length}")
    if not 0 < hop_length <= win_length:
        raise ValueError(
            f"hop_length must be from 1 to the window's {win_length} samples; got {hop_length}"
        )
