"""Transform-average-concatenate: what microphones of one array tell each other."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .channels_last import build_norm, normalise
from .packed_mics import PackedMics
from .piecewise import is_lean, pieces
from .single_prelu import prelu_backward, single_prelu

__all__ = ["TransformAverageConcatenate"]


class TransformAverageConcatenate(nn.Module):
    """Let every microphone see the average over its array, in any order and number.

    Same computation and parameter names as :class:`asteroid.masknn.tac.TAC`. A linear layer of a
    concatenation is the sum of two smaller ones, so the average's share is computed once per array
    instead of once per microphone and nothing is concatenated. On the CPU the widest features, six
    times the input, never exist as a whole.

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
        transform = _lean_transform if is_lean(x, own) else _plain_transform
        of_each, mean = transform(x, self.input_tf, own, last.bias, mics)
        average = single_prelu(self.avg_tf[0](mean), self.avg_tf[1])
        y = mics.add(of_each, F.linear(average, shared))
        return x + normalise(self.norm, single_prelu(y, self.concat_tf[1]))


def _plain_transform(
    x: Tensor, input_tf: nn.Sequential, own: Tensor, bias: Tensor, mics: PackedMics
) -> tuple[Tensor, Tensor]:
    """Return what each microphone adds to its own output and the average of each array."""
    transformed = input_tf(x)
    return F.linear(transformed, own, bias), mics.mean(transformed)


def _lean_transform(
    x: Tensor, input_tf: nn.Sequential, own: Tensor, bias: Tensor, mics: PackedMics
) -> tuple[Tensor, Tensor]:
    parameters = (*input_tf[0].parameters(), input_tf[1].weight, own, bias)
    outputs = [
        _TransformAndMean.apply(group.flatten(2, 3), *parameters) for group in mics.groups(x)
    ]
    each, means = (
        torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*outputs, strict=True)
    )
    return each.view(x.shape), means.view(-1, *x.shape[1:-1], means.shape[-1])


class _TransformAndMean(torch.autograd.Function):
    """(arrays, mics, places, features) -> (arrays * mics, places, outputs) and the mean transform.

    The latter is (arrays, places, width). The transform of each microphone is computed again in the
    backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, slope: Tensor, own: Tensor, last: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, weight, bias, slope, own)
        n_arrays, n_mics, n_places, _ = x.shape
        each = x.new_empty(n_arrays, n_mics, n_places, len(own))
        mean = x.new_empty(n_arrays, n_places, len(weight))
        for array in range(n_arrays):
            for piece in pieces(n_places, n_mics):
                wide = F.linear(x[array, :, piece], weight, bias)
                wide = F.leaky_relu_(wide, slope.item())
                each[array, :, piece] = F.linear(wide, own, last)
                torch.mean(wide, 0, out=mean[array, piece])
        return each.flatten(0, 1), mean

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        x, weight, bias, slope, own = ctx.saved_tensors
        n_arrays, n_mics, n_places, _ = x.shape
        to_each = gradients[0].reshape(n_arrays, n_mics, n_places, len(own))
        to_mean = gradients[1] / n_mics
        to_x = torch.empty_like(x)
        to_weight, to_bias, to_slope, to_own = map(torch.zeros_like, (weight, bias, slope, own))
        for array in range(n_arrays):
            for piece in pieces(n_places, n_mics):
                rows = x[array, :, piece].flatten(0, 1)
                wide = F.linear(rows, weight, bias)
                outer = to_each[array, :, piece].flatten(0, 1)
                to_own.addmm_(outer.t(), F.leaky_relu(wide, slope.item()))
                inner = (outer @ own).view(n_mics, -1, len(weight))
                inner = inner.add_(to_mean[array, piece]).flatten(0, 1)
                inner, of_slope = prelu_backward(inner, wide, slope)
                to_slope += of_slope
                to_weight.addmm_(inner.t(), rows)
                to_bias += inner.sum(0)
                to_x[array, :, piece] = (inner @ weight).view(n_mics, -1, x.shape[-1])
        return to_x, to_weight, to_bias, to_slope, to_own, gradients[0].sum((0, 1))
