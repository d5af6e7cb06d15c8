"""Causal complex U-Net on a stream: batch norms inside the weights, one product for each layer.

On maps of one frame the convolutions of torch cost many times their arithmetic. Here a layer copies
the rows and frames that its kernel reaches side by side, and multiplies them by a matrix. Feature
maps are ``(batch, frames, freq, 2 * channels)``, the real parts of all channels first.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.masknn.complex.conv import ComplexConv2d, ComplexConvTranspose2d, ComplexLinear
from asteroid.masknn.complex.norm import ComplexBatchNorm2d
from asteroid.masknn.complex.rnn import ComplexLSTM
from asteroid.masknn.complex.unet import UNet

from .fused_conv import fused
from .state import StreamState

__all__ = ["StreamConv", "StreamLSTM", "StreamRecurrent", "StreamUNet"]

ComplexConv = ComplexConv2d | ComplexConvTranspose2d


class StreamConv(nn.Module):
    """A causal complex convolution, or a transposed one, with what follows it.

    Args:
        conv: Causal, without groups; steps and dilation of time are 1.
        norm: Batch norm behind it, which becomes part of its weights; None: none.
        activation: Behind that; None: none.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, conv: ComplexConv, norm: ComplexBatchNorm2d | None, activation: nn.Module | None
    ) -> None:
        super().__init__()
        part = conv.re_module
        weight, bias = _block_weight(conv)
        if norm is not None:
            matrix, offset = _affine(norm)
            weight = torch.einsum("oc,cift->oift", matrix, weight)
            bias = matrix @ bias + offset
        self.past, self.step, self.phases = part.kernel_size[1] - 1, part.stride[0], 1
        self.first, self.more = -part.padding[0], part.padding[0]
        if isinstance(conv, ComplexConvTranspose2d):
            weight = self._by_phase(weight, part.padding[0], part.output_padding[0])
            bias = bias.repeat(self.phases)
        self.taps = weight.shape[2]
        # columns: frames, then channels, then rows
        matrix = weight.permute(0, 3, 1, 2).flatten(1)
        self.register_buffer("weight", matrix.to(part.weight).contiguous())
        self.register_buffer("bias", bias.to(part.weight))
        self.activation = nn.Identity() if activation is None else copy.deepcopy(activation)

    def _by_phase(self, weight: Tensor, padding: int, output_padding: int) -> Tensor:
        """Return ``(phases * out, in, taps, frames)`` of a transposed ``(out, in, rows, frames)``.

        Row ``stride * j + phase`` of the output is the sum over ``tap`` of
        ``weight[..., phase + padding - stride * tap]`` times row ``j + tap`` of the input.
        """
        n_rows, self.phases, self.step = weight.shape[2], self.step, 1
        first = -((n_rows - 1 - padding) // self.phases)
        last = (self.phases - 1 + padding) // self.phases
        # rows of the output beside phases * rows of the input
        surplus = n_rows - self.phases - 2 * padding + output_padding
        if surplus:
            raise ValueError(f"a layer on a stream must multiply its rows; it adds {surplus}")
        self.first, self.more = first, last
        by_phase = weight.new_zeros(
            self.phases, *weight.shape[:2], last - first + 1, weight.shape[3]
        )
        for phase in range(self.phases):
            for tap in range(first, last + 1):
                row = phase + padding - self.phases * tap
                if 0 <= row < n_rows:
                    by_phase[phase, :, :, tap - first] = weight[:, :, row]
        # frame t of the output is the sum of weight[..., k] times frame t - k of the input
        return by_phase.flatten(0, 1).flip(3)

    def forward(self, x: Tensor, state: StreamState) -> Tensor:
        """Map ``(batch, frames, freq, 2 * in_channels)`` to as many frames."""
        n_frames = x.shape[1]
        past = state.get(self)
        if past is None:
            past = x.new_zeros(x.shape[0], self.past, *x.shape[2:])
        extended = torch.cat([past, x], dim=1)
        state.set(self, extended[:, n_frames:])
        frames = torch.cat([extended[:, at : at + n_frames] for at in range(self.past + 1)], dim=3)
        padded = F.pad(frames, (0, 0, -self.first, self.more))
        y = F.linear(padded.unfold(2, self.taps, self.step).flatten(3), self.weight, self.bias)
        y = y.unflatten(3, (self.phases, -1)).flatten(2, 3)
        # activations have slopes for the second axis
        result: Tensor = self.activation(y.flatten(0, 1).transpose(1, 2))
        maps: Tensor = result.transpose(1, 2).unflatten(0, x.shape[:2])
        return maps


class StreamLSTM(nn.Module):
    """LSTM layers side by side on one input, that remember where they were.

    Args:
        layers: `torch.nn.LSTM`, of one layer and one direction each, and of equal sizes.
    """

    inner: Tensor
    outer: Tensor
    bias: Tensor

    def __init__(self, layers: list[Any]) -> None:
        super().__init__()
        tensors: dict[str, list[Tensor]] = {
            "outer": [layer.weight_ih_l0.T for layer in layers],
            "inner": [layer.weight_hh_l0.T for layer in layers],
            "bias": [(layer.bias_ih_l0 + layer.bias_hh_l0)[None] for layer in layers],
        }
        for name, parts in tensors.items():
            self.register_buffer(name, torch.stack(parts).detach().clone())

    def forward(self, x: Tensor, state: StreamState) -> Tensor:
        """Map ``(frames, batch, features)`` to ``(layers, frames, batch, hidden)``."""
        n_frames, n_batch, _ = x.shape
        gates_of_x = torch.matmul(x.flatten(0, 1), self.outer) + self.bias
        gates_of_x = gates_of_x.unflatten(1, (n_frames, n_batch))
        hidden, cell = state.get(self, "hidden"), state.get(self, "cell")
        if hidden is None or cell is None:
            hidden = cell = x.new_zeros(self.inner.shape[0], n_batch, self.inner.shape[1])
        outputs = []
        for frame in gates_of_x.unbind(1):
            gates = torch.baddbmm(frame, hidden, self.inner)
            to_write, to_keep, new, to_show = gates.chunk(4, dim=2)
            cell = to_keep.sigmoid() * cell + to_write.sigmoid() * new.tanh()
            hidden = to_show.sigmoid() * cell.tanh()
            outputs.append(hidden)
        state.set(self, hidden, "hidden")
        state.set(self, cell, "cell")
        return torch.stack(outputs, dim=1)


class StreamRecurrent(nn.Module):
    """Complex LSTM and complex linear layer that remember where they were.

    Args:
        rnn: The LSTM, over all channels and rows.
        linear: Back to as many features.
    """

    def __init__(self, rnn: ComplexLSTM, linear: ComplexLinear) -> None:
        super().__init__()
        pairs: list[Any] = list(rnn.rnns)
        self.layers = nn.ModuleList(
            StreamLSTM([pair.re_module.rnn, pair.im_module.rnn]) for pair in pairs
        )
        self.linear = copy.deepcopy(linear)

    def forward(self, x: Tensor, state: StreamState) -> Tensor:
        """Map ``(batch, frames, freq, 2 * channels)`` to the same shape."""
        n_batch, n_frames, n_rows, _ = x.shape
        # frames, part, batch, and features: channels, then rows
        parts = x.unflatten(3, (2, -1)).permute(1, 3, 0, 4, 2).flatten(3)
        for layer in self.layers:
            both = layer(parts.flatten(1, 2), state)
            of_re, of_im = both.unflatten(2, (2, n_batch)).unbind(0)
            re = of_re[:, 0] - of_im[:, 1]
            parts = torch.stack([re, of_re[:, 1] + of_im[:, 0]], dim=1)
        y: Tensor = self.linear(parts.transpose(1, 2).flatten(2))
        return y.view(n_frames, n_batch, -1, n_rows).permute(1, 0, 3, 2)


class StreamUNet(nn.Module):
    """A causal complex :class:`~asteroid.masknn.complex.unet.UNet` with memory.

    Args:
        unet: In a style whose ``time`` is ``causal``, with a module between encoders and decoders
            of which :func:`.fused_conv.fused` knows the form on a stream.

    Raises:
        ValueError: It does not.
    """

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        down: list[Any] = list(unet.encoders[:-1])
        up: list[Any] = list(unet.decoders[1:])
        self.encoders = nn.ModuleList(StreamConv(e.conv, e.norm, e.activation) for e in down)
        between = fused(unet.encoders[-1])
        if between is None:
            name = type(unet.encoders[-1]).__name__
            raise ValueError(f"no form of {name} on a stream is registered")
        self.between = between
        last: Any = unet.output_layer[0]
        self.decoders = nn.ModuleList(
            [
                *(StreamConv(d.deconv, d.norm, d.activation) for d in up),
                StreamConv(last, None, None),
            ]
        )

    def forward(self, x: Tensor, state: StreamState) -> Tensor:
        """Map ``(batch, 2 * channels, freq, frames)`` to as many rows and frames."""
        y: Tensor = x.permute(0, 3, 2, 1)
        skips = []
        for encoder in self.encoders:
            y = encoder(y, state)
            skips.append(y)
        y = self.between(y, state)
        for decoder, skip in zip(self.decoders, skips[::-1], strict=True):
            # complex channels side by side: real parts of both maps, then their imaginary parts
            parts = [each.unflatten(3, (2, -1)) for each in (y, skip)]
            y = decoder(torch.cat(parts, dim=4).flatten(3), state)
        return y.permute(0, 3, 2, 1)


def _block_weight(conv: ComplexConv) -> tuple[Tensor, Tensor]:
    """Return real weight ``(out, in, rows, frames)`` and bias of a complex layer, in float64."""
    re, im = (part.weight.detach().double() for part in (conv.re_module, conv.im_module))
    if isinstance(conv, ComplexConvTranspose2d):
        re, im = re.transpose(0, 1), im.transpose(0, 1)
    weight = torch.cat([torch.cat([re, -im], 1), torch.cat([im, re], 1)])
    bias = conv._bias()
    return weight, weight.new_zeros(len(weight)) if bias is None else bias.detach().double()


def _affine(norm: ComplexBatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return matrix and offset of what a batch norm does to channels when it does not train."""
    exact = copy.deepcopy(norm).double().eval()
    n_channels = 2 * norm.channels
    with torch.no_grad():
        offset = exact(torch.zeros(1, n_channels, 1, 1, dtype=torch.float64))[0, :, 0, 0]
        units = torch.eye(n_channels, dtype=torch.float64)[..., None, None]
        columns = exact(units)[..., 0, 0] - offset
    return columns.T, offset
