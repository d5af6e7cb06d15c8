"""A weighted sum over the layers of an embedder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LayerMix"]


class LayerMix(nn.Module):
    """Sum over layers with softmax weights, which start equal.

    Args:
        n_layers: Layers.
        trained: Whether the weights are learnt. The published code says so but does not hand them
            to the optimiser, so there they stay equal; ``False`` gives that.

    Source: the featurizer of s3prl, as CNUNet-TB-TS uses it.
    """

    logits: Tensor

    def __init__(self, n_layers: int, trained: bool = True) -> None:
        super().__init__()
        if n_layers < 1:
            raise ValueError(f"n_layers must be at least 1; got {n_layers}")
        if trained:
            self.logits = nn.Parameter(torch.zeros(n_layers))
        else:
            self.register_buffer("logits", torch.zeros(n_layers))

    def forward(self, layers: Tensor) -> Tensor:
        """Sum ``(batch, n_layers, frames, size)`` to ``(batch, frames, size)``."""
        if layers.ndim != 4 or layers.shape[1] != len(self.logits):
            raise ValueError(
                f"layers must have shape (batch, {len(self.logits)}, frames, size); got "
                f"{tuple(layers.shape)}"
            )
        return torch.einsum("l,blts->bts", self.logits.softmax(0).to(layers.dtype), layers)
