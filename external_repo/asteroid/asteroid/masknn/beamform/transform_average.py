"""Transform-average-concatenate: exchange between the microphones of an array."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .channels_last import build_norm, normalise
from .packed_mics import PackedMics

__all__ = ["TransformAverageConcatenate"]


class TransformAverageConcatenate(nn.Module):
    """Let every microphone see the average over its array, in any order and number.

    Same computation and parameter names as :class:`asteroid.masknn.tac.TAC`. A linear layer of a
    concatenation is the sum of two smaller ones, so the average's share is computed once per array
    instead of once per microphone and nothing is concatenated.

    Args:
        n_features: Channels of the features.
        n_hidden: Width of the transforms.
        norm_type: ``gLN``, ``cLN``, ``fgLN`` or ``bN``.

    Source: Luo et al., ICASSP 2020, equations 5 to 7.
    """

    def __init__(self, n_features: int, n_hidden: int = 384, norm_type: str = "gLN") -> None:
        super().__init__()
        self.input_tf = nn.Sequential(nn.Linear(n_features, n_hidden), nn.PReLU())
        self.avg_tf = nn.Sequential(nn.Linear(n_hidden, n_hidden), nn.PReLU())
        self.concat_tf = nn.Sequential(nn.Linear(2 * n_hidden, n_features), nn.PReLU())
        self.norm = build_norm(norm_type, n_features)

    def forward(self, x: Tensor, mics: PackedMics) -> Tensor:
        """Map ``(rows, chunk, chunks, features)`` to the same shape; ``mics`` names the arrays."""
        last = self.concat_tf[0]
        assert isinstance(last, nn.Linear)
        own, shared = last.weight.tensor_split(2, dim=1)
        transformed = self.input_tf(x)
        average = self.avg_tf(mics.mean(transformed))
        y = mics.add(F.linear(transformed, own, last.bias), F.linear(average, shared))
        return x + normalise(self.norm, self.concat_tf[1](y))
