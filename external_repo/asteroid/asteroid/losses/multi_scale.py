r"""Distance of magnitude spectra at several resolutions at once.

.. math:: L = \sum_n \frac1{K_n F_n} \sum_{k,f} |\hat m^n_{kf} - m^n_{kf}|
          + \alpha\, |\ln(\hat m^n_{kf} + \epsilon) - \ln(m^n_{kf} + \epsilon)|

Source: Engel, Hantrakul, Gu and Roberts, "DDSP: differentiable digital signal processing", ICLR
2020, eq. 4, with means in place of sums, so that neither length nor resolution decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asteroid.dsp.power import count_frames, pad_to_frames, power_spectrum

from .speech_loss import Signals, SpeechLoss, mean_over_time
from .squared_error import check_transform

__all__ = ["MultiScaleSTFTLoss"]

FLOOR = 1e-7  # of magnitudes that are 1 for a sine of full scale


class MultiScaleSTFTLoss(SpeechLoss):
    """Distance of magnitudes and of their natural logarithms, summed over window lengths.

    Magnitudes are scaled so that a sine of full scale has 1 at every resolution. The loss follows
    the level and does not look at the phase.

    Args:
        n_ffts: Window lengths in samples, even; hops are a quarter of them.
        alpha: Weight of the logarithms.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> speech = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
        >>> loss = MultiScaleSTFTLoss()
        >>> bool(loss(0.9 * speech, speech) < loss(0.5 * speech, speech))
        True
    """

    def __init__(
        self,
        n_ffts: Sequence[int] = (2048, 1024, 512, 256, 128, 64),
        alpha: float = 1.0,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        if not n_ffts or alpha < 0:
            raise ValueError(f"n_ffts must not be empty, alpha not negative; got {n_ffts}, {alpha}")
        for n_fft in n_ffts:
            check_transform(n_fft, n_fft, max(1, n_fft // 4))
        self.alpha = alpha
        self.windows = nn.Module()
        for n_fft in n_ffts:
            window = torch.hann_window(n_fft)
            # A sine of amplitude 1 has half the window's sum at its frequency, half at minus it.
            self.windows.register_buffer(f"w{n_fft}", 2 * window / window.sum(), persistent=False)

    def per_utterance(self, signals: Signals) -> Tensor:
        """Return the distance, ``(batch,)``."""
        parts = [self._distance(signals, window) for window in self.windows.buffers()]
        return torch.stack(parts).sum(0)

    def _distance(self, signals: Signals, window: Tensor) -> Tensor:
        n_fft = window.shape[0]
        hop = max(1, n_fft // 4)

        def power(signal: Tensor) -> Tensor:
            return power_spectrum(pad_to_frames(signal, n_fft, hop), window, hop, n_fft)

        estimate, target = (
            (power(signal) + FLOOR**2).sqrt() for signal in (signals.estimate, signals.target)
        )
        linear, logarithmic = (estimate - target).abs(), (estimate / target).log().abs()
        distance = torch.add(linear, logarithmic, alpha=self.alpha).mean(-1)
        return mean_over_time(distance, count_frames(signals.counts, n_fft, hop))
