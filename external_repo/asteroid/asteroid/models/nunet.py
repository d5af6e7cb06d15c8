"""NUNet-TLS: a nested U-Net on magnitudes with two levels of skip connections."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from asteroid.masknn.nested.causal_norm import RunningLevel
from asteroid.masknn.nested.conv import ConvNormAct, build_conv_transpose, join
from asteroid.masknn.nested.dense_block import DilatedDenseBlock
from asteroid.masknn.nested.unit import NestedUnit
from asteroid.masknn.stream.state import StreamState
from asteroid.utils.registry import check_choice

from .framed import DEPTHS, FramedModel, check_sizes, write_bins

__all__ = ["NUNetTLS"]


class NUNetTLS(FramedModel):
    """Nested U-Net that maps noisy magnitudes to clean ones; the noisy phase stays.

    An encoder of nested U-Nets halves the rows of frequency at each stage, a dilated dense block
    works at the bottom, and a decoder leads back. Beside the skip connections between the stages,
    those *inside* the nested U-Nets of an encoder stage reach into the decoder stage of its level.

    Causal: frame ``t`` knows frames up to ``t`` only. The original is not, because it normalises by
    statistics of all frames; ``as_published=True`` keeps that, in order to compare numbers. The
    deviations:

    * Features are normalised over frames up to the present one.
    * Magnitudes are divided by their root mean square so far and the output is multiplied by it, so
      that a scaled input gives a scaled output and silence gives silence; the original's output has
      one level whatever its input's.
    * The original clamps the output to [-1, 1]; here that is left to whoever writes a file.
    * Frames cover all of the signal, whatever its length.

    Args:
        channels: Channels between the stages.
        inner_channels: Channels inside the nested U-Nets; even.
        depths: Steps of the nested U-Nets of the encoder's stages; the decoder's mirror them.
        attention: Whether nested U-Nets gate their result over time and frequency (CTFA).
        two_level: Whether the inner skip connections exist (TLS).
        norm: ``cumulative`` or ``frame`` statistics.
        win_length: Window, samples.
        hop_length: Samples from one frame to the next.
        n_fft: Transform length, samples; ``n_fft / 2`` must be divisible by two to the power of the
            deepest path.
        sample_rate: In Hz.
        as_published: Keep the original's non-causal computation.

    Raises:
        ValueError: An argument is none of the above.

    Example:
        >>> network = NUNetTLS(channels=4, inner_channels=2)
        >>> network(torch.randn(2, 1, 1000)).shape, network.latency_samples
        (torch.Size([2, 1, 1000]), 400)

    Source: Hwang et al., "Monoaural speech enhancement using a nested U-Net with two-level skip
        connections", Interspeech 2022.
    """

    def __init__(
        self,
        channels: int = 64,
        inner_channels: int = 32,
        depths: tuple[int, ...] = DEPTHS,
        attention: bool = True,
        two_level: bool = True,
        norm: Literal["cumulative", "frame"] = "cumulative",
        win_length: int = 400,
        hop_length: int = 100,
        n_fft: int = 512,
        sample_rate: float = 16000,
        as_published: bool = False,
    ) -> None:
        super().__init__(sample_rate, win_length, hop_length, n_fft, as_published=as_published)
        check_sizes(channels, inner_channels, depths, n_fft)
        check_choice("norm", norm, ("cumulative", "frame"))
        self.channels, self.inner_channels, self.depths = channels, inner_channels, tuple(depths)
        self.attention, self.two_level, self.norm = attention, two_level, norm
        kind, eps = ("utterance", 1e-8) if as_published else (norm, 1e-5)
        options: dict[str, Any] = {"parts": 1, "norm": kind, "eps": eps}
        sizes = (channels, inner_channels, channels)
        wide = (2 * channels, inner_channels, channels)

        self.entry = ConvNormAct(1, channels, kind="point", **options)
        self.encoder = nn.ModuleList(
            NestedUnit(*sizes, depth, attention=attention, **options) for depth in depths
        )
        self.downs = nn.ModuleList(
            nn.Conv2d(channels, channels, (3, 1), (2, 1), (1, 0)) for _ in depths
        )
        self.bottleneck = DilatedDenseBlock(channels, **options)
        self.ups = nn.ModuleList(
            build_conv_transpose(1, 2 * channels, 2 * channels) for _ in depths
        )
        self.decoder = nn.ModuleList(
            NestedUnit(*wide, depth, attention=attention, crossed=two_level, **options)
            for depth in depths[::-1]
        )
        self.exit = nn.Conv2d(channels, 1, 1)
        self.level = None if as_published else RunningLevel()

    def enhance(
        self, spectrum: Tensor, state: StreamState | None = None, embeddings: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map ``(batch, n_fft // 2 + 1, frames)``; the latent has ``channels`` channels."""
        if embeddings is not None:
            raise ValueError("NUNetTLS takes no embeddings")
        magnitude = spectrum.abs()
        x = magnitude[:, None, 1:]  # without the constant bin
        level = torch.ones((), device=x.device) if self.level is None else self.level(x, state)
        output, latent = self._map(x / level, state)
        estimate = write_bins((output.to(x.dtype) * level)[:, 0])
        phase = spectrum / magnitude.clamp_min(torch.finfo(magnitude.dtype).tiny)
        return estimate * phase, latent

    def _map(self, x: Tensor, state: StreamState | None) -> tuple[Tensor, Tensor]:
        """Magnitudes ``(batch, 1, freq, frames)`` to magnitudes and the latent."""
        y, skips, crossings = self.entry(x, state), [], []
        for stage, down in zip(self.encoder, self.downs, strict=True):
            y, inner = stage(y, state)
            y = down(y)
            skips.append(y)
            crossings.append(inner)
        latent = y = self.bottleneck(y, state)
        for up, stage in zip(self.ups, self.decoder, strict=True):
            crossing = crossings.pop()
            y = up(join([y, skips.pop()], 1))
            y = stage(y, state, crossing if self.two_level else None)[0]
        return self.exit(y), latent

    def _finish_as_published(self, estimate: Tensor) -> Tensor:
        return estimate.clamp(-1, 1)

    def get_model_args(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("channels", "inner_channels", "attention", "two_level", "norm")
        arguments = {name: getattr(self, name) for name in names}
        return {**arguments, "depths": list(self.depths), **self._spectral_args()}
