"""The network of training steps compiled, or, where that does not work, as it is."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["CompiledCall", "compiler_trouble"]

_LOG = logging.getLogger(__name__)
# The same random numbers as without; by default the compiler draws others.
OPTIONS: dict[str, Any] = {"fallback_random": True}


class CompiledCall:
    """Call a function of a network in its compiled form; if that fails, in its own from then on.

    No module: the network stays the one owner of its weights, whose names do not change.

    Args:
        function: The network itself, or one of its methods.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.plain = function
        # A module is not compiled as such, since it would come back inside another one.
        target = function.__call__ if isinstance(function, torch.nn.Module) else function
        self.compiled: Callable[..., Any] | None = torch.compile(target, options=OPTIONS)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns."""
        if self.compiled is None:
            return self.plain(*args, **kwargs)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"torch\.(_dynamo|_inductor)")
                return self.compiled(*args, **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            _LOG.warning("the network cannot be compiled, and is trained as it is: %s", _why(error))
            self.compiled = None
            return self.plain(*args, **kwargs)


def compiler_trouble(device: torch.device) -> str | None:
    """Return why nothing can be compiled on this machine; None if a small function was.

    Compilers, their headers and Triton are found in so many ways that only trying tells.
    """
    torch._dynamo.reset()
    x = torch.linspace(0.1, 1.0, 16, device=device, requires_grad=True)
    try:
        y = torch.compile(_probe, options=OPTIONS)(x)
        y.backward()
    except Exception as error:  # from a missing program to a header or a full temporary folder
        return _why(error, device)
    finally:
        torch._dynamo.reset()
    assert x.grad is not None
    return None if bool(torch.isfinite(x.grad).all()) else "what it compiles gives no numbers"


def _probe(x: torch.Tensor) -> torch.Tensor:
    return (x.sin() * x.exp()).sum()


def _why(error: BaseException, device: torch.device | None = None) -> str:
    """Say it in one line, and what to do where that is known."""
    told = " ".join(str(error).split())
    compiler = os.environ.get("CXX", "g++")
    if device is not None and device.type == "cpu" and shutil.which(compiler) is None:
        return (
            f"no C++ compiler {compiler} (install one, such as g++ with the headers of Python, or "
            "name yours by the variable CXX)"
        )
    return told if len(told) <= 300 else f"{told[:300]} ..."
