"""A network that gets speech embeddings with the mixture, or makes them itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from asteroid.models import register_model
from asteroid.models.base_models import BaseModel
from asteroid.models.cnunet import CNUNet

from .alignment import align
from .embedder import SpeechEmbedder, build_embedder
from .layer_mix import LayerMix

__all__ = ["EmbeddedCNUNet"]


class EmbeddedCNUNet(BaseModel):
    """Stage 1: a :class:`CNUNet` with embeddings, whose layers it weighs.

    In training, embeddings come from a store. A network that knows its embedder makes them from the
    mixture when none are given, so it enhances like any other. The embedder is frozen and not part
    of the weights. It knows the whole signal, so this network is not causal, whatever CNUNet is.

    Args:
        n_layers: Layers of the embeddings.
        embedding_dim: Their size.
        embedder: Name of the embedder; None: embeddings must be given.
        embedder_options: Of :func:`~seloss.embeddings.build_embedder`.
        alignment: How embeddings meet frames; see :func:`~seloss.embeddings.align`.
        oracle: The network was trained with embeddings of the *clean* speech, which nobody has: its
            scores are oracle scores, and it does not make embeddings of the mixture.
        trained_layers: Whether the weights of the layers are learnt.
        sample_rate: In Hz.
        **options: Of :class:`CNUNet`.

    Attributes:
        notice: What must be said wherever its scores appear; empty: nothing.

    Example:
        >>> network = EmbeddedCNUNet(3, 5, channels=4, inner_channels=2)
        >>> layers = torch.randn(1, 3, 5, network.n_frames(1000))
        >>> network(torch.randn(1, 1000), layers).shape
        torch.Size([1, 1, 1000])
    """

    latency_samples = None

    def __init__(
        self,
        n_layers: int,
        embedding_dim: int,
        embedder: str | None = None,
        embedder_options: Mapping[str, Any] | None = None,
        alignment: str = "linear",
        oracle: bool = False,
        trained_layers: bool = True,
        sample_rate: float = 16000,
        **options: Any,
    ) -> None:
        super().__init__(sample_rate=sample_rate, in_channels=1)
        self.n_layers, self.embedding_dim = n_layers, embedding_dim
        self.embedder, self.embedder_options = embedder, dict(embedder_options or {})
        self.alignment, self.oracle, self.trained_layers = alignment, oracle, trained_layers
        self.mix = LayerMix(n_layers, trained_layers)
        self.network = CNUNet(embedding_dim=embedding_dim, sample_rate=sample_rate, **options)
        self.notice = "oracle: hears the clean speech" if oracle else ""
        self._built: list[SpeechEmbedder] = []  # in a list, so that it is no part of the weights

    def forward(self, mixture: Tensor, layers: Tensor | None = None) -> Tensor:
        """Enhance ``(batch, ..., samples)``.

        Args:
            mixture: As for :class:`CNUNet`.
            layers: ``(batch, layers, size, frames)``, aligned, as :meth:`embed` gives them; None:
                made from the mixture.

        Raises:
            ValueError: Embeddings are needed and cannot be made.
        """
        return self.analyse(mixture, layers)[0]

    def analyse(self, mixture: Tensor, layers: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the estimate and the latent ``(batch, channels, freq, frames)``."""
        if layers is None:
            if self.oracle:
                raise ValueError(
                    "this network was trained with embeddings of the clean speech (oracle): give "
                    "it those with the mixture"
                )
            signals = mixture[:, 0] if mixture.ndim == 3 else mixture
            layers = self.embed(signals.reshape(-1, mixture.shape[-1]))
        return self.network.analyse(mixture, self.mix(layers.transpose(2, 3)))

    @torch.no_grad()
    def embed(self, signals: Tensor) -> Tensor:
        """Make embeddings ``(batch, layers, size, frames)``, aligned, of ``(batch, samples)``.

        Of the mixture; for an oracle of the clean speech.

        Raises:
            ValueError: The network knows no embedder.
        """
        if self.embedder is None:
            raise ValueError("this network knows no embedder: give it embeddings with the mixture")
        if not self._built:
            self._built.append(build_embedder(self.embedder, **self.embedder_options))
        rows = [self.aligned(self._built[0], signal) for signal in signals.float().cpu()]
        return torch.stack(rows).to(signals.device)

    def aligned(self, embedder: SpeechEmbedder, signal: Tensor) -> Tensor:
        """Embed a signal ``(samples,)`` and align: ``(layers, size, frames)``."""
        times = self.network.frame_times(self.n_frames(len(signal)))
        values = align(embedder.embed(signal), embedder.times(len(signal)), times, self.alignment)
        return values.transpose(1, 2)

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of ``n_samples`` samples."""
        return self.network.n_frames(n_samples)

    def get_model_args(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("n_layers", "embedder", "embedder_options", "alignment", "oracle")
        arguments = {name: getattr(self, name) for name in (*names, "trained_layers")}
        return {**self.network.get_model_args(), **arguments}


register_model(EmbeddedCNUNet)  # so that a package that names it is loaded
