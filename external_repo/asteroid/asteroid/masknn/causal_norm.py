"""Normalisation of feature maps over channels and frequency, with or without the future."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .stream_state import StreamState

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
        if kind not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}; got {kind!r}")
        self.parts, self.kind, self.eps = parts, kind, eps
        self.weight = nn.Parameter(torch.ones(parts * channels))
        self.bias = nn.Parameter(torch.zeros(parts * channels))

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """Normalise ``(batch, parts * channels, freq, frames)``."""
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        with torch.autocast(x.device.type, enabled=False):
            weight, bias, y = self.weight.to(exact), self.bias.to(exact), x.to(exact)
            if self.kind == "utterance":
                return F.group_norm(y, self.parts, weight, bias, self.eps).to(x.dtype)
            grouped = y.unflatten(1, (self.parts, -1)).flatten(2, 3)
            moments = torch.stack([grouped.mean(2), grouped.square().mean(2)])
            if self.kind == "cumulative":
                moments = running_mean(moments, self, state)
            mean, power = moments
            scale = ((power - mean.square()).clamp_min(0) + self.eps).rsqrt()
            scale, shift = scale.to(exact), (-mean * scale).to(exact)
            n_channels = weight.shape[0] // self.parts
            scale = scale.repeat_interleave(n_channels, 1)[:, :, None] * weight[:, None, None]
            shift = shift.repeat_interleave(n_channels, 1)[:, :, None] * weight[:, None, None]
            return torch.addcmul(shift + bias[:, None, None], y, scale).to(x.dtype)


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
    total, n_before = x.double().cumsum(-1), 0.0
    if state is not None:
        before = state.get(owner)
        if before is not None:
            total, n_before = total + before[..., :1], float(before.flatten()[-1])
        count = torch.full_like(total[..., -1:], n_before + x.shape[-1])
        state.set(owner, torch.cat([total[..., -1:], count], dim=-1))
    steps = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=torch.float64)
    return total / (steps + n_before)
