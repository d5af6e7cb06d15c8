"""Checks of a metric's arguments, and groups of rows that are scored together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .memory import once

__all__ = ["Prepared", "checked", "groups", "is_silent", "prepared"]

# A signal whose mean-free energy is below this share of its energy is a constant: what is left is
# rounding.
CONSTANT_SHARE = 1e-14


def checked(
    metric_name: str, name: str, signal: Tensor | None, estimate: Tensor, channels: int = 1
) -> Tensor:
    """Return the signal if it is a real tensor of the estimate's shape and the metric's channels.

    That is ``(batch, time)`` for one channel, ``(batch, 2, time)`` for two.
    """
    if signal is None:
        raise ValueError(f"{metric_name} needs the {name}; got None")
    if not isinstance(signal, Tensor) or signal.is_complex():
        kind = "a complex tensor" if isinstance(signal, Tensor) else type(signal).__name__
        raise TypeError(f"{name} must be a real tensor; got {kind}")
    if channels == 2 and (signal.ndim != 3 or signal.shape[1] != 2):
        raise ValueError(
            f"{metric_name} is binaural: {name} must have the shape (batch, 2, time), left ear "
            f"first; got {tuple(signal.shape)}"
        )
    if channels == 1 and signal.ndim != 2:
        hint = ": give one utterance as signal[None]" if signal.ndim == 1 else ""
        raise ValueError(
            f"{name} must have the shape (batch, time); got {tuple(signal.shape)}{hint}"
        )
    if signal.shape != estimate.shape:
        raise ValueError(
            f"{name} must have the estimate's shape {tuple(estimate.shape)}; "
            f"got {tuple(signal.shape)}"
        )
    return signal.detach() if signal.requires_grad else signal


def groups(lengths: Tensor | None, estimate: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield each length with the rows that have it."""
    batch, n_samples = estimate.shape[0], estimate.shape[-1]
    if lengths is None:
        yield n_samples, torch.arange(batch)
        return
    if lengths.shape != (batch,) or lengths.is_floating_point():
        raise ValueError(
            f"lengths must be {batch} integers; got {lengths.dtype}, {tuple(lengths.shape)}"
        )
    on_cpu = lengths.cpu()
    if batch and not 0 <= int(on_cpu.min()) <= int(on_cpu.max()) <= n_samples:
        raise ValueError(f"lengths must lie in 0 .. {n_samples}; got {on_cpu.tolist()}")
    for length in on_cpu.unique().tolist():
        yield length, torch.nonzero(on_cpu == length)[:, 0]


class Prepared(NamedTuple):
    """Rows of one length of a signal: float64, a copy; and of each whether it can be scored."""

    signal: Tensor
    finite: tuple[bool, ...]
    silent: tuple[bool, ...]


@once
def prepared(signal: Tensor, length: int, rows: tuple[int, ...]) -> Prepared:
    """Return the first ``length`` samples of some rows in double precision.

    On the CPU where the device has none. All metrics of one utterance share what is returned.
    """
    picked = signal[torch.tensor(rows, device=signal.device)][..., :length]
    cut = (picked.cpu() if picked.device.type == "mps" else picked).to(torch.float64)
    finite = torch.isfinite(cut).flatten(1).all(-1).tolist()
    return Prepared(cut, tuple(finite), tuple(is_silent(cut).tolist()))


def is_silent(signal: Tensor) -> Tensor:
    """Tell for each row whether it, or one of its channels, is constant, zero included."""
    energy = signal.square().sum(-1)
    centred = (signal - signal.mean(-1, keepdim=True)).square().sum(-1)
    # "<=": digital silence has 0 on both sides.
    constant = centred <= CONSTANT_SHARE * energy
    return constant.any(-1) if constant.ndim == 2 else constant
