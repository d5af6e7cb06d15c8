"""Parts of DCCRN as they run on a stream."""

from __future__ import annotations

import copy
from itertools import chain

from torch import Tensor, nn

from asteroid.masknn.complex.unet import UNet
from asteroid.masknn.stream.complex_unet import StreamLSTM, StreamRecurrent, StreamUNet
from asteroid.masknn.stream.fused_conv import fused
from asteroid.masknn.stream.state import StreamState

from .dccrn import ComplexRecurrent, RealRecurrent

__all__ = ["StreamRealRecurrent"]


class StreamRealRecurrent(nn.Module):
    """`RealRecurrent` that remembers where it was, on ``(batch, frames, freq, channels)``."""

    def __init__(self, recurrent: RealRecurrent) -> None:
        super().__init__()
        rnn = recurrent.rnn
        self.layers = nn.ModuleList()
        for depth, weights in enumerate(rnn.all_weights):
            layer = nn.LSTM(rnn.hidden_size if depth else rnn.input_size, rnn.hidden_size)
            for own, given in zip(chain(*layer.all_weights), weights, strict=True):
                own.data = given.data
            self.layers.append(StreamLSTM([layer]))
        self.linear = copy.deepcopy(recurrent.linear)

    def forward(self, x: Tensor, state: StreamState) -> Tensor:
        """Map ``(batch, frames, freq, channels)`` to the same shape."""
        y: Tensor = x.permute(1, 0, 3, 2).flatten(2)
        for layer in self.layers:
            y = layer(y, state)[0]
        maps: Tensor = self.linear(y).unflatten(2, (x.shape[3], x.shape[2]))
        return maps.permute(1, 0, 3, 2)


@fused.register(UNet)
def _(module: UNet) -> nn.Module:
    return StreamUNet(module)


@fused.register(RealRecurrent)
def _(module: RealRecurrent) -> nn.Module:
    return StreamRealRecurrent(module)


@fused.register(ComplexRecurrent)
def _(module: ComplexRecurrent) -> nn.Module:
    return StreamRecurrent(module.rnn, module.linear)
