"""Optimisers by name, with the fastest kernel of their step that the device has."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from seloss.train.options.recipe import OptimConfig

__all__ = ["build_optimizer", "kernel_flags"]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
FUSED = ("adam", "adamw", "sgd")


def build_optimizer(
    optim: OptimConfig, parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Return the optimiser of the parameters, which must be on their device already."""
    chosen = list(parameters)
    device = chosen[0].device.type if chosen else "cpu"
    optimizer = OPTIMIZERS[optim.optimizer](
        chosen, lr=optim.lr, weight_decay=optim.weight_decay, **kernel_flags(optim, device)
    )
    # A fused step offers to undo the scaling of 16-mixed itself, and gradients could not be clipped
    # before it. It takes gradients as they are as well.
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
    return optimizer


def kernel_flags(optim: OptimConfig, device: str) -> dict[str, bool]:
    """Return the optimiser's arguments ``foreach`` and, where it has it, ``fused``.

    Args:
        optim: The optimiser and the kernel requested.
        device: ``cpu`` or ``cuda``.
    """
    kernel: str = optim.kernel
    has_fused = optim.optimizer in FUSED
    if kernel == "auto":
        kernel = "fused" if has_fused else ("foreach" if device == "cuda" else "plain")
    flags = {"foreach": kernel == "foreach"}
    return flags | ({"fused": kernel == "fused"} if has_fused else {})
