"""DCCRN: a complex convolutional recurrent network that enhances speech, with little look-ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.masknn.complex.conv import ComplexConv2d, ComplexConvTranspose2d, ComplexLinear
from asteroid.masknn.complex.geometry import layout
from asteroid.masknn.complex.mask import apply_mask
from asteroid.masknn.complex.rnn import ComplexLSTM
from asteroid.masknn.complex.stft import ComplexStft
from asteroid.masknn.complex.unet import Layer, Style, UNet
from asteroid.masknn.stream.program import FrameProgram, write_program
from asteroid.masknn.stream.state import StreamState
from asteroid.utils.registry import check_choice

from .complex_mask_model import ComplexMaskModel
from .streaming import WaveStream

__all__ = ["DCCRN", "MASKINGS"]

MASKINGS = {"E": "tanh", "C": "unbounded", "R": "separate"}
_KERNEL, _STRIDE = (5, 2), (2, 1)


class DCCRN(ComplexMaskModel):
    """DCCRN in the configurations E, C and R of its mask.

    A causal one also runs frame by frame (:meth:`stream`).

    Each of the decoder's layers looks one frame ahead, as in the original code, or none does
    (``causal``). What a sample of the output depends on ends :attr:`latency_samples` after it, once
    the network does not train (batch norms learn from the whole batch).

    Args:
        masking: ``E``: the mask's magnitude is bounded by tanh, its phase is added. ``C``: complex
            product, unbounded. ``R``: real and imaginary parts are masked each by itself.
        channels: Real channels (two for each complex one) that leave the encoders, from outside to
            inside; even.
        recurrent: ``complex`` or ``real`` LSTM between encoders and decoders.
        hidden: Its units, those of real and imaginary part together; even.
        n_layers: Its layers.
        norm: Batch norm of complex maps, ``parts`` (the published default) or ``whitening``.
        causal: Decoders do not look ahead: 6 frames less latency than published, with six of them.
        variant: ``published``, or ``asteroid`` for the architecture of Asteroid's DCCRNet, whose
            weights :meth:`~.complex_mask_model.ComplexMaskModel.load_asteroid` takes: another
            transform, no Nyquist bin instead of no DC bin, no zeros in time, no bias before batch
            norms, a slope for each part.
        n_src: Number of masks; see :class:`.complex_mask_model.ComplexMaskModel`.
        n_fft: Points of the STFT.
        window_length: Samples of its window.
        hop_length: Samples from one frame to the next.
        sample_rate: In Hz.

    Raises:
        ValueError: An argument is none of the above, or sizes do not fit.

    Example:
        >>> import torch
        >>> network = DCCRN("C", channels=(4, 8), hidden=8, causal=True)
        >>> network(torch.randn(2, 1, 5000)).shape, network.latency_samples
        (torch.Size([2, 1, 5000]), 400)

    Source: Hu et al., "DCCRN: Deep complex convolution recurrent network for phase-aware speech
        enhancement", Interspeech 2020; sizes as its public code builds them.
    """

    def __init__(
        self,
        masking: Literal["E", "C", "R"] = "E",
        channels: Sequence[int] = (32, 64, 128, 256, 256, 256),
        recurrent: Literal["complex", "real"] = "complex",
        hidden: int = 256,
        n_layers: int = 2,
        norm: Literal["parts", "whitening"] = "parts",
        causal: bool = False,
        variant: Literal["published", "asteroid"] = "published",
        n_src: int = 1,
        n_fft: int = 512,
        window_length: int = 400,
        hop_length: int = 100,
        sample_rate: float = 16000,
    ) -> None:
        check_choice("masking", masking, MASKINGS)
        check_choice("recurrent", recurrent, ("complex", "real"))
        check_choice("variant", variant, ("published", "asteroid"))
        if causal and variant == "asteroid":
            raise ValueError("causal needs variant 'published': Asteroid's DCCRNet looks ahead")
        arguments = {
            **{"masking": masking, "channels": [int(c) for c in channels], "recurrent": recurrent},
            **{"hidden": hidden, "n_layers": n_layers, "norm": norm, "causal": causal},
            **{"variant": variant, "n_src": n_src, "n_fft": n_fft},
            **{"window_length": window_length, "hop_length": hop_length},
        }
        published = variant == "published"
        edges = "zeros" if published else "asteroid"
        stft = ComplexStft(n_fft, hop_length, window_length, edges)
        super().__init__(sample_rate, n_src, MASKINGS[masking], stft)
        self.arguments, self.published = arguments, published
        widths = _complex_counts(channels, n_fft, hidden)
        n_features = widths[-1] * (n_fft // 2 >> len(widths))  # each encoder halves the rows
        between: nn.Module = (
            ComplexRecurrent(n_features, hidden // 2, n_layers)
            if recurrent == "complex"
            else RealRecurrent(2 * n_features, hidden, n_layers)
        )
        time = "causal" if causal else ("ahead" if published else "valid")
        style = Style(
            norm=norm,
            activation="shared_prelu" if published else "prelu",
            bias=published,
            time=time,
        )
        down = [Layer(count, _KERNEL, _STRIDE) for count in widths]
        up = [Layer(count, _KERNEL, _STRIDE, 1) for count in [*widths[-2::-1], n_src]]
        self.masker = UNet(down, up, style=style, between=between)
        ahead = 0 if causal else len(widths)  # one frame for each decoder
        self.latency_samples = window_length + ahead * hop_length
        if published:
            self.masker.apply(_initialise)

    def mask_output(self, spectrum: Tensor, state: StreamState | None = None) -> Tensor:
        """Return what makes the masks of ``(batch, 2, freq, frames)``, with one bin of zeros.

        Args:
            spectrum: Noisy.
            state: Memory of a stream; None: the spectrum is a whole utterance.
        """
        first = 1 if self.published else 0  # the bin at 0 Hz or the highest one is left out
        kept = spectrum[:, :, first : first + self.stft.n_fft // 2]
        y: Tensor = self.masker(kept) if state is None else self.masker(kept, state)
        return F.pad(y, (0, 0, first, 1 - first))

    @property
    def streams(self) -> bool:
        """Whether :meth:`stream` can run it: it is causal."""
        return bool(self.arguments["causal"])

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return self.stft.hop_length

    def enhance(
        self, spectrum: Tensor, state: StreamState, embeddings: None = None
    ) -> tuple[Tensor, Tensor]:
        """Mask the frames of a stream: see :meth:`.framed.FramedModel.enhance`.

        Args:
            spectrum: ``(batch, 2, freq, frames)``.
            state: Memory.
            embeddings: This network takes none.

        Returns:
            The spectrum of the first source, and the output that masks it.
        """
        output = self.mask_output(spectrum, state)
        masked = apply_mask(spectrum, output, self.mask)
        return masked.unflatten(1, (2, self.n_src))[:, :, 0], output

    def frame_program(self) -> FrameProgram:
        """Return the network written out for one frame at a time.

        Raises:
            ValueError: There is no such form of this network.
        """
        return write_program(self)

    def stream(self, batch: int = 1, engine: str = "auto") -> WaveStream:
        """Return a :class:`.streaming.WaveStream`, for signals that arrive piece by piece.

        It gives the first source, speech.

        Args:
            batch: Signals that run side by side.
            engine: ``auto`` or ``torch``.

        Raises:
            ValueError: The network is not causal, or there is no such engine for it.
        """
        if not self.streams:
            raise ValueError(
                "this DCCRN looks ahead, so it cannot run on a stream; build it with causal=True"
            )
        return WaveStream(self, batch, engine)  # type: ignore[arg-type]

    def get_model_args(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**self.arguments, "sample_rate": self.sample_rate}


class ComplexRecurrent(nn.Module):
    """Complex LSTM over time and complex linear layer, on ``(batch, 2 * C, freq, frames)``.

    Args:
        n_features: Complex channels times rows.
        hidden: Complex units.
        n_layers: Layers of the LSTM.
    """

    def __init__(self, n_features: int, hidden: int, n_layers: int) -> None:
        super().__init__()
        self.rnn = ComplexLSTM(n_features, hidden, n_layers)
        self.linear = ComplexLinear(hidden, n_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map to the same shape."""
        parts = x.unflatten(1, (2, -1))
        rows = self.rnn(parts.permute(4, 1, 0, 2, 3).flatten(3))  # frames, part, batch, features
        y: Tensor = self.linear(rows.transpose(1, 2).flatten(2))
        return _as_map(y, x)


