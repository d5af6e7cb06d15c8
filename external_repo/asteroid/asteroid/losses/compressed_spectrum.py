r"""Squared errors of power-compressed spectra, complex and of the magnitude.

.. math:: L = c_0 (\overline{(\hat R - R)^2} + \overline{(\hat I - I)^2})
          + c_1 \overline{(\hat M - M)^2}, \qquad R + iI = M e^{i\varphi},\ M = |X|^{0.2}

Source: the training loss of CNUNet-TB-TS (code seorim0/SE-using-SRL-Model), both stages.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asteroid.dsp.compression import FLOOR
from asteroid.dsp.framed_stft import FramedStft
from asteroid.dsp.lengths import sample_mask

from .speech_loss import Signals, SpeechLoss, mean_over_time

__all__ = ["CompressedSpectrumLoss", "LatentLoss"]

TINY = 1e-12  # of a compressed energy: its root has a finite gradient at 0


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
        estimate, target = (
            self._compress(self.stft(signal)) for signal in (signals.estimate, signals.target)
        )
        apart = [(mine - other).square() for mine, other in zip(estimate, target, strict=True)]
        cells = self.complex_weight * (apart[0] + apart[1]) + self.magnitude_weight * apart[2]
        per_frame = cells.mean(1)
        # As `FramedStft.n_frames`, of a tensor: frames that hold any of an utterance.
        n_frames = -(-(signals.counts + self.stft.delay) // self.stft.hop_length)
        return mean_over_time(per_frame, n_frames)

    def _compress(self, spectrum: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Real part, imaginary part and magnitude of compressed spectra."""
        # Apart: every pass over one part of complex numbers takes two or three times as long.
        real, imaginary = spectrum.real, spectrum.imag
        energy = real * real + imaginary * imaginary
        gain = (energy + FLOOR) ** ((self.power - 1) / 2)
        return real * gain, imaginary * gain, (gain * gain * energy + TINY).sqrt()


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
            count = mask.sum(-1, keepdim=True) * cells.shape[2]  # cells of a part that count
            mean = (cells * mask).sum((2, 3), keepdim=True) / count
            variance = ((cells - mean).square() * mask).sum((2, 3), keepdim=True) / count
            target = (cells - mean) / (variance + self.eps).sqrt()
            error = (latent.reshape(shape) - target).square() * mask
            return error.sum((1, 2, 3)) / (count[:, 0, 0, 0] * self.parts)
