r"""Squared errors of power-compressed spectra, complex and of the magnitude.

.. math:: L = c_0 (\overline{(\hat R - R)^2} + \overline{(\hat I - I)^2})
          + c_1 \overline{(\hat M - M)^2}, \qquad R + iI = M e^{i\varphi},\ M = |X|^{0.2}

Source: the training loss of CNUNet-TB-TS (code seorim0/SE-using-SRL-Model), both stages.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..dsp.compression import compress
from ..dsp.framed_stft import FramedStft
from ..dsp.lengths import sample_mask
from .speech_loss import Signals, SpeechLoss

__all__ = ["CompressedSpectrumLoss", "LatentLoss"]


class CompressedSpectrumLoss(SpeechLoss):
    """Weighted squared errors of compressed spectra, averaged over the cells of an utterance.

    Both signals are transformed alike and over the same samples, to the last one: the original
    compares an estimate that lost up to a hop of samples with the whole target, so that a perfect
    one scores 1e-3 instead of 0.

    Args:
        complex_weight: Of the errors of real and imaginary part, ``c0``.
        magnitude_weight: Of the error of the magnitude, ``c1``.
        power: Exponent of the compression.
        win_length: Window, samples.
        hop_length: Samples from one frame to the next.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: A weight is negative, or the lengths do not fit each other.

    Example:
        >>> loss, speech = CompressedSpectrumLoss(), torch.randn(2, 1, 4000)
        >>> float(loss(speech, speech))
        0.0
    """

    def __init__(
        self,
        complex_weight: float = 0.1,
        magnitude_weight: float = 0.9,
        power: float = 0.2,
        win_length: int = 512,
        hop_length: int = 256,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        if complex_weight < 0 or magnitude_weight < 0 or complex_weight + magnitude_weight == 0:
            raise ValueError(
                f"complex_weight and magnitude_weight must not be negative, nor both 0; got "
                f"{complex_weight} and {magnitude_weight}"
            )
        self.complex_weight, self.magnitude_weight = complex_weight, magnitude_weight
        self.power = power
        self.stft = FramedStft(win_length, hop_length, win_length)

    def per_utterance(self, signals: Signals) -> Tensor:
        """Return the weighted sum of the mean squared errors, ``(batch,)``."""
        estimate = compress(self.stft(signals.estimate), self.power)
        target = compress(self.stft(signals.target), self.power)
        error = (estimate - target).square().sum(1)
        magnitudes = _magnitude(estimate) - _magnitude(target)
        cells = self.complex_weight * error + self.magnitude_weight * magnitudes.square()
        n_frames = -(-(signals.counts + self.stft.delay) // self.stft.hop_length)
        inside = sample_mask(n_frames, cells.shape[-1], device=cells.device)
        per_frame = torch.where(inside, cells.mean(1), 0)
        return per_frame.sum(-1) / n_frames


def _magnitude(parts: Tensor) -> Tensor:
    """Magnitude with a finite gradient at 0."""
    return (parts.square().sum(1) + 1e-12).sqrt()


class LatentLoss(nn.Module):
    """Squared distance of latent features from stored ones, which are normalised first.

    The stored latents are brought to zero mean and unit variance over channels, frequency and the
    frames of the utterance, real and imaginary part each by itself, in training and validation
    alike.

    Args:
        parts: 2 for complex latents (real parts first), 1 for real ones.
        eps: Added to the variance.

    Source: stage 2 of CNUNet-TB-TS, whose own normalisation (one group of half of the channels)
        cannot run, and is left out in its validation.
    """

    def __init__(self, parts: int = 2, eps: float = 1e-5) -> None:
        super().__init__()
        self.parts, self.eps = parts, eps

    def forward(self, latent: Tensor, stored: Tensor, n_frames: Tensor | None = None) -> Tensor:
        """Return one value per utterance ``(batch,)``.

        Args:
            latent: ``(batch, channels, freq, frames)``.
            stored: The same shape.
            n_frames: Frames of each utterance, ``(batch,)``; what lies behind never counts.

        Raises:
            ValueError: The shapes differ: the latents were stored by another network.
        """
        if latent.shape != stored.shape:
            raise ValueError(
                f"latents of shape {tuple(latent.shape)} cannot be compared with stored ones of "
                f"shape {tuple(stored.shape)}: they come from networks of other sizes"
            )
        with torch.autocast(latent.device.type, enabled=False):
            latent, stored = latent.float(), stored.detach().float()
            batch, _, _, total = latent.shape
            if n_frames is None:
                n_frames = torch.full((batch,), total, device=latent.device)
            mask = sample_mask(n_frames, total, device=latent.device).float()[:, None, None]
            shape = (batch, self.parts, -1, total)
            cells = stored.reshape(shape)
            count = mask.sum(-1, keepdim=True) * cells.shape[2]
            mean = (cells * mask).sum((2, 3), keepdim=True) / count
            variance = ((cells - mean).square() * mask).sum((2, 3), keepdim=True) / count
            target = (cells - mean) / (variance + self.eps).sqrt()
            error = (latent.reshape(shape) - target).square() * mask
            return error.sum((1, 2, 3)) / (count[:, 0, 0, 0] * self.parts)