class RealRecurrent(nn.Module):
    """LSTM over time and linear layer on all parts of ``(batch, channels, freq, frames)``.

    Args:
        n_features: Channels times rows.
        hidden: Units.
        n_layers: Layers of the LSTM.
    """

    def __init__(self, n_features: int, hidden: int, n_layers: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(n_features, hidden, n_layers)
        self.linear = nn.Linear(hidden, n_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map to the same shape."""
        y: Tensor = self.linear(self.rnn(x.permute(3, 0, 1, 2).flatten(2))[0])
        return _as_map(y, x)


def _as_map(y: Tensor, like: Tensor) -> Tensor:
    """``(frames, batch, features)`` in the shape of a map, and laid out in memory as that is.

    Decoders run in the layout of what they are given: another one costs them half their speed.
    """
    _, channels, rows, _ = like.shape
    y = y.unflatten(2, (channels, rows)).permute(1, 2, 3, 0)
    return y.contiguous(memory_format=layout(like))


def _initialise(module: nn.Module) -> None:
    """Weights of convolutions as in the original: normal, with a deviation of 0.05, and no bias."""
    if isinstance(module, ComplexConv2d | ComplexConvTranspose2d):
        for part in (module.re_module, module.im_module):
            nn.init.normal_(part.weight, std=0.05)
            nn.init.zeros_(part.bias)


def _complex_counts(channels: Sequence[int], n_fft: int, hidden: int) -> list[int]:
    counts = [int(count) for count in channels]
    if not counts or any(count < 2 or count % 2 for count in counts):
        raise ValueError(f"channels must be even and positive; got {counts}")
    if hidden < 2 or hidden % 2:
        raise ValueError(f"hidden must be even and positive; got {hidden}")
    if n_fft % 2 ** (len(counts) + 1):
        raise ValueError(
            f"n_fft must be a multiple of {2 ** (len(counts) + 1)} for {len(counts)} encoders; "
            f"got {n_fft}"
        )
    return [count // 2 for count in counts]
