"""Base of networks that put a mask on a complex spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from asteroid.masknn.complex.mask import MASKS, apply_mask
from asteroid.masknn.complex.stft import ComplexStft

from .base_models import BaseModel
from .mixture import first_channel

__all__ = ["ComplexMaskModel"]


class ComplexMaskModel(BaseModel):
    """A network from a noisy signal to enhanced ones by way of its spectrum.

    Subclasses say in :meth:`mask_output` what becomes of a spectrum.

    Args:
        sample_rate: In Hz.
        n_src: Number of masks, and so of signals that come out, speech first. With one, the noise
            is what is missing to the mixture.
        mask: Kind of mask, see :func:`asteroid.masknn.complex.mask.apply_mask`.
        stft: The transform.

    Raises:
        ValueError: ``mask`` is unknown or ``n_src`` not positive.
    """

    def __init__(self, sample_rate: float, n_src: int, mask: str, stft: ComplexStft) -> None:
        super().__init__(sample_rate=sample_rate, in_channels=1)
        MASKS.get(mask)
        if n_src < 1:
            raise ValueError(f"n_src must be at least 1; got {n_src}")
        self.n_src, self.mask, self.stft = n_src, mask, stft

    def mask_output(self, spectrum: Tensor) -> Tensor:
        """Return the output ``(batch, 2 * n_src, freq, frames)`` that makes the masks."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Enhance.

        Args:
            x: Mixture ``(batch, samples)`` or ``(batch, channels, samples)``, of which the first
                channel (the reference microphone) is enhanced, or ``(samples,)``.

        Returns:
            ``(batch, n_src, samples)``, or ``(n_src, samples)`` for one signal; float64 if the
            network is and float32 otherwise.

        Raises:
            TypeError: ``x`` is no floating-point tensor.
            ValueError: ``x`` has no or too many dimensions, or is empty.
        """
        exact = torch.promote_types(next(self.parameters()).dtype, torch.float32)
        signals = first_channel(x).to(exact)
        spectrum = self.stft(signals)
        masked = apply_mask(spectrum, self.mask_output(spectrum), self.mask)
        by_source = masked.unflatten(1, (2, self.n_src)).transpose(1, 2).flatten(0, 1)
        enhanced = self.stft.inverse(by_source, x.shape[-1])
        enhanced = enhanced.view(signals.shape[0], self.n_src, -1)
        return enhanced.squeeze(0) if x.ndim == 1 else enhanced

    def load_asteroid(self, state: Mapping[str, Any]) -> None:
        """Take the weights of Asteroid's network of the same architecture.

        Raises:
            RuntimeError: The architectures differ.
        """
        weights = {k: v for k, v in state.items() if not k.startswith(("encoder.", "decoder."))}
        self.load_state_dict(weights)
