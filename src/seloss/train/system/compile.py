"""Compilation of the network for training steps, with the plain network to fall back on."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .recompute import buffers_kept

__all__ = ["CompiledCall", "compiler_trouble"]

_LOG = logging.getLogger(__name__)
# The same random numbers as without; by default the compiler draws others.
OPTIONS: dict[str, Any] = {"fallback_random": True}


class CompiledCall:
    """Call a function of a network in its compiled form; in its plain form once that has failed.

    No module: the network stays the one owner of its weights, whose names do not change. PyTorch
    compiles the backward pass when it first runs, outside of this call, where a failure could not
    be caught; so the first call runs one for trial.

    Args:
        network: Whose function it is.
        function: The network itself, or one of its methods.
        backend: Of ``torch.compile``.
    """

    def __init__(
        self, network: nn.Module, function: Callable[..., Any], backend: Any = "inductor"
    ) -> None:
        self.network, self.plain = network, function
        # A module is not compiled as such, since it would come back inside another one.
        target = function.__call__ if isinstance(function, nn.Module) else function
        options = OPTIONS if backend == "inductor" else None
        self.compiled: Callable[..., Any] | None = torch.compile(
            target, backend=backend, options=options
        )
        self._is_tried = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns."""
        if self.compiled is None:
            return self.plain(*args, **kwargs)
        try:
            if not self._is_tried:
                self._try(self.compiled, args, kwargs)
            return self.compiled(*args, **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            _LOG.warning("the network cannot be compiled, and is trained as it is: %s", _why(error))
            self.compiled = None
            return self.plain(*args, **kwargs)

    def _try(self, compiled: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Run both passes once, and leave gradients, buffers and generators as they were."""
        devices = {p.device for p in self.network.parameters() if p.device.type == "cuda"}
        with torch.random.fork_rng(devices), buffers_kept(self.network):
            results = compiled(*args, **kwargs)
            tensors = results if isinstance(results, tuple) else (results,)
            sums = [t.float().sum() for t in tensors if t.requires_grad]
            weights = [p for p in self.network.parameters() if p.requires_grad]
            torch.autograd.grad(sums, weights, allow_unused=True)
        self._is_tried = True


def compiler_trouble(device: torch.device) -> str | None:
    """Return why nothing can be compiled on this machine; None if a small function was.

    Compilers, their headers and Triton are searched for in many places, so it is simply tried.
    """
    torch._dynamo.reset()
    x = torch.linspace(0.1, 1.0, 16, device=device, requires_grad=True)
    try:
        torch.compile(lambda x: (x.sin() * x.exp()).sum(), options=OPTIONS)(x).backward()
    except Exception as error:  # from a missing program to a header or a full temporary folder
        return _why(error, device)
    finally:
        torch._dynamo.reset()
    assert x.grad is not None
    return None if bool(torch.isfinite(x.grad).all()) else "a compiled function gives no numbers"


def _why(error: BaseException, device: torch.device | None = None) -> str:
    """Return the reason in one line, with the remedy if it is a missing compiler."""
    reason = " ".join(str(error).split())
    compiler = os.environ.get("CXX", "g++")
    if device is not None and device.type == "cpu" and shutil.which(compiler) is None:
        return (
            f"no C++ compiler {compiler} (install one, such as g++ with the headers of Python, or "
            "name yours by the variable CXX)"
        )
    return reason if len(reason) <= 300 else f"{reason[:300]} ..."
