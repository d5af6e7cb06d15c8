r"""Squared errors of power-compressed spectra, complex and of the magnitude.

.. math:: L = c_0 (\overline{(\hat R - R)^2} + \overline{(\hat I - I)^2})
          + c_1 \overline{(\hat M - M)^2}, \qquad R + iI = M e^{i\varphi},\ M = |X|^{0.2}

Source: the training loss of CNUNet-TB-TS (code seorim0/SE-using-SRL-Model), both stages.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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
        estimate, target = (self.stft.pad(one) for one in (signals.estimate, signals.target))
        with torch.no_grad():
            compressed = _compress(target, self.stft, self.power)
        per_frame: Tensor = _Distance.apply(
            estimate, compressed, self.stft, self.power, self.complex_weight, self.magnitude_weight
        )
        n_frames = -(-(signals.counts + self.stft.delay) // self.stft.hop_length)
        return mean_over_time(per_frame, n_frames)


class _Compressed(NamedTuple):
    """Spectra ``X`` of frames and what compressing them takes, ``(batch, frames, freq)`` each."""

    real: Tensor
    imaginary: Tensor
    energy: Tensor  # |X|^2
    gain: Tensor  # (|X|^2 + FLOOR)^((power - 1) / 2): times X it is the compressed spectrum
    magnitude: Tensor  # of the compressed spectrum


def _compress(padded: Tensor, stft: FramedStft, power: float) -> _Compressed:
    """Transform and compress the complete frames of ``(batch, samples)``."""
    spectrum = stft.transform(padded).transpose(1, 2)
    # Apart: every pass over one part of complex numbers takes two or three times as long.
    real, imaginary = spectrum.real.contiguous(), spectrum.imag.contiguous()
    energy = (real * real).addcmul_(imaginary, imaginary)
    gain = energy.add(FLOOR).log_().mul_((power - 1) / 2).exp_()
    magnitude = (gain * gain).mul_(energy).add_(TINY).sqrt_()
    return _Compressed(real, imaginary, energy, gain, magnitude)


class _Distance(torch.autograd.Function):
    """Mean over frequency of both squared errors, ``(batch, frames)``, of ``(batch, samples)``.

    With ``g = (e + f)^q`` the gain, ``e`` the energy and ``d`` the complex error of the compressed
    spectra, the derivative of a cell by ``X`` is ``2 c_0 g d + X (4 c_0 q g (d . X) / (e + f)
    + 2 c_1 (M - M') g^2 (1 + 2 q e / (e + f)) / M)``. Autograd makes several times as many passes
    over the cells for it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        padded: Tensor,
        target: _Compressed,
        stft: FramedStft,
        power: float,
        complex_weight: float,
        magnitude_weight: float,
    ) -> Tensor:
        found = _compress(padded, stft, power)
        real, imaginary = (
            (mine * found.gain).sub_(other * target.gain)
            for mine, other in (
                (found.real, target.real),
                (found.imaginary, target.imaginary),
            )
        )
        apart = found.magnitude - target.magnitude
        cells = (real * real).addcmul_(imaginary, imaginary).mul_(complex_weight)
        cells.addcmul_(apart, apart, value=magnitude_weight)
        ctx.save_for_backward(*found, real, imaginary, apart)
        ctx.stft, ctx.n_samples = stft, padded.shape[-1]
        ctx.settings = (power - 1) / 2, complex_weight, magnitude_weight
        return cells.mean(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        *spectrum, energy, gain, magnitude, real, imaginary, apart = ctx.saved_tensors
        exponent, complex_weight, magnitude_weight = ctx.settings
        scale = (grad / energy.shape[-1])[..., None]
        direct = gain * (2 * complex_weight * scale)
        steep = (energy + FLOOR).reciprocal_().mul_(2 * exponent)  # 2 d log(g) / d e
        along = (real * spectrum[0]).addcmul_(imaginary, spectrum[1]).mul_(steep).mul_(direct)
        slope = steep.mul_(energy).add_(1).mul_(gain).mul_(gain).mul_(apart).mul_(scale)
        along.addcdiv_(slope, magnitude, value=2 * magnitude_weight)
        gradient = torch.complex(
            (direct * real).addcmul_(along, spectrum[0]),
            (direct * imaginary).addcmul_(along, spectrum[1]),
        )
        return ctx.stft.transform_gradient(gradient, ctx.n_samples), None, None, None, None, None


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
