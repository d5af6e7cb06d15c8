r"""Ratios of energies of waveforms in dB: SI-SNR and SDR.

.. math:: \text{SI-SNR} = 10 \log_{10} \frac{\|a s\|^2}{\|\hat s - a s\|^2},\;
          a = \frac{\langle\hat s, s\rangle}{\|s\|^2}, \qquad
          \text{SDR} = 10 \log_{10} \frac{\|s\|^2}{\|\hat s - s\|^2}

Source: the base losses of "DCCRN with various loss functions", fixed where its code was wrong.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .sdr_xp import XP1Loss
from .speech_loss import Signals, SpeechLoss
from .weightings import TINY

__all__ = ["SDRLoss", "SISNRLoss"]


class SISNRLoss(XP1Loss):
    """Negative SI-SNR in dB, which is the SI-SDR under its older name.

    ``variant="published"`` does not remove the means, so that an offset of 0.02 costs 4 dB, and has
    an absolute ``eps``. Arguments and behaviour are those of :class:`XP1Loss`.

    Example:
        >>> speech = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
        >>> noise = torch.tensor([[1.0, 1.0, -1.0, -1.0]])
        >>> SISNRLoss()(3 * speech + 0.3 * noise + 0.5, speech).round()
        tensor(-20.)
    """

    def prepare(self, signals: Signals) -> Signals:
        """Remove the means, unless as published."""
        if self.variant == "published":
            return SpeechLoss.prepare(self, signals)
        return super().prepare(signals)


class SDRLoss(SpeechLoss):
    """Negative SDR in dB: unlike SI-SNR it asks for the target's level too.

    A silent target gives ``-10 log10(eps)`` = 80 dB with a zero gradient; a silent estimate 0 dB.

    Args:
        eps: Bounds the SDR at ``+-10 log10(eps)``.
        variant: ``"published"`` squares the energies, which makes twice the dB, and is infinite for
            a silent target.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> SDRLoss()(torch.tensor([[0.9, -0.9]]), torch.tensor([[1.0, -1.0]])).round()
        tensor(-20.)
    """

    def __init__(
        self, *, eps: float = 1e-8, variant: str = "default", reduction: str = "mean"
    ) -> None:
        super().__init__(variant=variant, reduction=reduction)
        if not 0 < eps < 1:
            raise ValueError(f"eps must be between 0 and 1; got {eps}")
        self.eps = eps

    def per_utterance(self, signals: Signals) -> Tensor:
        """Return the negative SDR in dB, ``(batch,)``."""
        target = signals.target.square().sum(-1)
        error = (signals.estimate - signals.target).square().sum(-1)
        if self.variant == "published":
            return -10 * torch.log10(target.square() / (error.square() + self.eps))
        bounded = torch.add(error + TINY, target, alpha=self.eps)
        return -10 * torch.log10(target / bounded + self.eps)
