"""Attention over time and over frequency, each by a small network on averages of the features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .stream_state import StreamState, with_past

__all__ = ["ComplexTimeFreqAttention", "TimeFreqAttention"]

MEMORY = 32  # frames of the moving average that the frequency attention sees
KERNEL = 17  # frames of the convolutions of the complex attention


def moving_average(x: Tensor, owner: nn.Module, state: StreamState | None) -> Tensor:
    """Mean of the last 32 frames, zeros standing for those before the first: ``(..., frames)``."""
    extended = with_past(x, MEMORY - 1, owner, state, "average")
    if x.shape[-1] == 1:
        return extended.mean(-1, keepdim=True)
    rows = extended.reshape(1, -1, extended.shape[-1])
    return F.avg_pool1d(rows, MEMORY, 1).view(x.shape)


class TimeFreqAttention(nn.Module):
    """Gates of each channel over time and over frequency, for real feature maps (CTFA).

    The time gate is computed from the mean over frequency of each frame, the frequency gate from
    the mean of the last 32 frames of each bin. Both are causal as published.

    Args:
        channels: Channels.
        reduction: Channels over hidden channels.

    Source: Hwang et al., "Monoaural speech enhancement using a nested U-Net with two-level skip
        connections", Interspeech 2022.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.time, self.freq = (
            nn.Sequential(
                nn.Conv2d(channels, hidden, 1),
                nn.ReLU(),
                nn.Conv2d(hidden, channels, 1),
                nn.Sigmoid(),
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """Gate ``(batch, channels, freq, frames)``."""
        gates = self.time(x.mean(2, keepdim=True))
        gated: Tensor = x * gates * self.freq(moving_average(x, self, state))
        return gated


class _Taps(nn.Module):
    """Two convolutions over 17 frames to one channel, then a sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, 1, (1, KERNEL)), nn.Conv2d(1, 1, (1, KERNEL))


class ComplexTimeFreqAttention(nn.Module):
    """Time and frequency gates that all channels share, for complex feature maps (CCTFA).

    Two attentions ``A_r`` and ``A_i`` act like the parts of a complex number: the output is
    ``A_r(x) - A_i(y) + i(A_i(x) + A_r(y))`` with ``A(x) = x * time gate * frequency gate``.

    Args:
        channels: Complex channels.
        symmetric: Centre the convolutions of the time gate on their frame, as published, which
            looks 16 frames ahead. Otherwise they see the past only, as those of the frequency gate
            always do.
    """

    def __init__(self, channels: int, *, symmetric: bool = False) -> None:
        super().__init__()
        self.symmetric = symmetric
        self.time_re, self.time_im = _Taps(channels), _Taps(channels)
        self.freq_re, self.freq_im = _Taps(channels), _Taps(channels)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """Gate ``(batch, 2 * channels, freq, frames)``."""
        parts = x.unflatten(1, (2, -1))
        flat = parts.flatten(0, 1)  # both parts go through both attentions
        time = self._gates(flat.mean(2, keepdim=True), "time", state)
        freq = self._gates(moving_average(flat, self, state), "freq", state)
        gates = (time * freq).unflatten(0, (-1, 2)).unsqueeze(3)  # batch, part, attention, 1, ...
        re, im = parts.unbind(1)
        y_re = re * gates[:, 0, 0] - im * gates[:, 1, 1]
        y_im = re * gates[:, 0, 1] + im * gates[:, 1, 0]
        return torch.cat([y_re, y_im], dim=1)

    def _gates(self, x: Tensor, axis: str, state: StreamState | None) -> Tensor:
        """Gates of both attentions ``(n, 2, rows, frames)`` of ``(n, channels, rows, frames)``."""
        re, im = getattr(self, f"{axis}_re"), getattr(self, f"{axis}_im")
        x = self._extend(x, axis, re.first, state)
        y = F.relu(F.conv2d(x, *_both(re.first, im.first)))
        y = self._extend(y, axis, re.second, state)
        return F.conv2d(y, *_both(re.second, im.second), groups=2).sigmoid()

    def _extend(self, x: Tensor, axis: str, owner: nn.Module, state: StreamState | None) -> Tensor:
        if axis == "time" and self.symmetric:
            return F.pad(x, (KERNEL // 2, KERNEL // 2))
        return with_past(x, KERNEL - 1, owner, state)


def _both(re: nn.Conv2d, im: nn.Conv2d) -> tuple[Tensor, Tensor]:
    assert re.bias is not None
    assert im.bias is not None
    return torch.cat([re.weight, im.weight]), torch.cat([re.bias, im.bias])
