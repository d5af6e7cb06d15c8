"""Normalisation over a whole signal that a network sees block by block.

Networks such as FaSNet-TAC and Conv-TasNet normalise by mean and variance over all the time they
see. On blocks of a long signal these differ from block to block, and with them the level. Here they
are gathered over all blocks in a first pass and used for each of them in a second one.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asteroid.masknn.norms import FeatsGlobLN, GlobLN

__all__ = ["freeze_statistics", "select_channel", "with_whole_norms"]


class _Moments(NamedTuple):
    """Number of values, their mean and the sum of their squared deviations, by row."""

    n_values: int
    mean: Tensor
    deviations: Tensor

    def merged(self, other: _Moments) -> _Moments:
        """Return the moments of both together.

        Source: Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983, eq. 2.1.
        """
        count = self.n_values + other.n_values
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.n_values / count)
        between = delta.square() * (self.n_values * other.n_values / count)
        return _Moments(count, mean, self.deviations + other.deviations + between)


class WholeNorm(nn.Module):
    """A normalisation over time with the statistics of all that it has been given.

    Until it is frozen it gathers them, and normalises each input by its own.

    Args:
        norm: What it takes the place of; over all but the rows, or by channel.
    """

    def __init__(self, norm: GlobLN | FeatsGlobLN) -> None:
        super().__init__()
        self.norm = norm
        self.frozen = False
        self.channel = 0
        self._moments: dict[int, _Moments] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(rows, channels, ...)``."""
        dims = tuple(range(1 if isinstance(self.norm, GlobLN) else 2, x.ndim))
        variance, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
        if self.frozen:
            whole = self._moments[self.channel]
            mean = whole.mean.to(x.dtype)
            variance = (whole.deviations / whole.n_values).to(x.dtype)
        else:
            count = x.numel() // mean.numel()
            moments = _Moments(count, mean.double(), variance.double() * count)
            before = self._moments.get(self.channel)
            self._moments[self.channel] = before.merged(moments) if before else moments
        normed: Tensor = self.norm.apply_gain_and_bias((x - mean) / (variance + 1e-8).sqrt())
        return normed


def with_whole_norms(network: nn.Module) -> nn.Module | None:
    """Return a copy that gathers the statistics of its normalisations; None if it has none.

    Args:
        network: In evaluation mode. Each block must be given once, then `freeze_statistics` be
            called, then each block be given again.
    """
    if not any(isinstance(module, (GlobLN, FeatsGlobLN)) for module in network.modules()):
        return None
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, (GlobLN, FeatsGlobLN)):
                setattr(module, name, WholeNorm(child))
    return network


def freeze_statistics(network: nn.Module) -> None:
    """Let a network of `with_whole_norms` use from now on what it has gathered."""
    for module in network.modules():
        if isinstance(module, WholeNorm):
            module.frozen = True


def select_channel(network: nn.Module, channel: int) -> None:
    """Say which of several signals, each enhanced by itself, the next block is of."""
    for module in network.modules():
        if isinstance(module, WholeNorm):
            module.channel = channel
