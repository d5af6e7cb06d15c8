"""A second device without hardware: tensors that report another device and refuse to be mixed.

Each wraps a tensor of the CPU, on which everything is computed, so values stay real and what
depends on them runs as it would. The device is called ``meta``, since autograd runs its backward
passes without a driver. As on a GPU, an operation on tensors of both devices fails (but for
scalars), and reading a value out of a tensor makes the host wait, which is counted with the line
that did it.
"""

from __future__ import annotations

import contextlib
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

__all__ = ["DEVICE", "OtherDevice", "carry_over", "fetch", "send"]

DEVICE = torch.device("meta")
_ATEN = torch.ops.aten
_COPIES = (_ATEN._to_copy.default, _ATEN.copy_.default)
# Values or shapes that depend on values: CUDA's kernels of these make the host wait.
_WAITING = {
    _ATEN._local_scalar_dense.default,
    _ATEN.equal.default,
    _ATEN.nonzero.default,
    _ATEN.masked_select.default,
    _ATEN.repeat_interleave.Tensor,
    _ATEN._unique2.default,
    _ATEN.unique_consecutive.default,
}
_HERE = Path(__file__).resolve().parents[1]


class _Elsewhere(Tensor):
    """A tensor of the other device; ``wrapped`` is the one of the CPU."""

    wrapped: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> _Elsewhere:
        wrapper: _Elsewhere = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        wrapper.wrapped = inner
        return wrapper

    def __repr__(self) -> str:
        return f"Elsewhere({self.wrapped!r})"

    def tolist(self) -> Any:
        """Read all values, which PyTorch refuses to do for a class of one's own."""
        return self.cpu().tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise AssertionError(f"{function}: use tensors of the other device inside OtherDevice only")


class OtherDevice(TorchDispatchMode):
    """The other device, for as long as the context is open.

    Attributes:
        waits: The lines of ours that made the host wait, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __enter__(self) -> OtherDevice:
        # What PyTorch does itself for a device of this name: no autocast, no numbers in a tensor.
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(torch, "autocast", _autocast)
        self._patch.setattr(torch, "tensor", _tensor)
        self._patch.setattr(Tensor, "new_tensor", _new_tensor)
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._patch.undo()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        elsewhere = [x for x in tensors if isinstance(x, _Elsewhere)]
        target = kwargs.get("device")
        if function in _COPIES:
            return self._copy(function, args, kwargs, target)
        here = [x for x in tensors if not isinstance(x, _Elsewhere) and x.ndim]
        if elsewhere and here:
            raise RuntimeError(f"{function}: tensors of two devices")
        if elsewhere and (function in _WAITING or _has_mask(function, args)):
            self._note()
        goes_out = bool(elsewhere) or (target is not None and torch.device(target) == DEVICE)
        if target is not None:
            kwargs["device"] = torch.device("cpu")
        inner = tree_map_only(_Elsewhere, lambda x: x.wrapped, (args, kwargs))
        out = function(*inner[0], **inner[1])
        if not goes_out:
            return out
        # A wrapper cannot say that its numbers are to be conjugated when they are read.
        out = tree_map_only(Tensor, lambda x: _Elsewhere(x.resolve_conj().resolve_neg()), out)
        return return_and_correct_aliasing(function, args, kwargs, out) if elsewhere else out

    def _copy(self, function: Any, args: Any, kwargs: Any, target: Any) -> Any:
        """Copy; between devices the host waits, from the CPU too if its memory is not pinned."""
        inner = tree_map_only(_Elsewhere, lambda x: x.wrapped, args)
        if function is _ATEN.copy_.default:
            if isinstance(args[1], _Elsewhere) != isinstance(args[0], _Elsewhere):
                self._note()
            function(*inner, **kwargs)
            return args[0]
        was_there = isinstance(args[0], _Elsewhere)
        goes_there = was_there if target is None else torch.device(target) == DEVICE
        if was_there != goes_there:
            self._note()
        if target is not None:
            kwargs["device"] = torch.device("cpu")
        out = function(*inner, **kwargs)
        return _Elsewhere(out) if goes_there else out

    def _note(self) -> None:
        frames = traceback.extract_stack()
        ours = [f for f in frames if _is_ours(f.filename)]
        last = ours[-1] if ours else frames[-3]
        self.waits.append(f"{Path(last.filename).name}:{last.lineno} {last.line}")


_real_autocast, _real_tensor, _real_new_tensor = torch.autocast, torch.tensor, Tensor.new_tensor


def _autocast(device_type: str, *args: Any, **options: Any) -> Any:
    if device_type == DEVICE.type:
        return contextlib.nullcontext()
    return _real_autocast(device_type, *args, **options)


def _tensor(data: Any, *, device: Any = None, **options: Any) -> Tensor:
    if device is None or torch.device(device) != DEVICE:
        return _real_tensor(data, device=device, **options)
    return _real_tensor(data, **options).to(DEVICE)


def _new_tensor(self: Tensor, data: Any, **options: Any) -> Tensor:
    if isinstance(self, _Elsewhere) and options.get("device") is None:
        return _tensor(data, device=DEVICE, **{"dtype": self.dtype, **options})
    return _real_new_tensor(self, data, **options)


def _is_ours(file: str) -> bool:
    path = Path(file)
    return path.is_relative_to(_HERE) and "tests" not in path.relative_to(_HERE).parts[:1]


def _has_mask(function: Any, args: Any) -> bool:
    """Return whether a boolean mask selects elements, so that they must be counted first."""
    if function not in (_ATEN.index.Tensor, _ATEN.index_put_.default, _ATEN.index_put.default):
        return False
    return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])


def carry_over(module: nn.Module) -> nn.Module:
    """Move a module's parameters and buffers to the other device, and nothing else of it."""
    for part in module.modules():
        for group in (part._parameters, part._buffers):
            for name, value in group.items():
                if value is None:
                    continue
                moved = _Elsewhere(value.detach().clone())
                needs = value.requires_grad
                group[name] = (
                    nn.Parameter(moved, needs) if isinstance(value, nn.Parameter) else moved
                )
    return module


def send(*tensors: Tensor) -> list[Tensor]:
    """Return copies of tensors on the other device."""
    return [_Elsewhere(tensor.detach().clone()) for tensor in tensors]


def fetch(tensor: Tensor) -> Tensor:
    """Return a tensor of the other device on the CPU, without a wait."""
    return tensor.wrapped if isinstance(tensor, _Elsewhere) else tensor
