"""Attention over time and over frequency, each by a small network on averages of the features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.masknn.stream.state import StreamState, with_past

__all__ = ["ComplexTimeFreqAttention", "TimeFreqAttention"]

MEMORY = 32  # frames of the moving average that the frequency attention sees
KERNEL = 17  # frames of the convolutions of the complex attention


def moving_average(x: Tensor, owner: nn.Module, state: StreamState | None) -> Tensor:
    """Mean of the last 32 frames, zeros standing for those before the first: ``(..., frames)``.

    It is taken behind the convolution that follows it in the papers, and before that one's bias:
    both are filters over time that start from zeros, so their order makes no difference, and the
    convolution leaves fewer channels to remember.
    """
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
        squeeze, *rest = self.freq
        weight, bias = (getattr(squeeze, name) for name in ("weight", "bias"))
        gates = moving_average(F.conv2d(x, weight), self, state) + bias[:, None, None]
        for layer in rest:
            gates = layer(gates)
        gated: Tensor = x * self.time(x.mean(2, keepdim=True)) * gates
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
        time = self._time_gates(flat.mean(2, keepdim=True), state)
        freq = self._freq_gates(flat, state)
        gates = (time * freq).unflatten(0, (-1, 2)).unsqueeze(3)  # batch, part, attention, 1, ...
        re, im = parts.unbind(1)
        # gates[:, part, attention]: A_r of the real part, A_i of the imaginary one.
        y_re = re * gates[:, 0, 0] - im * gates[:, 1, 1]
        y_im = re * gates[:, 0, 1] + im * gates[:, 1, 0]
        return torch.cat([y_re, y_im], dim=1)

    def _time_gates(self, x: Tensor, state: StreamState | None) -> Tensor:
        """Gates of both attentions ``(n, 2, 1, frames)`` of ``(n, channels, 1, frames)``."""
        first, second = _both(self.time_re.first, self.time_im.first), self.time_re.second
        y = F.relu(F.conv2d(self._extend(x, self.time_re.first, state), *first))
        y = self._extend(y, second, state)
        return F.conv2d(y, *_both(second, self.time_im.second), groups=2).sigmoid()

    def _extend(self, x: Tensor, owner: nn.Module, state: StreamState | None) -> Tensor:
        if self.symmetric:
            return F.pad(x, (KERNEL // 2, KERNEL // 2))
        return with_past(x, KERNEL - 1, owner, state)

    def _freq_gates(self, x: Tensor, state: StreamState | None) -> Tensor:
        """Gates of both attentions ``(n, 2, rows, frames)`` of ``(n, channels, rows, frames)``."""
        weight, bias = _both(self.freq_re.first, self.freq_im.first)
        y = moving_average(_convolve_time(x, weight, self, state), self, state)
        second = self.freq_re.second
        y = with_past(F.relu(y + bias[:, None, None]), KERNEL - 1, second, state)
        return F.conv2d(y, *_both(second, self.freq_im.second), groups=2).sigmoid()


def _convolve_time(
    x: Tensor, weight: Tensor, owner: nn.Module, state: StreamState | None
) -> Tensor:
    """Causal convolution over time of ``(n, channels, rows, frames)`` by ``(out, channels, 1, k)``.

    On a stream, what each frame adds to the outputs to come is remembered instead of the frame.
    """
    n_out, n_taps = weight.shape[0], weight.shape[-1]
    if state is None:
        return F.conv2d(F.pad(x, (n_taps - 1, 0)), weight)
    # Flipped: the last tap is for the present frame, the first for the one furthest ahead.
    spread = weight.permute(0, 3, 1, 2).flip(1).flatten(0, 1)[..., None]  # (out * taps, channels)
    shares = F.conv2d(x, spread).unflatten(1, (n_out, n_taps)).movedim(2, -1)
    coming, outputs = state.get(owner, "coming"), []
    if coming is None:
        coming = torch.zeros_like(shares[:, :, :, 0, 1:])
    for share in shares.unbind(3):
        total = F.pad(coming, (0, 1)) + share
        outputs.append(total[..., :1])
        coming = total[..., 1:]
    state.set(owner, coming, "coming")
    return torch.cat(outputs, dim=-1)


def _both(re: nn.Conv2d, im: nn.Conv2d) -> tuple[Tensor, Tensor]:
    assert re.bias is not None
    assert im.bias is not None
    return torch.cat([re.weight, im.weight]), torch.cat([re.bias, im.bias])
