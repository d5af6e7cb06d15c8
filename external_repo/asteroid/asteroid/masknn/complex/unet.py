"""A convolutional U-Net on spectra, of complex or of real feature maps.

Parameters have the names of Asteroid's ``DCUMaskNet`` and ``DCCRMaskNet``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asteroid.utils.registry import check_choice

from .conv import ComplexConv2d, ComplexConvTranspose2d
from .norm import ComplexBatchNorm2d, ComplexLeakyReLU, ComplexPReLU

__all__ = ["Layer", "Style", "UNet"]

Pair = tuple[int, int]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": ComplexLeakyReLU,
    "prelu": ComplexPReLU,
    "shared_prelu": lambda: ComplexPReLU(shared=True),
}
TIMES = ("same", "causal", "ahead", "valid")


class Layer(NamedTuple):
    """Channels that leave a convolution, its kernel and stride ``(freq, time)``.

    ``more`` rows are added at the end of the frequencies by a transposed convolution.
    """

    channels: int
    kernel: Pair
    stride: Pair
    more: int = 0


class Style(NamedTuple):
    """What all layers of a U-Net have in common.

    Attributes:
        real: Real feature maps instead of complex ones; ``norm`` is then not used.
        norm: Batch norm, ``parts`` or ``whitening``.
        activation: ``leaky_relu``, ``prelu`` or ``shared_prelu``.
        bias: Whether convolutions before a batch norm, which takes it away again, have a bias.
        time: ``same``: half a kernel of zeros on both sides. ``causal``: no frame knows a later.
            ``ahead``: decoders look ahead as far as their kernels reach, encoders do not, as in the
            original DCCRN. ``valid``: no zeros, encoders shorten and decoders lengthen, as in
            Asteroid's DCCRNet.
    """

    real: bool = False
    norm: str = "parts"
    activation: str = "leaky_relu"
    bias: bool = False
    time: str = "same"


class UNet(nn.Module):
    """Encoders that shrink a spectrum, decoders that grow it again beside the encoders' outputs.

    Each layer is a convolution, a batch norm and an activation; the last one a convolution alone. A
    decoder is given the output of the one before it and the output of the encoder of its size. A
    module between encoders and decoders maps ``(batch, channels, freq, frames)`` to the same shape;
    with one, the innermost encoder's output is carried over too.

    Args:
        encoders: Convolutions from outside to inside.
        decoders: Transposed convolutions from inside to outside, as many.
        n_in: Channels of the input.
        style: What all layers have in common.
        between: The module in the middle, or None.

    Raises:
        ValueError: An option of ``style`` is unknown.
    """

    def __init__(
        self,
        encoders: Sequence[Layer],
        decoders: Sequence[Layer],
        *,
        n_in: int = 1,
        style: Style | None = None,
        between: nn.Module | None = None,
    ) -> None:
        super().__init__()
        style = style or Style()
        _check(style)
        sizes = [n_in, *[layer.channels for layer in encoders]]
        down = [_Encoder(size, layer, style) for size, layer in zip(sizes, encoders, strict=False)]
        skips, inner = sizes[:0:-1], sizes[-1]
        up: list[nn.Module] = []
        for position, (layer, skip) in enumerate(zip(decoders, skips, strict=True)):
            carried = skip if position or between is not None else 0
            last = position == len(decoders) - 1
            up.append(
                _deconvolution(inner + carried, layer, style, bias=True)
                if last
                else _Decoder(inner + carried, layer, style)
            )
            inner = layer.channels
        middle = [] if between is None else [between]
        self.encoders = nn.ModuleList([*down, *middle])
        self.decoders = nn.ModuleList([*[nn.Identity() for _ in middle], *up[:-1]])
        self.output_layer = nn.ModuleList(up[-1:])

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, channels, freq, frames)`` to as many rows and frames."""
        if x.device.type == "cpu":  # where convolutions of few channels are several times faster so
            x = x.contiguous(memory_format=torch.channels_last)
        outputs = []
        for encoder in self.encoders:
            x = encoder(x)
            outputs.append(x)
        maps: tuple[Tensor, ...] = (x,)
        for decoder, skip in zip(self.decoders, outputs[-2::-1], strict=True):
            inner = maps[0] if isinstance(decoder, nn.Identity) else decoder(*maps)
            maps = (inner, skip)
        y: Tensor = self.output_layer[0](*maps)
        return y


class _Encoder(nn.Module):
    def __init__(self, n_in: int, layer: Layer, style: Style) -> None:
        super().__init__()
        causal = style.time in ("causal", "ahead")
        freq, time = (size // 2 for size in layer.kernel)
        sizes = (n_in, layer.channels, layer.kernel, layer.stride)
        padding = (freq, 0 if style.time == "valid" or causal else time)
        self.conv: nn.Module
        if style.real:
            self.conv = nn.Conv2d(*sizes, padding, bias=style.bias)
        else:
            self.conv = ComplexConv2d(*sizes, padding, bias=style.bias, causal=causal)
        self.norm = _norm(layer.channels, style)
        self.activation = ACTIVATIONS[style.activation]()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.norm(self.conv(x)))
        return y


class _Decoder(nn.Module):
    def __init__(self, n_in: int, layer: Layer, style: Style) -> None:
        super().__init__()
        self.deconv = _deconvolution(n_in, layer, style, bias=style.bias)
        self.norm = _norm(layer.channels, style)
        self.activation = ACTIVATIONS[style.activation]()

    def forward(self, *maps: Tensor) -> Tensor:
        y: Tensor = self.activation(self.norm(self.deconv(*maps)))
        return y


class _RealConvTranspose2d(nn.ConvTranspose2d):
    def forward(self, *maps: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(torch.cat(maps, dim=1))


def _deconvolution(n_in: int, layer: Layer, style: Style, *, bias: bool) -> nn.Module:
    freq, time = (size // 2 for size in layer.kernel)
    sizes = (n_in, layer.channels, layer.kernel, layer.stride)
    padding = (freq, time if style.time == "same" else 0)
    if style.real:
        return _RealConvTranspose2d(*sizes, padding, (layer.more, 0), bias=bias)
    ahead = (layer.kernel[1] - layer.stride[1], 0) if style.time == "ahead" else None
    return ComplexConvTranspose2d(
        *sizes, padding, (layer.more, 0), bias=bias, causal=style.time == "causal", trim=ahead
    )


def _norm(n_channels: int, style: Style) -> nn.Module:
    return nn.BatchNorm2d(n_channels) if style.real else ComplexBatchNorm2d(n_channels, style.norm)


def _check(style: Style) -> None:
    check_choice("activation", style.activation, ACTIVATIONS)
    check_choice("time", style.time, TIMES)
    if style.real and (style.time not in ("same", "valid") or style.activation != "leaky_relu"):
        raise ValueError(
            "real feature maps go with time 'same' or 'valid' and activation 'leaky_relu'; got "
            f"{style.time!r} and {style.activation!r}"
        )
