"""Fusion of a speech embedding into the latent features of an enhancement network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asteroid.masknn.stream.state import StreamState

from .causal_norm import MapNorm

__all__ = ["EmbeddingFusion"]


class EmbeddingFusion(nn.Module):
    """Concatenate embeddings to the latent features of each frame, mix by a 1 x 1 convolution.

    The real and the imaginary part have a mixing matrix each and get the same embeddings.

    Args:
        channels: Channels of a part of the latent features.
        rows: Their rows of frequency.
        embedding_dim: Size of an embedding.
        parts: 1 or 2.
        norm: Kind of :class:`MapNorm`.
        eps: Of the normalisation.
    """

    def __init__(
        self,
        channels: int,
        rows: int,
        embedding_dim: int,
        parts: int = 2,
        norm: str = "cumulative",
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.parts, self.embedding_dim = parts, embedding_dim
        n_features = channels * rows
        self.mix = nn.ModuleList(
            nn.Conv1d(n_features + embedding_dim, n_features, 1) for _ in range(parts)
        )
        self.norm = MapNorm(n_features, parts, norm, eps)

    def forward(self, x: Tensor, embeddings: Tensor, state: StreamState | None = None) -> Tensor:
        """Fuse.

        Args:
            x: ``(batch, parts * channels, rows, frames)``.
            embeddings: ``(batch, frames, embedding_dim)``, aligned with the frames.
            state: Memory of a stream.

        Raises:
            ValueError: The embeddings have another number of frames or another size.
        """
        expected = (x.shape[0], x.shape[-1], self.embedding_dim)
        if tuple(embeddings.shape) != expected:
            raise ValueError(
                f"embeddings must have shape {expected} (batch, frames, size), aligned with the "
                f"network's frames; got {tuple(embeddings.shape)}"
            )
        added = embeddings.transpose(1, 2).to(x.dtype)
        # Channels and rows of a part become one axis: the mixing sees all of a frame.
        features = x.unflatten(1, (self.parts, -1)).flatten(2, 3)
        mixed = [
            mix(torch.cat([part, added], dim=1))
            for mix, part in zip(self.mix, features.unbind(1), strict=True)
        ]
        fused: Tensor = self.norm(torch.cat(mixed, dim=1).unsqueeze(2), state)
        return fused.reshape(x.shape)
