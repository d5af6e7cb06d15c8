r"""PMSQE: how different two utterances sound, by a model of loudness after PESQ.

Power spectra at a common level are summed into Bark bands; the estimate's are equalised over
frequency and over time as far as a listener would not mind; what is left of the difference in
loudness is the disturbance :math:`D`, and, where the estimate has added something, the asymmetric
disturbance :math:`D_A`:

.. math:: \text{PMSQE} = \frac1F \sum_f 0.1\, D_f + 0.0309\, D_{A,f}.

Source: Martin-Donas, Gomez, Gonzalez and Peinado, "A deep learning loss function based on the
perceptual evaluation of the speech quality", IEEE Signal Processing Letters 25 (2018); ITU-T P.862.
The tables are those of Asteroid's ``SingleSrcPMSQE``, whose values on power spectra this gives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asteroid.dsp.power import count_frames, pad_to_frames, power_spectrum

from .pmsqe import SingleSrcPMSQE
from .speech_loss import Signals, SpeechLoss, mean_over_time
from .weightings import TINY

__all__ = ["LoudnessModel", "PMSQELoss"]

LEVEL = 1e7  # mean power of the speech band after level alignment (P.862)
FLOOR = 1e-8  # keeps roots and clipped differences differentiable
LOUDEST = 45.0  # disturbance of a frame counts up to here


class PMSQELoss(SpeechLoss):
    """PMSQE of whole utterances: 0 is transparent, 1 is bad, 5.9 is the most there is.

    Levels are aligned before comparing, so the estimate's level does not matter: add a loss that
    looks at it, such as ``sdr`` or ``mse``, if it should. Frames are 32 ms long, 16 ms apart; the
    last one is filled with zeros. A silent target, which no level can be aligned with, gives a
    value but no gradient.

    Differs from Asteroid's in that it takes waveforms, not spectra, and sees to power spectra of
    the right window; in that silence gives a finite value and gradient; and in its speed.

    Args:
        sample_rate: 16000 or 8000 Hz.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: Another sampling rate.

    Example:
        >>> speech = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
        >>> bool(PMSQELoss()(0.3 * speech, speech) < 1e-3)
        True
    """

    window: Tensor

    def __init__(self, *, sample_rate: float = 16000, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.model = LoudnessModel(sample_rate)
        self.n_fft = self.model.n_fft
        self.register_buffer("window", torch.hann_window(self.n_fft).sqrt(), persistent=False)

    def per_utterance(self, signals: Signals) -> Tensor:
        """Return the PMSQE, ``(batch,)``."""
        frames = count_frames(signals.counts, self.n_fft, self.n_fft // 2)
        with torch.no_grad():
            target = self._power(signals.target)
        values: Tensor = self.model(self._power(signals.estimate), target, frames)
        return torch.where(signals.target.any(-1), values, values.detach())

    def _power(self, signal: Tensor) -> Tensor:
        padded = pad_to_frames(signal, self.n_fft, self.n_fft // 2)
        return power_spectrum(padded, self.window, self.n_fft // 2, self.n_fft)


class _Target(NamedTuple):
    """Values of the target, none of which depends on the estimate."""

    bark: Tensor  # power in Bark bands, (batch, frames, bands)
    loudness: Tensor  # of the same, sone per Bark
    audible: Tensor  # power above the threshold of hearing, (batch, frames, 1)


class LoudnessModel(nn.Module):
    """PMSQE from power spectra.

    Args:
        sample_rate: 16000 or 8000 Hz.

    Raises:
        ValueError: Another sampling rate.
    """

    bark: Tensor
    speech_band: Tensor
    threshold: Tensor
    exponent: Tensor
    widths: Tensor

    def __init__(self, sample_rate: float) -> None:
        super().__init__()
        if sample_rate not in (8000, 16000):
            raise ValueError(f"pmsqe needs a sample_rate of 8000 or 16000 Hz; got {sample_rate:g}")
        tables: Any = SingleSrcPMSQE(sample_rate=int(sample_rate))
        self.n_fft, self.loudness_scale = tables.nbins, tables.Sl
        for name, table in (
            ("bark", tables.bark_matrix * tables.Sp),
            ("speech_band", tables.mask_sll / tables.mask_sll.numel()),
            ("threshold", tables.abs_thresh_power),
            ("exponent", tables.modified_zwicker_power),
            ("widths", tables.width_of_band_bark),
        ):
            self.register_buffer(name, table.detach().clone(), persistent=False)

    def forward(self, est_power: Tensor, target_power: Tensor, n_frames: Tensor) -> Tensor:
        """Return the PMSQE of each utterance, ``(batch,)``.

        Args:
            est_power: ``(batch, frames, n_fft // 2 + 1)``.
            target_power: Alike; no gradient is needed.
            n_frames: Frames of each utterance, ``(batch,)``; those behind never count.
        """
        with torch.no_grad():
            bark = self._bark(target_power, n_frames)
            target = _Target(bark, self._loudness(bark), self._audible(bark))
        bark = self._bark(est_power, n_frames)
        bark = bark * self._equaliser(bark, target)
        # Gain of each frame that matches the audible power.
        bark = bark * ((target.audible + 5e3) / (self._audible(bark) + 5e3)).clamp(3e-4, 5.0)
        return mean_over_time(self._disturbance(bark, target), n_frames)

    def _bark(self, power: Tensor, n_frames: Tensor) -> Tensor:
        """Powers of Bark bands at the common level, ``(batch, frames, bands)``."""
        level = mean_over_time(power @ self.speech_band.to(power), n_frames)
        inside = torch.arange(power.shape[1], device=power.device) < n_frames[:, None]
        bands = (power @ self.bark.to(power)) * inside[..., None]
        # Not a product with the reciprocal: its gradient overflows where the level is 0.
        return LEVEL * (bands / (level + TINY)[:, None, None])

    def _audible(self, bark: Tensor, margin: float = 1.0) -> Tensor:
        """Power of the bands above the threshold of hearing, ``(batch, frames, 1)``."""
        loud = bark > margin * self.threshold.to(bark)
        return torch.where(loud, bark, bark.new_zeros(())).sum(-1, keepdim=True)

    def _loudness(self, bark: Tensor) -> Tensor:
        """Zwicker's loudness, sone per Bark; 0 below the threshold of hearing."""
        threshold, exponent = self.threshold.to(bark), self.exponent.to(bark)
        scale = self.loudness_scale * (2 * threshold) ** exponent
        above = (0.5 + 0.5 * bark / threshold) ** exponent - 1
        return torch.where(bark < threshold, bark.new_zeros(()), scale * above)

    def _equaliser(self, bark: Tensor, target: _Target) -> Tensor:
        """Gain of each band that matches the long-term spectra, ``(batch, 1, bands)``."""
        # Bands 20 dB above the threshold of hearing count, in frames where they reach the level.
        active = self._audible(target.bark, 100.0) >= LEVEL
        counts = active & (target.bark >= 100 * self.threshold.to(bark))
        powers = [
            torch.where(counts, values, values.new_zeros(())).sum(1, keepdim=True) + 1e3
            for values in (target.bark, bark)
        ]
        return (powers[0] / powers[1]).clamp(0.01, 100.0)  # +-20 dB, as P.862

    def _disturbance(self, bark: Tensor, target: _Target) -> Tensor:
        """Weighted sum of both disturbances of each frame, ``(batch, frames)``."""
        loudness, widths = self._loudness(bark), self.widths.to(bark)
        # Differences below a quarter of the softer one are not heard (P.862).
        masked = 0.25 * torch.minimum(loudness, target.loudness)
        clipped = ((loudness - target.loudness).abs() - masked).clamp_min(FLOOR) * widths
        added = ((bark + 50) / (target.bark + 50)) ** 1.2
        # Only what the estimate has clearly added counts: below 3 nothing, at most 12 (P.862).
        added = torch.where(added < 3, added.new_zeros(()), added.clamp_max(12))
        symmetric = ((clipped.square() + FLOOR).sum(-1) * widths.sum()).sqrt()
        asymmetric = (added * clipped).sum(-1)
        weight = ((target.audible[..., 0] + 1e5) / LEVEL) ** 0.04  # so loud frames count less
        return 0.1 * (symmetric / weight).clamp_max(LOUDEST) + 0.0309 * (
            asymmetric / weight
        ).clamp_max(LOUDEST)
