r"""Weighted SDR, the loss of DCUnet.

With mixture :math:`x`, speech :math:`y`, its estimate :math:`\hat y`, noise :math:`z = x - y` and
:math:`\hat z = x - \hat y`,

.. math:: L = \alpha\, l(y, \hat y) + (1 - \alpha)\, l(z, \hat z),\quad
          l(u, v) = -\frac{\langle u, v\rangle}{\|u\| \|v\|},\quad
          \alpha = \frac{\|y\|^2}{\|y\|^2 + \|z\|^2}.

Source: Choi et al., "Phase-aware speech enhancement with deep complex U-Net", ICLR 2019.
"""

from __future__ import annotations

from torch import Tensor

from .speech_loss import Signals, SpeechLoss
from .weightings import TINY

__all__ = ["WeightedSDRLoss"]


class WeightedSDRLoss(SpeechLoss):
    """Negative weighted SDR, from -1 (perfect) to 1; it needs the noise as source 1.

    The mixture is the sum of the targets. A part that is silent, in the target or in the estimate,
    counts 0: an estimate that is the mixture has a noise term of 0, silence a speech term of 0.

    Args:
        eps: Keeps the gradient of an estimate finite that is silent; relative to the energy of what
            it should be.
        variant: ``"published"`` is the public re-implementation's, whose ``eps`` is absolute.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: An argument is outside its range, or the targets hold no noise.

    Example:
        >>> import torch
        >>> speech, noise = torch.tensor([[[1.0, -1.0, 1.0, -1.0]], [[1.0, 1.0, -1.0, -1.0]]])
        >>> targets = torch.stack([speech, noise], 1)
        >>> WeightedSDRLoss()(speech, targets)
        tensor(-1.)
        >>> WeightedSDRLoss()(speech + noise, targets)
        tensor(-0.3536)
    """

    def __init__(
        self, *, eps: float = 1e-8, variant: str = "default", reduction: str = "mean"
    ) -> None:
        super().__init__(variant=variant, reduction=reduction)
        if not 0 < eps < 1:
            raise ValueError(f"eps must be between 0 and 1; got {eps}")
        self.eps = eps

    def per_utterance(self, signals: Signals) -> Tensor:
        """Return the weighted SDR, ``(batch,)``, from -1 to 1."""
        if signals.noise is None:
            raise ValueError("weighted_sdr looks at the noise: targets must hold it as source 1")
        speech, noise = signals.target, signals.noise
        rest = speech + noise - signals.estimate  # the estimate's noise
        speech_energy, noise_energy = speech.square().sum(-1), noise.square().sum(-1)
        alpha = speech_energy / (speech_energy + noise_energy + TINY)
        return alpha * self._term(speech, signals.estimate, speech_energy) + (
            1 - alpha
        ) * self._term(noise, rest, noise_energy)

    def _term(self, target: Tensor, estimate: Tensor, energy: Tensor) -> Tensor:
        """Negative cosine of the angle between two signals, ``(batch,)``."""
        product = (target * estimate).sum(-1)
        estimated = estimate.square().sum(-1)
        if self.variant == "published":
            return -product / (energy.sqrt() * estimated.sqrt() + self.eps)
        return -product / ((energy + TINY) * (estimated + self.eps * energy + TINY)).sqrt()
