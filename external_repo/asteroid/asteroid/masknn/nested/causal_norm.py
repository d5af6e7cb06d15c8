"""Normalisation of feature maps over channels and frequency, with or without the future."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.masknn.stream.state import StreamState
from asteroid.utils.registry import check_choice

__all__ = ["NORMS", "MapNorm", "RunningLevel", "running_mean"]

NORMS = ("cumulative", "frame", "utterance")


class MapNorm(nn.Module):
    """Zero mean and unit variance over channels and frequency, then a scale and shift per channel.

    Statistics are computed in float32 (float64 for float64) whatever autocast says.

    Args:
        channels: Channels of each part.
        parts: 1 for real feature maps; 2 for complex ones ``(batch, 2 * channels, ...)``, whose
            real and imaginary parts are normalised each by itself.
        kind: ``cumulative``: statistics of frames up to the present one. ``frame``: of each frame
            by itself, which takes away how loud a frame is against its neighbours. ``utterance``:
            of all frames, the future included (a group norm of one group), as published.
        eps: Added to the variance.

    Raises:
        ValueError: ``kind`` is none of these.
    """

    def __init__(
        self, channels: int, parts: int = 1, kind: str = "cumulative", eps: float = 1e-5
    ) -> None:
        super().__init__()
        check_choice("norm", kind, NORMS)
        self.parts, self.kind, self.eps = parts, kind, eps
        self.weight = nn.Parameter(torch.ones(parts * channels))
        self.bias = nn.Parameter(torch.zeros(parts * channels))

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """Normalise ``(batch, parts * channels, freq, frames)``."""
        exact = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            weight, bias, y = self.weight.to(exact), self.bias.to(exact), x.to(exact)
            if self.kind == "utterance":
                return F.group_norm(y, self.parts, weight, bias, self.eps).to(x.dtype)
            groups = (x.shape[0], self.parts, -1, x.shape[-1])
            variance, mean = torch.var_mean(y.reshape(groups), dim=2, correction=0)
            if self.kind == "cumulative":
                # Variances cannot be averaged over frames of different means, second moments can.
                power = torch.addcmul(variance, mean, mean)
                mean, power = running_mean(torch.stack([mean, power]), self, state).unbind()
                # E[x^2] - E[x]^2, in float64; below 0 by rounding only.
                variance = torch.addcmul(power, mean, mean, value=-1).clamp_min(0)
                mean, variance = mean.to(exact), variance.to(exact)
            scale = (variance + self.eps).rsqrt()
            split = (self.parts, -1, 1, 1)
            gain = scale[:, :, None, None] * weight.view(split)
            # (y - mean) gain + bias as one product and one sum.
            shift = torch.addcmul(bias.view(split), mean[:, :, None, None], gain, value=-1)
            y = torch.addcmul(shift, y.unflatten(1, (self.parts, -1)), gain)
            return y.flatten(1, 2).to(x.dtype)


class RunningLevel(nn.Module):
    """Root mean square of a spectrum over frequency and all frames so far.

    Args:
        floor: Least level, so that silence can be divided by it.
    """

    def __init__(self, floor: float = 1e-4) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """Return the level ``(batch, 1, 1, frames)`` of ``(batch, channels, freq, frames)``."""
        power = x.square().sum(1).mean(1)
        level = running_mean(power, self, state).to(x.dtype).sqrt()
        return level.clamp_min(self.floor)[:, None, None]


def running_mean(x: Tensor, owner: nn.Module, state: StreamState | None) -> Tensor:
    """Return the mean of all frames so far, float64: ``(..., frames)``."""
    total = x.double().cumsum(-1)
    count = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=torch.float64)
    if state is not None:
        before = state.get(owner), state.get(owner, "count")
        if before[0] is not None and before[1] is not None:
            total, count = total + before[0], count + before[1]
        state.set(owner, total[..., -1:])
        state.set(owner, count[-1:], "count")
    return total / count
