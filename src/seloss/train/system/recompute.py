"""Recomputation: blocks keep their inputs only and run again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["buffers_kept", "recompute"]

Contexts = tuple[AbstractContextManager[None], AbstractContextManager[None]]


def recompute(network: nn.Module, names: Sequence[str]) -> list[str]:
    """Let parts of a network keep nothing but their inputs for the backward pass.

    Outputs, gradients, random draws and running statistics stay what they were, and so do the names
    of the weights. About a third more time for a fraction of the memory.

    Args:
        network: Its parts are changed in place.
        names: As in ``named_modules()``, such as ``encoder`` or ``masker.encoders.0``; a list of
            modules stands for all in it; ``auto`` for the network's blocks.

    Returns:
        The names of the parts that are computed again.

    Raises:
        ValueError: The network has no such part.
    """
    chosen: dict[str, nn.Module] = {}
    for name in names:
        chosen |= _blocks(network) if name == "auto" else _parts(network, name)
    outermost = [n for n in chosen if not any(n.startswith(f"{other}.") for other in chosen)]
    for name in outermost:
        module = chosen[name]
        if not isinstance(module.forward, partial):  # else it is wrapped already
            module.forward = partial(_call, module, module.forward)
    return outermost


def _parts(network: nn.Module, name: str) -> dict[str, nn.Module]:
    parts = dict(network.named_modules())
    if not name or name not in parts:
        choices = ", ".join(["auto", *(n for n, _ in network.named_children())])
        raise ValueError(
            f"training.recompute: the network has no part {name!r}; it has {choices}, and the "
            "parts of these"
        )
    return dict(_callables(name, parts[name]))


def _blocks(network: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """Return a network's blocks by name: the modules in its outermost lists of modules."""
    blocks: dict[str, nn.Module] = {}
    for name, child in network.named_children():
        path = f"{prefix}{name}"
        if isinstance(child, nn.ModuleList):
            blocks |= dict(_callables(path, child))
        else:
            blocks |= _blocks(child, f"{path}.")
    return blocks


def _callables(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the module, or what is in it if it only holds others; nothing without weights."""
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        for name, child in module.named_children():
            yield from _callables(f"{path}.{name}", child)
    elif any(True for _ in module.parameters()):
        yield path, module


def _call(module: nn.Module, plain: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not (module.training and torch.is_grad_enabled()):
        return plain(*args, **kwargs)

    def contexts() -> Contexts:
        # The first pass counts the batch, the recomputed one must not.
        return nullcontext(), buffers_kept(module)

    return checkpoint(plain, *args, use_reentrant=False, context_fn=contexts, **kwargs)


@contextmanager
def buffers_kept(module: nn.Module) -> Iterator[None]:
    """Leave buffers as they are: running statistics must not count a batch twice.

    They are written through ``data``, since autograd would refuse a backward pass through tensors
    that were changed in place.
    """
    before: list[tuple[Tensor, Tensor]] = [(b, b.detach().clone()) for b in module.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.data.copy_(value)
