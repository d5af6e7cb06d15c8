r"""Weightings: how much each time-frequency cell counts in a frequency-weighted SI-SDR.

A weighting looks at the band values of speech :math:`S` and noise :math:`N`, each ``(batch,
bands, frames)``, and returns weights that broadcast against them, finite and never negative. A
common factor on an utterance's weights cancels. A new one takes a few lines::

    @WEIGHTINGS.register("loud_bands")
    def loud_bands(exponent: float = 1.0) -> Weighting:
        return lambda cells: cells.mean(cells.speech**2) ** exponent

The published names are those of arXiv 2506.18714; the same computed as published, mistakes
included, is in ``weightings_published.py``. :math:`\mathrm{SNR}_k` is the ratio of the mean
energies of speech and noise in band k over the utterance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from asteroid.dsp.bands import Scale
from asteroid.utils.registry import Registry

__all__ = ["WEIGHTINGS", "Cells", "Weighting", "canonical_name"]

EPS = 1e-8  # relative to the energies or weights it is added to
TINY = 1e-20  # absolute, against 0 / 0 in digital silence


class Cells:
    """What a weighting may look at.

    Args:
        speech: Band values of the target speech, ``(batch, bands, frames)``.
        noise: Returns the same of the noise; called only if a weighting asks for it.
        scale: The frequency scale the bands come from.
        frames: Boolean mask ``(batch, 1, frames)`` of the frames inside each utterance, or None
            if all are.
    """

    def __init__(
        self, speech: Tensor, noise: Callable[[], Tensor], scale: Scale, frames: Tensor | None
    ) -> None:
        self.speech, self.scale, self.frames = speech, scale, frames
        self._noise = noise

    @cached_property
    def noise(self) -> Tensor:
        """Band values of the noise, ``(batch, bands, frames)``."""
        return self._noise()

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the frames of each utterance, ``(batch, bands, 1)``."""
        if self.frames is None:
            return values.mean(-1, keepdim=True)
        return (values * self.frames).sum(-1, keepdim=True) / self.frames.sum(-1, keepdim=True)

    @cached_property
    def band_snr(self) -> Tensor:
        """Ratio of the mean energies of speech and noise, ``(batch, bands, 1)``, from 0 to 1e8."""
        speech, noise = self.mean(self.speech**2), self.mean(self.noise**2)
        # EPS times the speech bounds the ratio at 1 / EPS, whatever the level.
        return speech / torch.add(noise + TINY, speech, alpha=EPS)

    @cached_property
    def log_snr(self) -> Tensor:
        """Common logarithm of :attr:`band_snr`, ``(batch, bands, 1)``, from -8 to 8."""
        return torch.log10(self.band_snr + EPS)

    def relative(self, values: Tensor, reference: Tensor) -> Tensor:
        """Divide by the root mean square of ``reference`` over each utterance's cells."""
        energy = self.mean(reference**2).mean(1, keepdim=True)
        return values / (energy + TINY).sqrt()


Weighting = Callable[[Cells], Tensor]
WEIGHTINGS: Registry[Callable[..., Weighting]] = Registry("weights_type")
_OTHER_NAMES = {None: "wo", "None": "wo", "perceptual-published": "perceptual"}


def canonical_name(weights_type: str | None) -> str:
    """Return the name in `WEIGHTINGS` that a published ``weights_type`` stands for."""
    return _OTHER_NAMES.get(weights_type) or str(weights_type)


@WEIGHTINGS.register("wo")
def uniform() -> Weighting:
    """Every cell counts alike: w = 1."""
    return lambda cells: torch.ones_like(cells.speech[:, :1, :1])


@WEIGHTINGS.register("speech_norm")
def speech_norm(gamma: float = 0.2) -> Weighting:
    """Compressed speech: w = S^gamma, as in fwSNRseg (Hu and Loizou 2008)."""
    return lambda cells: cells.speech**gamma


@WEIGHTINGS.register("log_snr_speech_norm")
def log_snr_speech_norm(gamma: float = 0.2) -> Weighting:
    """Bands below 0 dB, by how far they are below: w = max(-log10 SNR_k, 0) S^gamma.

    Published without the maximum: above 0 dB the weights turn negative, the loss becomes NaN
    or rewards the opposite of what is meant.
    """
    return lambda cells: (-cells.log_snr).relu() * cells.speech**gamma


