"""Base of causal networks on spectra, which run whole or frame by frame."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from asteroid.dsp.framed_stft import FramedStft
from asteroid.masknn.stream.program import FrameProgram, write_program
from asteroid.masknn.stream.state import StreamState

from .base_models import BaseModel
from .mixture import first_channel
from .streaming import WaveStream

__all__ = ["DEPTHS", "FramedModel", "check_sizes", "write_bins"]

DEPTHS = (6, 5, 4, 4, 4, 3)  # of the nested U-Nets: steps down in each stage


class FramedModel(BaseModel):
    """A network from spectrum to spectrum between an STFT of left-aligned frames and its inverse.

    A subclass implements :meth:`enhance`.

    Args:
        sample_rate: In Hz.
        win_length: Window, samples.
        hop_length: Samples from one frame to the next.
        n_fft: Transform length, samples.
        as_published: Whether the network keeps the non-causal parts of the original.

    Attributes:
        latency_samples: Sample ``n`` of the output depends on no sample of the input from
            ``n + latency_samples`` on: a window must be complete before it is transformed. None if
            the network looks ahead without a bound.
    """

    def __init__(
        self,
        sample_rate: float,
        win_length: int,
        hop_length: int,
        n_fft: int,
        *,
        as_published: bool,
    ) -> None:
        super().__init__(sample_rate=sample_rate, in_channels=1)
        self.win_length, self.hop_length, self.n_fft = win_length, hop_length, n_fft
        self.as_published = as_published
        self.stft = FramedStft(win_length, hop_length, n_fft, whole=not as_published)

    @property
    def latency_samples(self) -> int | None:
        """Look-ahead of the network in samples, the window included; None without a bound."""
        return None if self.as_published else self.win_length

    @property
    def streams(self) -> bool:
        """Whether :meth:`stream` can run it: it does not look ahead without a bound."""
        return not self.as_published

    def enhance(
        self, spectrum: Tensor, state: StreamState | None = None, embeddings: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map a noisy spectrum to the enhanced one and the latent features.

        Args:
            spectrum: Complex, ``(batch, n_fft // 2 + 1, frames)``.
            state: Memory of a stream; None: the spectrum is a whole utterance.
            embeddings: ``(batch, frames, size)`` for networks that take them.
        """
        raise NotImplementedError

    def forward(self, mixture: Tensor, embeddings: Tensor | None = None) -> Tensor:
        """Enhance.

        Args:
            mixture: ``(batch, samples)`` or ``(batch, channels, samples)``, of which the first
                channel is used, or ``(samples,)``.
            embeddings: ``(batch, frames, size)``, aligned with :meth:`n_frames` frames, for
                networks built to take them.

        Returns:
            Estimates ``(batch, 1, samples)``, or ``(1, samples)`` of a mixture without a batch.

        Raises:
            TypeError: The mixture is no floating-point tensor.
            ValueError: It is empty or has another number of dimensions, or embeddings are missing,
                unexpected or of another shape.
        """
        return self.analyse(mixture, embeddings)[0]

    def analyse(self, mixture: Tensor, embeddings: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return what :meth:`forward` does, and the latent ``(batch, channels, freq, frames)``."""
        signal = first_channel(mixture)
        exact = torch.promote_types(signal.dtype, torch.float32)
        with torch.autocast(signal.device.type, enabled=False):
            spectrum = self.stft(signal.to(exact))
        enhanced, latent = self.enhance(spectrum, None, embeddings)
        with torch.autocast(signal.device.type, enabled=False):
            estimate = self.stft.inverse(enhanced, signal.shape[-1])
        if self.as_published:
            estimate = self._finish_as_published(estimate)
        return (estimate if mixture.ndim == 1 else estimate[:, None]), latent

    def _finish_as_published(self, estimate: Tensor) -> Tensor:
        return estimate

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of ``n_samples`` samples."""
        return self.stft.n_frames(n_samples)

    def frame_times(self, n_frames: int) -> Tensor:
        """Return the centre times of the first ``n_frames`` frames in seconds."""
        ends = torch.arange(1, n_frames + 1, dtype=torch.float64) * self.hop_length
        times: Tensor = (ends - self.win_length / 2) / self.sample_rate
        return times

    def frame_program(self) -> FrameProgram:
        """Return the network between its spectra written out for one frame at a time.

        Raises:
            ValueError: There is no such form of this network.
        """
        return write_program(self)

    def stream(self, batch: int = 1, engine: str = "auto") -> WaveStream:
        """Return a :class:`WaveStream` of this network, for signals that arrive piece by piece.

        Args:
            batch: Signals that run side by side.
            engine: See :class:`WaveStream`.

        Raises:
            ModuleNotFoundError: ``compiled`` is asked for and numba is not installed.
            ValueError: The network is not causal, or the engine unknown or not for this network.
        """
        return WaveStream(self, batch, engine)

    def _spectral_args(self) -> dict[str, Any]:
        names = ("win_length", "hop_length", "n_fft", "sample_rate", "as_published")
        return {name: getattr(self, name) for name in names}


def write_bins(parts: Tensor) -> Tensor:
    """Put a row of zeros for the constant bin below ``(..., freq, frames)``."""
    return F.pad(parts, (0, 0, 1, 0))


def check_sizes(channels: int, inner: int, depths: tuple[int, ...], n_fft: int) -> None:
    """Refuse channels and depths of which no nested U-Net can be built."""
    for name, value in (("channels", channels), ("inner_channels", inner)):
        if value < 2 or value % 2:
            raise ValueError(f"{name} must be even and at least 2; got {value}")
    if not depths or min(depths) < 1:
        raise ValueError(f"depths must be positive, one per stage; got {list(depths)}")
    # A unit at level l sees rows halved l times, and halves them ``depth`` times more.
    steps = max([len(depths), *(level + depth for level, depth in enumerate(depths))])
    if n_fft // 2 % 2**steps:
        raise ValueError(
            f"n_fft / 2 must be divisible by 2^{steps} (the deepest path of depths "
            f"{list(depths)}); got n_fft = {n_fft}"
        )
