"""CNUNet: a complex nested U-Net with a mask branch, a spectrum branch, or both."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from asteroid.dsp.compression import compress, compress_published, expand
from asteroid.masknn.complex.conv import ComplexConv2d
from asteroid.masknn.complex.mask import apply_mask
from asteroid.masknn.nested.causal_norm import RunningLevel
from asteroid.masknn.nested.conv import ConvNormAct, join
from asteroid.masknn.nested.dense_block import DilatedDenseBlock
from asteroid.masknn.nested.embedding_fusion import EmbeddingFusion
from asteroid.masknn.nested.unit import NestedUnit
from asteroid.masknn.stream.state import StreamState
from asteroid.utils.registry import check_choice

from .framed import DEPTHS, FramedModel, check_sizes, write_bins

__all__ = ["CNUNet"]

BRANCHES = {"both": ("mask", "spectrum"), "mask": ("mask",), "spectrum": ("spectrum",)}


class CNUNet(FramedModel):
    """Complex nested U-Net on power-compressed spectra: CNUNet-TB, and CNUNet-SB with one branch.

    An encoder of nested U-Nets halves the rows of frequency at each stage; a dilated dense block at
    the bottom gives the *latent* features; one decoder per branch leads back. The mask branch
    multiplies the compressed noisy spectrum by a complex mask bounded by tanh, the spectrum branch
    outputs the compressed spectrum itself; the waveforms of both are averaged.

    On a stream (:meth:`stream`) it runs frame by frame, on one core faster than the signal arrives
    (:meth:`frame_program`).

    With ``embedding_dim`` the network takes speech embeddings, which are fused into the input of
    the dense block (stage 1 of the two-stage training). The skip connections stay as they are.

    Causal: frame ``t`` knows frames up to ``t`` only. The original is not, whatever its paper says;
    ``as_published=True`` keeps what makes it so, in order to compare numbers. The deviations:

    * Features are normalised over frames up to the present one, instead of all of the file.
    * The convolutions over time of the attention see the past instead of 16 frames on either side.
    * The spectrum branch cannot know how loud the input is, because the first normalisation takes
      its level away: the original answers a whisper and a shout, and silence too, at one level.
      Here the compressed spectrum is divided by its root mean square so far, and the branch's
      output multiplied by it: a scaled input gives a scaled output, and silence gives silence
      (exactly so well above the 1e-7 in the compression: 1 % off for an input of -60 dBFS).
    * The original's last samples are lost where the length is no multiple of the hop (the output
      ends in zeros there); here frames cover all of the signal.
    * The original normalises the imaginary part of 1 x 1 layers with the real part's affine
      parameters, and leaves those of the imaginary part unused; here each part has its own, in both
      modes. The number of parameters is the same.
    * CNUNet-SB is not in the published code; it is the same network with the mask branch alone.

    Args:
        channels: Complex channels between the stages (half of the published ``out_ch`` 64).
        inner_channels: Complex channels inside the nested U-Nets; even (half of ``mid_ch`` 32).
        depths: Steps of the nested U-Nets of the encoder's stages; the decoder's mirror them.
        branch: ``both`` (TB), ``mask`` (SB) or ``spectrum``.
        embedding_dim: Size of the embeddings that :meth:`forward` takes; None: it takes none.
        norm: ``cumulative`` or ``frame`` statistics.
        power: Exponent of the compression.
        win_length: Window, samples.
        hop_length: Samples from one frame to the next.
        n_fft: Transform length, samples; ``n_fft / 2`` must be divisible by two to the power of the
            deepest path.
        sample_rate: In Hz.
        as_published: Keep the original's non-causal computation.
        oracle_latents: Say that it was trained on the latents of an oracle.

    Attributes:
        notice: What must be said wherever its scores appear; empty: nothing.

    Raises:
        ValueError: An argument is none of the above.

    Example:
        >>> network = CNUNet(channels=4, inner_channels=2)
        >>> network(torch.randn(2, 1000)).shape, network.latency_samples
        (torch.Size([2, 1, 1000]), 512)

    Source: Hwang et al., "SE using SRL model", code seorim0/SE-using-SRL-Model (CNUNet-TB-TS).
    """

    def __init__(
        self,
        channels: int = 32,
        inner_channels: int = 16,
        depths: tuple[int, ...] = DEPTHS,
        branch: Literal["both", "mask", "spectrum"] = "both",
        embedding_dim: int | None = None,
        norm: Literal["cumulative", "frame"] = "cumulative",
        power: float = 0.2,
        win_length: int = 512,
        hop_length: int = 256,
        n_fft: int = 512,
        sample_rate: float = 16000,
        as_published: bool = False,
        oracle_latents: bool = False,
    ) -> None:
        super().__init__(sample_rate, win_length, hop_length, n_fft, as_published=as_published)
        self.oracle_latents = oracle_latents
        self.notice = "trained on latents of an oracle" if oracle_latents else ""
        check_choice("branch", branch, BRANCHES)
        check_sizes(channels, inner_channels, depths, n_fft)
        check_choice("norm", norm, ("cumulative", "frame"))
        self.channels, self.inner_channels = channels, inner_channels
        self.depths, self.branch, self.embedding_dim = tuple(depths), branch, embedding_dim
        self.norm, self.power = norm, power
        kind, eps = ("utterance", 1e-8) if as_published else (norm, 1e-5)
        options: dict[str, Any] = {"parts": 2, "norm": kind, "eps": eps}

        self.entry = ConvNormAct(1, channels, kind="point", **options)
        self.encoder = nn.ModuleList(self._stage(depth, options) for depth in depths)
        self.downs = nn.ModuleList(
            ComplexConv2d(channels, channels, (1, 1), (2, 1)) for _ in depths
        )
        rows = n_fft // 2 // 2 ** len(depths)  # without the constant bin, halved by each stage
        self.fusion: EmbeddingFusion | None = None
        if embedding_dim is not None:
            self.fusion = EmbeddingFusion(channels, rows, embedding_dim, **options)
        self.bottleneck = DilatedDenseBlock(channels, per_channel=True, **options)
        self.decoders = nn.ModuleDict({name: _Decoder(self, options) for name in BRANCHES[branch]})
        self.level = None if as_published else RunningLevel()

    def _stage(self, depth: int, options: dict[str, Any], widen: int = 1) -> NestedUnit:
        return NestedUnit(
            widen * self.channels,
            self.inner_channels,
            self.channels,
            depth,
            symmetric=self.as_published,
            **options,
        )

    def enhance(
        self, spectrum: Tensor, state: StreamState | None = None, embeddings: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map ``(batch, n_fft // 2 + 1, frames)``; the latent has ``2 * channels`` channels."""
        squeeze = compress_published if self.as_published else compress
        noisy = squeeze(spectrum, self.power)[:, :, 1:]  # without the constant bin
        level = (
            torch.ones((), device=noisy.device) if self.level is None else self.level(noisy, state)
        )
        outputs = self._outputs(noisy / level, state, embeddings)
        latent, results = outputs.pop("latent"), []
        for name, output in outputs.items():
            if name == "mask":
                result = apply_mask(noisy, output, "tanh")
            else:
                result = output.to(noisy.dtype) * level
            results.append(expand(write_bins(result), self.power))
        return torch.stack(results).mean(0), latent

    def _outputs(
        self, x: Tensor, state: StreamState | None, embeddings: Tensor | None
    ) -> dict[str, Tensor]:
        """Outputs of the decoders by name, and the latent."""
        if state is not None and state.machine is not None:
            return state.machine(x)
        latent, skips = self.encode(x, state, embeddings)
        outputs = {name: each(latent, skips, state) for name, each in self.decoders.items()}
        return {**outputs, "latent": latent}

    def encode(
        self, x: Tensor, state: StreamState | None = None, embeddings: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the latent ``(batch, 2 * channels, freq, frames)`` and the skip connections.

        Args:
            x: Compressed spectrum ``(batch, 2, n_fft // 2, frames)``, real part first.
            state: Memory of a stream.
            embeddings: ``(batch, frames, embedding_dim)``.
        """
        if (embeddings is None) != (self.fusion is None):
            have = "takes no embeddings" if self.fusion is None else "needs embeddings"
            raise ValueError(f"this network {have} (embedding_dim={self.embedding_dim})")
        y, skips = self.entry(x, state), []
        for stage, down in zip(self.encoder, self.downs, strict=True):
            y = down(stage(y, state)[0])
            skips.append(y)
        if self.fusion is not None:
            assert embeddings is not None
            y = self.fusion(y, embeddings, state)
        return self.bottleneck(y, state), skips

    def get_model_args(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("channels", "inner_channels", "branch", "embedding_dim", "norm", "power")
        arguments = {name: getattr(self, name) for name in (*names, "oracle_latents")}
        return {**arguments, "depths": list(self.depths), **self._spectral_args()}


class _Decoder(nn.Module):
    """From the latent back to a complex spectrum or mask of one channel."""

    def __init__(self, network: CNUNet, options: dict[str, Any]) -> None:
        super().__init__()
        wide = 2 * network.channels
        depths = network.depths[::-1]
        self.ups = nn.ModuleList(ConvNormAct(wide, wide, kind="up", **options) for _ in depths)
        self.stages = nn.ModuleList(network._stage(depth, options, 2) for depth in depths)
        self.exit = ComplexConv2d(network.channels, 1, (1, 1))

    def forward(self, latent: Tensor, skips: list[Tensor], state: StreamState | None) -> Tensor:
        y = latent
        for up, stage, skip in zip(self.ups, self.stages, skips[::-1], strict=True):
            y = stage(up(join([y, skip], 2), state), state)[0]
        output: Tensor = self.exit(y)
        return output