@WEIGHTINGS.register("log_snr_softmax_speech_norm")
def log_snr_softmax_speech_norm() -> Weighting:
    """Bands below 0 dB, by their share of a frame: w = max(-log10 SNR_k, 0) softmax_k(S).

    S is taken relative to the utterance's level; published as it is, so that the softmax, and
    with it the loss, depended on the level, and without the maximum.
    """

    def weights(cells: Cells) -> Tensor:
        shares = torch.softmax(cells.relative(cells.speech, cells.speech), 1)
        return (-cells.log_snr).relu() * shares

    return weights


@WEIGHTINGS.register("softmax_inverse_snr_speech_norm")
def softmax_inverse_snr_speech_norm(gamma: float = 0.2) -> Weighting:
    """The noisiest bands: w = softmax_k(1 / SNR_k) S^gamma, where 1 / SNR_k is at most 1e8.

    Below about -10 dB one band takes everything; ``softmax_log`` is the gentler choice.
    """
    return lambda cells: torch.softmax(1 / (cells.band_snr + EPS), 1) * cells.speech**gamma


@WEIGHTINGS.register("inverse_spectral_diff")
def inverse_spectral_diff(floor: float = 0.01) -> Weighting:
    """Cells where speech and noise are about equal: w = 1 / (|S - N| + floor).

    S and N are taken relative to the utterance's level (both together), and differences below
    ``floor`` count as ``floor``. Published with absolute levels and a floor of 1e-8, where a
    thousandth of the cells held half of the weight.
    """

    def weights(cells: Cells) -> Tensor:
        both = (cells.speech**2 + cells.noise**2).sqrt()
        return 1 / (cells.relative((cells.speech - cells.noise).abs(), both) + floor)

    return weights


@WEIGHTINGS.register("softmax")
def softmax() -> Weighting:
    """The noisiest bands: w = softmax_k(-SNR_k)."""
    return lambda cells: torch.softmax(-cells.band_snr, 1)


@WEIGHTINGS.register("softmax_ps")
def softmax_ps() -> Weighting:
    """The noisiest bands by their speech energy: w = softmax_k(-SNR_k) mean_f S^2."""
    return lambda cells: torch.softmax(-cells.band_snr, 1) * cells.mean(cells.speech**2)


@WEIGHTINGS.register("softmax_log")
def softmax_log() -> Weighting:
    """The noisiest bands, gently: w = softmax_k(-log10 SNR_k)."""
    return lambda cells: torch.softmax(-cells.log_snr, 1)


@WEIGHTINGS.register("sigmoid")
def sigmoid() -> Weighting:
    """Noisy bands: w is the sigmoid of -SNR_k, relative to that of the noisiest band.

    Taken in the logarithm: in float32 the sigmoid itself is 0 from an SNR of 20 dB on.
    """

    def weights(cells: Cells) -> Tensor:
        logarithm = torch.nn.functional.logsigmoid(-cells.band_snr)
        return (logarithm - logarithm.amax(1, keepdim=True)).exp()

    return weights


@WEIGHTINGS.register("sigmoid_log")
def sigmoid_log() -> Weighting:
    """Noisy bands, gently: w = sigmoid(-log10 SNR_k), from 0 to 1."""
    return lambda cells: torch.sigmoid(-cells.log_snr)


@WEIGHTINGS.register("relu")
def relu() -> Weighting:
    """The cleanest bands: w = SNR_k (a ratio is never negative, so the ReLU does nothing)."""
    return lambda cells: cells.band_snr


@WEIGHTINGS.register("relu_log")
def relu_log() -> Weighting:
    """The bands above 0 dB: w = max(log10 SNR_k, 0)."""
    return lambda cells: cells.log_snr.relu()


@WEIGHTINGS.register("perceptual")
def perceptual() -> Weighting:
    """Band importance for speech understanding, by the table of the scale (ANSI S3.5-1997)."""
    return lambda cells: cells.scale.importance.to(cells.speech)[None, :, None]


@WEIGHTINGS.register("perceptual-2")
def perceptual_2() -> Weighting:
    """Bandwidth in Hz: makes up for what equal-area filters take from wide bands.

    Published for the 18 third octaves only, as 10^(bandwidth adjustment / 10), which differs
    from the bandwidth by less than 1 %.
    """
    return lambda cells: cells.scale.bandwidths_hz.to(cells.speech)[None, :, None]


@WEIGHTINGS.register("perceptual-3")
def perceptual_3() -> Weighting:
    """Band importance times bandwidth."""

    def weights(cells: Cells) -> Tensor:
        product = cells.scale.importance * cells.scale.bandwidths_hz
        return product.to(cells.speech)[None, :, None]

    return weights
