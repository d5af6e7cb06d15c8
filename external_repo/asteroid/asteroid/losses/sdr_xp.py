r"""SI-SDR losses: on the waveform, and frequency-weighted on a band scale.

With mean-free signals, :math:`P = a s` the projection of the estimate :math:`\hat s` on the target
:math:`s` and :math:`D = \hat s - P` the distortion, both losses are

.. math:: L = -10 \log_{10} \frac{\sum_{k,f} w_{kf} P_{kf}^2}{\sum_{k,f} w_{kf} D_{kf}^2},

where :math:`P_{kf}, D_{kf}` are band values (:mod:`asteroid.dsp.bands`) and :math:`w_{kf}` weights
(:mod:`asteroid.losses.weightings`); for the waveform loss, samples and 1.

Source: Monir, Magron and Serizel, "Frequency-Weighted Training Losses for Phoneme-Level DNN-based
Speech Enhancement", arXiv 2506.18714, fixed where its code was wrong: see each class.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from asteroid.dsp.bands import Scale, build_scale
from asteroid.dsp.projection import Projection, project_centred, remove_mean
from asteroid.dsp.stft import Stft

from . import weightings_presence  # noqa: F401, registers its weightings
from .speech_loss import Signals, SpeechLoss
from .weightings import TINY, WEIGHTINGS, Cells, Weighting, canonical_name
from .weightings_published import build_published_weighting

__all__ = ["NegSISDRLoss", "XP1Loss"]

PUBLISHED_CLAMP_DB = (-10.0, 35.0)


class XP1Loss(SpeechLoss):
    """Negative SI-SDR of the waveform in dB, the baseline of arXiv 2506.18714.

    Differs from the published computation in that ``eps`` is relative to the energies, so that
    the level does not matter; in that padding never counts; and in that inputs stay as they are
    and no noise is needed. ``variant="published"`` has the absolute ``eps``.

    A silent target or a silent estimate gives ``-10 log10(eps)`` = 80 dB with a zero gradient.

    Args:
        variant: ``"default"`` or ``"published"``.
        clamp_db: Lowest and highest SI-SDR that counts, in dB. The gradient is zero outside,
            so a network that starts below never starts: leave it out for training.
        soft_clamp_db: A limit, in dB, that the SI-SDR approaches without reaching it; the
            gradient shrinks but never vanishes (thresholded SNR, Wisdom et al., NeurIPS 2020).
        eps: Bounds the SI-SDR at ``+-10 log10(eps)``.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> speech = torch.tensor([[[1.0, -1.0, 1.0, -1.0]]])
        >>> noise = torch.tensor([[[1.0, 1.0, -1.0, -1.0]]])
        >>> XP1Loss()(2 * speech + 0.2 * noise, speech).round()
        tensor(-20.)
    """

    def __init__(
        self,
        *,
        variant: str = "default",
        clamp_db: tuple[float, float] | None = None,
        soft_clamp_db: float | None = None,
        eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:
        super().__init__(variant=variant, reduction=reduction)
        if clamp_db is not None and not clamp_db[0] < clamp_db[1]:
            raise ValueError(f"clamp_db must be (lowest, highest) in dB; got {clamp_db}")
        if not 0 < eps < 1:
            raise ValueError(f"eps must be between 0 and 1; got {eps}")
        self.eps = eps
        self.clamp_db = None if clamp_db is None else (float(clamp_db[0]), float(clamp_db[1]))
        self.soft_clamp_db = soft_clamp_db

    def prepare(self, signals: Signals) -> Signals:
        """Remove the means of estimate and target."""
        estimate, target = (
            remove_mean(signal, signals.lengths, checked=True)
            for signal in (signals.estimate, signals.target)
        )
        return signals._replace(estimate=estimate, target=target)

    def per_utterance(self, signals: Signals) -> Tensor:
        """Return the negative SI-SDR in dB, ``(batch,)``."""
        absolute = self.eps if self.variant == "published" else 0.0
        projection = project_centred(signals.estimate, signals.target, eps=absolute)
        level = self._log_ratio(*self._energies(signals, projection))
        if self.clamp_db is not None:
            level = level.clamp(self.clamp_db[0] / 10, self.clamp_db[1] / 10)
        return -10 * level

    def _energies(self, signals: Signals, projection: Projection) -> tuple[Tensor, Tensor]:
        """Energies of target part and distortion, ``(batch,)`` each."""
        target = projection.scale.square() * signals.target.square().sum(-1)
        return target, projection.distortion.square().sum(-1)

    def _log_ratio(self, target: Tensor, distortion: Tensor) -> Tensor:
        """Common logarithm of the ratio of energies, from ``log10(eps)`` to ``-log10(eps)``."""
        if self.variant == "published":
            return torch.log10(target / (distortion + self.eps) + self.eps)
        share = self.eps
        if self.soft_clamp_db is not None:
            share = max(share, 10 ** (-self.soft_clamp_db / 10))
        bounded = torch.add(distortion + TINY, target, alpha=share)  # so the ratio is <= 1 / share
        return torch.log10(target / bounded + self.eps)


class NegSISDRLoss(XP1Loss):
    """Negative frequency-weighted SI-SDR in dB: loss = scale x weighting.

    Differs from the published computation, which ``variant="published"`` reproduces, in that

    * nothing is clamped: below -10 dB, where every freshly initialised FaSNet-TAC is, the
      published loss has no gradient, and training never starts;
    * weights are never negative, and uniform where all would be 0 (see each weighting);
    * ``eps`` is relative to the energies, so that the level does not matter;
    * the linear scale has a Hann window, the 21 bands are those of the standard;
    * padding never counts, inputs stay as they are, signals of any length are accepted: those
      shorter than ``n_fft`` are padded with zeros at the end.

    Args:
        scale: ``"linear"``, ``"mel"``, ``"critical"``, or a :class:`asteroid.dsp.bands.Scale`.
        n_fft: Window and transform length in samples.
        hop_length: Samples from one frame to the next.
        n_bins: Number of bands: any for mel, 18, 21 or 25 for critical; not used by linear.
        weights_type: A name in :data:`asteroid.losses.weightings.WEIGHTINGS`, or a function from
            :class:`asteroid.losses.weightings.Cells` to weights. None, "None" and "wo" are
            uniform; "perceptual-published" has the importance of the 21 bands as published.
        gamma: Exponent of the speech in the weightings that have it.
        sample_rate: Hz.
        window: ``"hann"`` or ``"rectangular"``; None takes Hann, or what was published.
        weighting_options: Further arguments of the weighting.
        variant: ``"default"`` or ``"published"``.
        clamp_db: As for :class:`XP1Loss`; ``variant="published"`` has (-10, 35).
        soft_clamp_db: As for :class:`XP1Loss`.
        eps: As for :class:`XP1Loss`.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: An unknown name, or a value outside its range.

    Example:
        >>> loss = NegSISDRLoss("critical", n_bins=21, weights_type="speech_norm")
        >>> speech, noise = torch.randn(2, 1, 2, 16000)
        >>> targets = torch.stack([speech[:, 0], noise[:, 0]], dim=1)
        >>> bool(loss(targets + 0.1, targets) < loss(targets + noise, targets))
        True
    """

    def __init__(
        self,
        scale: str | Scale = "mel",
        n_fft: int = 1024,
        hop_length: int = 256,
        n_bins: int | None = 18,
        weights_type: str | Weighting | None = None,
        gamma: float = 0.2,
        *,
        sample_rate: float = 16000,
        window: str | None = None,
        weighting_options: Mapping[str, object] | None = None,
        variant: str = "default",
        clamp_db: tuple[float, float] | None = None,
        soft_clamp_db: float | None = None,
        eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:
        published = variant == "published"
        if published and clamp_db is None:
            clamp_db = PUBLISHED_CLAMP_DB
            warnings.warn(
                'variant="published" has no gradient below -10 and above 35 dB: a network that '
                "starts from random weights will not train",
                stacklevel=2,
            )
        super().__init__(
            variant=variant,
            clamp_db=clamp_db,
            soft_clamp_db=soft_clamp_db,
            eps=eps,
            reduction=reduction,
        )
        if not isinstance(scale, Scale):
            options: dict[str, object] = {}
            if scale == "critical" and (published or weights_type == "perceptual-published"):
                options["published_table"] = True
            if window is None and scale == "linear" and published:
                window = "rectangular"
            scale = build_scale(
                scale, n_fft=n_fft, sample_rate=sample_rate, n_bins=n_bins, **options
            )
        self.scale, self.stft = scale, Stft(n_fft, hop_length, window or "hann")
        self.weighting = _build_weighting(
            weights_type, scale, gamma, published, dict(weighting_options or {})
        )

    def _energies(self, signals: Signals, projection: Projection) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            cells = self.cells(signals.target, signals.noise, signals.lengths, checked=True)
            weights = self._weights(cells)
            target = (weights * cells.speech.square()).sum((1, 2))
        # |STFT(a s)| = |a| |STFT(s)|: the projection needs no transform of its own.
        distortion = self._bands(projection.distortion, signals.lengths)
        energy = (weights * distortion.square()).sum((1, 2))
        return projection.scale.square() * target, energy

    def _bands(self, signal: Tensor, lengths: Tensor | None) -> Tensor:
        bands: Tensor = self.scale(self.stft.magnitude(signal, lengths))
        return bands

    def cells(
        self,
        target: Tensor,
        noise: Tensor | None,
        lengths: Tensor | None = None,
        *,
        checked: bool = False,
    ) -> Cells:
        """Return what the weighting looks at.

        Args:
            target: Mean-free speech, ``(batch, samples)``.
            noise: ``(batch, samples)``, or None if the weighting does not ask for it.
            lengths: Valid samples of each utterance, ``(batch,)``.
            checked: Whether ``lengths`` are known to fit.
        """

        def noise_bands() -> Tensor:
            if noise is None:
                raise ValueError(
                    "this weights_type looks at the noise: targets must hold it as source 1"
                )
            return self._bands(remove_mean(noise, lengths, checked=checked), lengths)

        frames = None
        if lengths is not None:
            frames = self.stft.frame_mask(lengths, target.shape[-1])[:, None]
        return Cells(self._bands(target, lengths), noise_bands, self.scale, frames)

    def weights_of(
        self, target: Tensor, noise: Tensor | None, lengths: Tensor | None = None
    ) -> Tensor:
        """Return the weight of every band and frame, ``(batch, bands, frames)``, to look at.

        Args:
            target: Speech, ``(batch, samples)``.
            noise: ``(batch, samples)``, or None if the weighting does not ask for it.
            lengths: Valid samples of each utterance, ``(batch,)``.
        """
        with torch.no_grad():
            return self._weights(self.cells(remove_mean(target, lengths), noise, lengths))

    def _weights(self, cells: Cells) -> Tensor:
        """Weights with a highest of 1, also if all are 0; the published ones as they are."""
        weights = self.weighting(cells)
        if self.variant == "published":
            return weights if cells.frames is None else weights * cells.frames
        # Where all are 0, all count alike.
        weights = weights.clamp_min(torch.finfo(weights.dtype).tiny)
        if cells.frames is not None:
            weights = weights * cells.frames
        # A common factor cancels in the loss, but tiny weights would underflow in the sums.
        return weights / weights.amax((1, 2), keepdim=True)


def _build_weighting(
    weights_type: str | Weighting | None,
    scale: Scale,
    gamma: float,
    published: bool,
    options: dict[str, object],
) -> Weighting:
    if callable(weights_type):
        return weights_type
    name = canonical_name(weights_type)
    if published:
        return build_published_weighting(name, scale, gamma)
    builder = WEIGHTINGS.get(name)
    if "gamma" in inspect.signature(builder).parameters:
        options.setdefault("gamma", gamma)
    return builder(**options)
