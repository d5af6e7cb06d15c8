"""CNUNet written out for one frame at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from asteroid.masknn.complex.conv import ComplexConv2d
from asteroid.masknn.nested.conv import PartsPReLU
from asteroid.masknn.nested.dense_block import ComplexDepthPoint
from asteroid.masknn.stream.program import TAPS, FrameProgram, Map, write_program
from asteroid.masknn.stream.writer import FrameWriter, Product, Source

from .cnunet import CNUNet

__all__ = ["write_cnunet"]

PARTS = 2


@write_program.register(CNUNet)
@torch.no_grad()
def write_cnunet(network: CNUNet) -> FrameProgram:
    """Write out a causal network without embeddings.

    The results are the outputs of the decoders by their names, and ``latent``; all are
    ``(rows, 2 * channels)``, real parts first.

    Raises:
        ValueError: The network is not causal or takes embeddings.
    """
    if network.as_published or network.fusion is not None:
        raise ValueError(
            f"only causal networks without embeddings run frame by frame; this one has "
            f"as_published={network.as_published}, embedding_dim={network.embedding_dim}"
        )
    writer = _CnunetWriter()
    source = writer.reserve(network.n_fft // 2, PARTS)
    y, skips = writer.step(network.entry, [source]), []
    for stage, down in zip(network.encoder, network.downs, strict=True):
        y = writer.point(down, writer.unit(stage, y), stride=2, frames=2)
        skips.append(y)
    latent = writer.dense(network.bottleneck, y)
    results = {"latent": latent}
    decoders: dict[str, Any] = dict(network.decoders)
    for name, decoder in decoders.items():
        y = latent
        for up, stage, skip in zip(decoder.ups, decoder.stages, skips[::-1], strict=True):
            y = writer.unit(stage, writer.step(up, [y, skip]), frames=2)
        results[name] = writer.point(decoder.exit, y)
    return writer.finished(source, results)


class _CnunetWriter(FrameWriter):
    """Knows the modules of the network. ``frames=2``: the next frame sees what is written too."""

    def point(self, conv: Any, y: Map, stride: int = 1, frames: int = 1) -> Map:
        """1 x 1 convolution alone."""
        weight, bias = _parts(conv)
        product = self.convolve([Source(y, 0, *weight[..., 0])], stride)
        place = self.reserve(product.rows, bias.numel(), frames)
        return self.finish(product, place, bias)

    def step(self, block: Any, maps: list[Map], frames: int = 1) -> Map:
        """Convolution, normalisation and PReLU of maps whose channels are joined."""
        weight, bias = _parts(block.conv)
        repeats = 1 + block.up
        if block.up:  # pairs of channels become pairs of rows: all first rows, then all second
            weight = weight.unflatten(1, (-1, 2)).transpose(1, 2).flatten(1, 2)
            bias = bias.unflatten(1, (-1, 2)).permute(2, 0, 1)
        shares = zip(maps, weight.chunk(len(maps), dim=2), strict=True)
        sources = [
            Source(place, delay, *share[..., -1 - delay])
            for place, share in shares
            for delay in range(1 + block.past)
        ]
        product = self.convolve(sources, block.conv.re_module.stride[0], repeats=repeats)
        place = self.reserve(product.rows * repeats, bias.numel() // repeats, frames)
        return self._normalise(product, place, bias, block.norm, block.activation)

    def unit(self, unit: Any, y: Map, frames: int = 1) -> Map:
        """Nested U-Net."""
        entry = y = self.step(unit.entry, [y], frames=2)
        skips = []
        for down in unit.downs:
            y = self.step(down, [y], frames=2)
            skips.append(y)
        y = self.dense(unit.dense, y)
        for i, up in enumerate(unit.ups, start=1):
            y = self.step(up, [y, skips.pop()], frames=1 if i == len(unit.ups) else 2)
        return self._attend(unit.attention, y, entry, frames)

    def dense(self, block: Any, y: Map) -> Map:
        """Dilated dense block; the depthwise and pointwise kernels become one."""
        frames = 1 + max(block.dilations)
        seen = [self._causal(block.first, block.first_activation, y, frames)]
        layers = zip(block.convs, block.norms, block.activations, block.dilations, strict=True)
        for conv, norm, activation, dilation in layers:
            weight, bias = _depth_point_parts(conv)
            if dilation >= y.rows:  # all but the middle row of the kernel lie outside
                weight = weight[..., 1:2, :]
            sources = [
                Source(place, delay, *share[..., tap])  # the newest comes first in the weight
                for place, share in zip(seen, weight.chunk(len(seen), dim=2)[::-1], strict=True)
                for tap, delay in enumerate((dilation, 0))
            ]
            product = self.convolve(sources, dilation=dilation)
            place = self.reserve(y.rows, bias.numel(), frames)
            seen.append(self._normalise(product, place, bias, norm, activation))
        return self._causal(block.last, block.last_activation, seen[-1], 2)

    def _causal(self, conv: Any, activation: nn.Module, y: Map, frames: int) -> Map:
        """Convolution over this and the last frame, and PReLU."""
        weight, bias = _parts(conv)
        sources = [Source(y, 1 - tap, *weight[..., tap]) for tap in range(2)]
        product = self.convolve(sources)
        place = self.reserve(product.rows, bias.numel(), frames)
        return self.finish(product, place, bias, slope=_slope(activation, place.channels))

    def _normalise(
        self, product: Product, place: Map, bias: Tensor, norm: Any, activation: nn.Module
    ) -> Map:
        return self.finish(
            product,
            place,
            bias,
            norm=norm.kind,
            eps=norm.eps,
            affine=(norm.weight, norm.bias),
            slope=_slope(activation, place.channels),
        )

    def _attend(self, block: Any, y: Map, entry: Map, frames: int) -> Map:
        """Time and frequency gates, and the residual connection."""
        gates = []
        for re, im, rows in (
            (block.time_re, block.time_im, 1),
            (block.freq_re, block.freq_im, y.rows),
        ):
            first, first_bias = _both(re.first, im.first)
            second, second_bias = _both(re.second, im.second)
            if rows == 1:
                self.average(y)
            start = 0 if rows == 1 else y.offset
            taps = first.transpose(1, 2).reshape(2 * TAPS, -1)
            self.multiply(PARTS * rows, taps, start, memory=rows > 1)
            gates.append(self.gates(rows, first_bias, second[:, 0], second_bias))
        place = self.reserve(y.rows, y.channels, frames)
        return self.apply(y, gates[0], gates[1], entry, place)


def _parts(conv: Any) -> tuple[Tensor, Tensor]:
    """Parts of a complex convolution: weight ``(2, out, in, rows, frames)``, bias ``(2, out)``."""
    assert isinstance(conv, ComplexConv2d)
    re, im = conv.re_module, conv.im_module
    bias = torch.stack([re.bias - im.bias, re.bias + im.bias])
    return torch.stack([re.weight, im.weight]), bias


def _depth_point_parts(block: Any) -> tuple[Tensor, Tensor]:
    """The same of a depthwise and a 1 x 1 convolution, which together are a complex one."""
    assert isinstance(block, ComplexDepthPoint)
    weights, biases = [], []
    pairs = (block.depth_re, block.point_re), (block.depth_im, block.point_im)
    for depth, point in pairs:
        assert depth.bias is not None
        assert point.bias is not None
        mixing = point.weight[:, :, 0, 0]
        weights.append(mixing[:, :, None, None] * depth.weight[:, 0])
        biases.append(point.bias + mixing @ depth.bias)
    re, im = biases
    return torch.stack(weights), torch.stack([re - im, re + im])


def _slope(activation: nn.Module, channels: int) -> Tensor:
    assert isinstance(activation, PartsPReLU)
    return activation.weight.repeat_interleave(channels // len(activation.weight))


def _both(re: nn.Conv2d, im: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Taps ``(2, channels, 17)`` of both attentions, the present frame's first, and biases."""
    assert re.bias is not None
    assert im.bias is not None
    taps = torch.cat([re.weight, im.weight])[:, :, 0].flip(2)
    return taps, torch.cat([re.bias, im.bias])
