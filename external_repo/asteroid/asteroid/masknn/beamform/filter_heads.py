"""The output layers of FaSNet and what their filters do, a few windows at a time."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .packed_mics import PackedMics
from .piecewise import pieces

__all__ = ["beamform"]


def beamform(
    windows: Tensor, features: Tensor, heads: tuple[Tensor, ...], window: int, mics: PackedMics
) -> Tensor:
    r"""Make gated filters of features, filter every window, average over an array's microphones.

    .. math:: h = \tanh(W_t f + b_t) \sigma(W_g f + b_g)

    Same numbers as :func:`.filter_and_sum.filter_and_sum` of these filters, which are longer than
    all else in the network and here never exist as a whole: the backward pass computes them again.

    Args:
        windows: ``(rows, windows, window + 2 * context)``; gets no gradient.
        features: ``(rows, windows, sources, features)``.
        heads: Weight and bias of the hyperbolic tangent's layer, then of the gate's:
            ``(2 * context + 1, features)`` and ``(2 * context + 1,)``.
        window: Samples of a window without its context.
        mics: How rows belong to arrays.

    Returns:
        ``(batch, sources, windows, window)``; it can be differentiated once.
    """
    groups = zip(mics.groups(windows), mics.groups(features), strict=True)
    outputs = [_Beamform.apply(*group, window, *heads) for group in groups]
    joined: Tensor = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return joined.transpose(1, 2)


class _Beamform(torch.autograd.Function):
    """(arrays, mics, windows, n), (arrays, mics, windows, sources, features), heads -> outputs.

    The outputs are (arrays, windows, sources, window), and the gradients the same kind of real
    transforms again, of no source but those that the loss looks at.
    """

    @staticmethod
    def forward(ctx: Any, windows: Tensor, features: Tensor, window: int, *heads: Tensor) -> Tensor:
        ctx.save_for_backward(windows, features, *heads)
        n_arrays, n_mics, n_windows, n_sources, _ = features.shape
        n = windows.shape[-1]
        filtered = windows.new_empty(n_arrays, n_windows, n_sources, window)
        for array in range(n_arrays):
            for piece in pieces(n_windows, n_mics * n_sources):
                tangent, gate = _open(features[array, :, piece].flatten(0, 2), heads)
                taps = tangent.mul_(gate).view(n_mics, -1, n_sources, tangent.shape[-1])
                spectrum = torch.fft.rfft(windows[array, :, piece]).conj().resolve_conj()
                mean = torch.fft.rfft(taps, n=n).mul_(spectrum.unsqueeze(-2)).mean(0)
                filtered[array, piece] = torch.fft.irfft(mean.conj(), n=n)[..., :window]
        return filtered

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        windows, all_features, *heads = ctx.saved_tensors
        used = [
            source for source in range(all_features.shape[3]) if gradients[0][:, :, source].any()
        ]
        features = all_features[:, :, :, used]
        n_arrays, n_mics, n_windows, _, n_features = features.shape
        n, n_taps = windows.shape[-1], len(heads[0])
        to_features = torch.zeros_like(all_features)
        to_heads = [torch.zeros_like(head) for head in heads]
        for array in range(n_arrays):
            for piece in pieces(n_windows, n_mics * len(used)) if used else ():
                spectrum = torch.fft.rfft(windows[array, :, piece]).unsqueeze(-2)
                outer = torch.fft.rfft(gradients[0][array, piece][:, used] / n_mics, n=n)
                to_taps = torch.fft.irfft(spectrum * outer.conj().resolve_conj(), n=n)
                inner = to_taps[..., :n_taps].flatten(0, 2)
                rows = features[array, :, piece].flatten(0, 2)
                tangent, gate = _open(rows, heads)
                to_tangent = torch.ops.aten.tanh_backward(inner * gate, tangent)
                to_gate = torch.ops.aten.sigmoid_backward(inner * tangent, gate)
                for gradient, (weight, bias) in (
                    (to_tangent, to_heads[:2]),
                    (to_gate, to_heads[2:]),
                ):
                    weight.addmm_(gradient.t(), rows)
                    bias += gradient.sum(0)
                to_rows = (to_tangent @ heads[0]).addmm_(to_gate, heads[2])
                to_rows = to_rows.view(n_mics, -1, len(used), n_features)
                to_features[array, :, piece][:, :, used] = to_rows
        return None, to_features, None, *to_heads


def _open(rows: Tensor, heads: Any) -> tuple[Tensor, Tensor]:
    """Both factors of the filters: (n, taps) each."""
    return F.linear(rows, heads[0], heads[1]).tanh_(), F.linear(rows, *heads[2:]).sigmoid_()
