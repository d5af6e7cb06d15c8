"""FaSNet-TAC: a filter-and-sum beamformer for any number of microphones in any order."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from asteroid.dsp.context import context_windows, overlap_add, reference_correlation
from asteroid.masknn.beamform.channels_last import build_norm, normalise
from asteroid.masknn.beamform.dual_path import DualPathBlock
from asteroid.masknn.beamform.filter_and_sum import filter_and_sum
from asteroid.masknn.beamform.packed_mics import PackedMics
from asteroid.masknn.beamform.transform_average import TransformAverageConcatenate

from .base_models import BaseModel
from .mixture import check_floating

__all__ = ["FasNetTAC"]

_SIZES = ("n_src", "enc_dim", "feature_dim", "hidden_dim", "n_layers", "tac_hidden_dim")
_ARGUMENTS = (
    *_SIZES,
    *("window_ms", "context_ms", "sample_rate", "chunk_size", "hop_size"),
    *("norm_type", "bidirectional", "rnn_type", "dropout", "use_tac"),
)


class FasNetTAC(BaseModel):
    """FaSNet with transform-average-concatenate, same parameters and numbers as Asteroid's.

    Every window of every microphone is described by a learnt encoding of the window with its
    context and by its cross-correlation with the first (the reference) microphone. Dual-path
    RNNs turn the descriptions into filters, the TAC modules let the microphones of an array know of
    each other, and the filtered windows are averaged over the microphones.

    The network is not causal. Scaling the input scales the output, until the 1e-8 in the
    normalisations counts: an untrained network is 0.4 % off for a mixture of -60 dBFS RMS, 12 % at
    -80. Digital silence gives silence, and finite gradients. Any length works, also less than a
    window.

    Args:
        n_src: Number of sources.
        enc_dim: Length of a window's learnt encoding.
        feature_dim: Channels of the dual-path features.
        hidden_dim: Neurons of the RNNs in each direction.
        n_layers: Number of dual-path blocks.
        window_ms: Length of a beamforming window; an even number of samples.
        stride: Not a free choice: windows advance by half a window. Kept because packages have it
            (older ones in samples); anything but ``window_ms / 2`` is answered by a warning.
        context_ms: Context on either side of a window, and the largest delay a filter makes.
        sample_rate: In Hz.
        tac_hidden_dim: Width of the TAC modules.
        norm_type: ``gLN``, ``cLN``, ``fgLN`` or ``bN``.
        chunk_size: Windows in a chunk of the dual-path features.
        hop_size: Windows by which chunks advance; at most ``chunk_size``.
        bidirectional: Whether the RNN across chunks sees the future.
        rnn_type: ``RNN``, ``LSTM`` or ``GRU``.
        dropout: Probability of dropping an output of an RNN while training.
        use_tac: Whether microphones exchange what they know.

    Attributes:
        recompute: Set it to recompute the blocks in the backward pass instead of keeping their
            intermediate values: about a quarter more time for half of the memory.

    Raises:
        ValueError: An argument is none of the above.

    Example:
        >>> network = FasNetTAC(n_src=2, n_layers=1, hidden_dim=8)
        >>> network(torch.randn(3, 4, 1000), valid_mics=torch.tensor([4, 2, 1])).shape
        torch.Size([3, 2, 1000])

    Source: Luo et al., "End-to-end microphone permutation and number invariant multi-channel
        speech separation", ICASSP 2020.
    """

    def __init__(
        self,
        n_src: int,
        enc_dim: int = 64,
        feature_dim: int = 64,
        hidden_dim: int = 128,
        n_layers: int = 4,
        window_ms: float = 4,
        stride: float | None = None,
        context_ms: float = 16,
        sample_rate: float = 16000,
        tac_hidden_dim: int = 384,
        norm_type: Literal["gLN", "cLN", "fgLN", "bN"] = "gLN",
        chunk_size: int = 50,
        hop_size: int = 25,
        bidirectional: bool = True,
        rnn_type: str = "LSTM",
        dropout: float = 0.0,
        use_tac: bool = True,
    ) -> None:
        super().__init__(sample_rate=sample_rate, in_channels=None)
        self.n_src, self.enc_dim, self.feature_dim = n_src, enc_dim, feature_dim
        self.hidden_dim, self.n_layers, self.tac_hidden_dim = hidden_dim, n_layers, tac_hidden_dim
        self.window_ms, self.context_ms = window_ms, context_ms
        self.norm_type, self.rnn_type, self.dropout = norm_type, rnn_type, dropout
        self.chunk_size, self.hop_size = chunk_size, hop_size
        self.bidirectional, self.use_tac = bidirectional, use_tac
        self.recompute = False
        self.window = int(sample_rate * window_ms / 1000)
        self.context = int(sample_rate * context_ms / 1000)
        self._check_arguments()
        self.stride = self.window // 2
        _check_stride(stride, window_ms, self.window, sample_rate)
        self.filter_dim = self.output_dim = 2 * self.context + 1

        self.encoder = nn.Conv1d(1, enc_dim, 2 * self.context + self.window, bias=False)
        self.enc_LN = build_norm(norm_type, enc_dim)
        self.bottleneck = nn.Conv1d(self.filter_dim + enc_dim, feature_dim, 1, bias=False)
        self.DPRNN_TAC = nn.ModuleList(self._build_layer() for _ in range(n_layers))
        self.conv_2D = nn.Sequential(nn.PReLU(), nn.Conv2d(feature_dim, n_src * feature_dim, 1))
        self.tanh = nn.Sequential(nn.Conv1d(feature_dim, self.output_dim, 1), nn.Tanh())
        self.gate = nn.Sequential(nn.Conv1d(feature_dim, self.output_dim, 1), nn.Sigmoid())

    def _check_arguments(self) -> None:
        if self.window < 2 or self.window % 2:
            raise ValueError(
                f"window_ms must give an even number of samples; {self.window_ms} ms at "
                f"{self.sample_rate} Hz is {self.window}"
            )
        if self.context < 0:
            raise ValueError(f"context_ms must not be negative; got {self.context_ms}")
        if not 1 <= self.hop_size <= self.chunk_size:
            raise ValueError(
                f"hop_size must lie between 1 and chunk_size ({self.chunk_size}); got "
                f"{self.hop_size}"
            )
        for name in _SIZES:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")

    def _build_layer(self) -> nn.ModuleList:
        layer = nn.ModuleList()
        layer.append(
            DualPathBlock(
                self.feature_dim,
                self.hidden_dim,
                self.norm_type,
                self.bidirectional,
                self.rnn_type,
                self.dropout,
            )
        )
        if self.use_tac:
            tac = TransformAverageConcatenate(self.feature_dim, self.tac_hidden_dim, self.norm_type)
            layer.append(tac)
        return layer

    def forward(self, x: Tensor, valid_mics: Tensor | Sequence[int] | None = None) -> Tensor:
        """Beamform.

        Args:
            x: Mixture ``(batch, mics, samples)``; the first microphone is the reference.
            valid_mics: ``(batch,)`` integers: how many microphones of each array exist, 0 meaning
                all. The others are not looked at and may hold anything. None: all exist.

        Returns:
            Sources ``(batch, n_src, samples)`` at the reference microphone, float64 if the network
            is and float32 otherwise: under autocast, windows, correlations and beamforming stay in
            float32.

        Raises:
            TypeError: ``x`` or ``valid_mics`` is of the wrong type.
            ValueError: ``x`` is not three-dimensional or is empty, or ``valid_mics`` does not fit.
        """
        _check_mixture(x)
        mics = PackedMics.from_valid(valid_mics, x.shape[0], x.shape[1])
        exact = torch.promote_types(self.encoder.weight.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            signal = mics.pack(x).to(exact)
            windows = context_windows(signal, self.window, self.context)
            correlation = torch.cat(
                [
                    reference_correlation(array, self.window, self.context).flatten(0, 1)
                    for array in mics.groups(signal)
                ]
            )
        filters = self._taps(self._features(self._describe(windows, correlation), mics))
        with torch.autocast(x.device.type, enabled=False):
            beamformed = filter_and_sum(windows, filters.to(exact), self.window, mics)
            return overlap_add(beamformed, x.shape[-1])

    def _describe(self, windows: Tensor, correlation: Tensor) -> Tensor:
        """Encoding and correlation through the bottleneck: (rows, windows, features).

        The bottleneck's weight is split instead of concatenating its inputs.
        """
        dtype = self.encoder.weight.dtype
        encoding = F.linear(windows.to(dtype), self.encoder.weight.squeeze(1))
        encoding = normalise(self.enc_LN, encoding)
        of_encoding, of_correlation = self.bottleneck.weight.squeeze(-1).split(
            [self.enc_dim, self.filter_dim], dim=1
        )
        return F.linear(encoding, of_encoding) + F.linear(correlation.to(dtype), of_correlation)

    def _features(self, features: Tensor, mics: PackedMics) -> Tensor:
        """Dual-path blocks: what filters are made of, (rows, windows, n_src, features)."""
        n_windows = features.shape[1]
        padded = F.pad(features, (0, 0, self.chunk_size, self.chunk_size))
        x = padded.unfold(1, self.chunk_size, self.hop_size)  # rows, chunks, features, chunk
        x = x.permute(0, 3, 1, 2).contiguous()
        for layer in self.DPRNN_TAC:
            assert isinstance(layer, nn.ModuleList)
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(_run_layer, layer, x, mics, use_reentrant=False)
            else:
                x = _run_layer(layer, x, mics)
        y = self._unfold_chunks(self.conv_2D[0](x), n_windows)
        return y.view(*y.shape[:2], self.n_src, self.feature_dim)

    def _taps(self, features: Tensor) -> Tensor:
        """Gated filters: (..., features) -> (..., window + 2 * context), zero beyond their length.

        Padding the weights gives tanh(0) * sigmoid(0) = 0 there and spares padding the filters.
        """
        beyond = self.window - 1
        values = []
        for head in (self.tanh, self.gate):
            weight, bias = head[0].parameters()
            padded = F.pad(weight.squeeze(-1), (0, 0, 0, beyond))
            values.append(F.linear(features, padded, F.pad(bias, (0, beyond))))
        return values[0].tanh_() * values[1].sigmoid_()

    def _unfold_chunks(self, x: Tensor, n_windows: int) -> Tensor:
        """Add chunks up and widen to all sources: (rows, windows, n_src * features).

        Both steps are linear, so the narrow features are added up before they are widened; the bias
        counts as often as chunks cover a window.
        """
        placing: dict[str, Any] = {
            "output_size": (n_windows, 1),
            "kernel_size": (self.chunk_size, 1),
            "padding": (self.chunk_size, 0),
            "stride": (self.hop_size, 1),
        }
        # Each window lies in so many chunks; their mean is taken, as upstream does.
        overlap = self.chunk_size / self.hop_size
        columns = x.permute(0, 3, 1, 2).flatten(1, 2)  # rows, features * chunk, chunks
        y = F.fold(columns, **placing).squeeze(-1).transpose(1, 2) / overlap
        covered = F.fold(torch.ones_like(x[:1, :, :, 0]), **placing).reshape(-1, 1) / overlap
        weight, bias = self.conv_2D[1].parameters()
        return F.linear(y, weight.flatten(1)) + bias * covered

    def get_model_args(self) -> dict[str, Any]:
        """Return the constructor's arguments; ``stride`` in milliseconds, unlike upstream's."""
        arguments = {name: getattr(self, name) for name in _ARGUMENTS}
        return {**arguments, "stride": self.window_ms / 2}


def _run_layer(layer: nn.ModuleList, x: Tensor, mics: PackedMics) -> Tensor:
    block, *tac = layer
    x = block(x)
    return tac[0](x, mics) if tac else x


def _check_mixture(x: Tensor) -> None:
    check_floating(x)
    if x.ndim != 3 or 0 in x.shape:
        raise ValueError(
            f"the mixture must have shape (batch, mics, samples), none empty; got {tuple(x.shape)}"
        )


def _check_stride(stride: float | None, window_ms: float, window: int, rate: float) -> None:
    """Warn of a stride that will not be used; older packages hold the half window in samples.

    Saved and loaded again by upstream, it was multiplied by the samples in a millisecond each time.
    """
    if not stride or stride == window_ms / 2:
        return
    in_samples = window // 2
    while in_samples < stride and rate > 1000:
        in_samples = int(rate * in_samples / 1000)
    if stride != in_samples:
        warnings.warn(
            f"stride={stride} is not used: windows advance by half a window ({window_ms / 2} ms)",
            stacklevel=3,
        )
