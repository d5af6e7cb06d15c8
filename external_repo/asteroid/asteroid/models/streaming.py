"""Enhancement of a signal that arrives piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..masknn.fused_conv import fuse
from ..masknn.stream_state import StreamState

if TYPE_CHECKING:
    from .framed import FramedModel

__all__ = ["WaveStream"]


class WaveStream:
    """A causal network with memory: the pieces it returns are those of the whole utterance.

    Each :meth:`step` takes one or more hops of samples and returns as many, which are
    ``delay_samples`` old: with the hop that has to be collected first, the latency is the
    network's ``latency_samples``. :meth:`flush` returns the rest.

    Args:
        network: Causal; a copy of it is taken, which later training does not change.
        batch: Signals that run side by side.

    Raises:
        ValueError: The network is not causal.

    Example:
        >>> from asteroid.models import CNUNet
        >>> network = CNUNet(channels=4, inner_channels=2).eval()
        >>> signal, stream = torch.randn(1, 1024), network.stream()
        >>> pieces = [stream.step(piece) for piece in signal.split(stream.hop_length, dim=1)]
        >>> streamed = torch.cat([*pieces, stream.flush()], dim=1)[:, stream.delay_samples :]
        >>> whole = network(signal).detach()[:, 0]
        >>> bool((streamed - whole).abs().max() < 1e-4 * whole.abs().max())
        True
    """

    def __init__(self, network: FramedModel, batch: int = 1) -> None:
        if network.latency_samples is None:
            raise ValueError(
                f"this {type(network).__name__} is not causal (as_published=True), so it cannot "
                f"run on a stream; build it with as_published=False"
            )
        self.network: FramedModel = fuse(network)  # type: ignore[assignment]
        self.hop_length, self.delay_samples = network.hop_length, network.stft.delay
        weight = next(network.parameters())
        zeros = torch.zeros(batch, self.delay_samples, dtype=torch.float32, device=weight.device)
        self._recent = zeros.to(torch.promote_types(weight.dtype, torch.float32))
        self._overlap = torch.zeros_like(self._recent)
        self.state = StreamState()

    @torch.no_grad()
    def step(self, samples: Tensor, embeddings: Tensor | None = None) -> Tensor:
        """Return the enhanced samples that became complete, as many as went in.

        Args:
            samples: ``(batch, n)``, ``n`` a multiple of ``hop_length``.
            embeddings: ``(batch, n / hop_length, size)`` for networks that take them.

        Raises:
            ValueError: The samples have another shape.
        """
        if samples.ndim != 2 or samples.shape[0] != self._recent.shape[0]:
            raise ValueError(
                f"samples must have shape ({self._recent.shape[0]}, n); got {tuple(samples.shape)}"
            )
        if samples.shape[1] == 0 or samples.shape[1] % self.hop_length:
            raise ValueError(
                f"a step takes a multiple of {self.hop_length} samples; got {samples.shape[1]}"
            )
        signal = torch.cat([self._recent, samples.to(self._recent)], dim=1)
        self._recent = signal[:, signal.shape[1] - self.delay_samples :]
        spectrum = self.network.stft.transform(signal)
        enhanced, _ = self.network.enhance(spectrum, self.state, embeddings)
        return self._add(self.network.stft.frames(enhanced))

    def flush(self) -> Tensor:
        """Return the last ``delay_samples`` samples, up to a hop more, by letting zeros follow."""
        n_steps = -(-self.delay_samples // self.hop_length)
        if n_steps == 0:
            return self._recent
        zeros = self._recent.new_zeros(self._recent.shape[0], n_steps * self.hop_length)
        return self.step(zeros)

    def _add(self, frames: Tensor) -> Tensor:
        """Add frames to what earlier ones left; return the samples that no later one reaches."""
        batch, n_frames, length = frames.shape
        n_done = n_frames * self.hop_length
        total = frames.new_zeros(batch, n_done + length - self.hop_length)
        total[:, : self.delay_samples] = self._overlap
        for index in range(n_frames):
            start = index * self.hop_length
            total[:, start : start + length] += frames[:, index]
        self._overlap = total[:, n_done:]
        return total[:, :n_done] / self.network.stft.repeated(frames)
