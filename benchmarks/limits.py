"""The limit of a step: what the machine needs for its products and for its bytes.

The products are counted while the step runs (matrix products, convolutions, LSTMs and FFTs, forward
and backward) and divided by the rate of a large matrix product measured here. The bytes are what
must be written and read again even if all else stayed in the cache: what the forward pass keeps for
the backward, parameters with gradients and the optimiser's state, inputs. The larger time is the
limit. Elementwise work costs nothing in it, so a step of many small operations stays far from it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from .row import Limit
from .timing import CLOCKS, time_step

__all__ = ["ADAM", "BACKWARD", "FORWARD", "bandwidth", "count_pairs", "limit_of", "matrix_rate"]

#: How often a parameter's bytes move in an inference: read once.
FORWARD = 1
#: Read in the forward and in the backward pass, its gradient written.
BACKWARD = 3
#: And by Adam: the gradient read, both moments and the parameter read and written.
ADAM = 10
_SIZE = 2048
_COPY_BYTES = 256 << 20
Shape = Sequence[int]


@functools.lru_cache
def matrix_rate(device: torch.device, clock: str = "wall", threads: int | None = None) -> float:
    """Return pairs of multiplication and addition per second of a large float32 matrix product.

    Best of some seconds, kept for the process. ``threads`` is only part of what it is kept under:
    use `torch.get_num_threads`.
    """
    a, b = (torch.randn(_SIZE, _SIZE, device=device) for _ in range(2))
    torch.mm(a, b)
    best = min(time_step(lambda: torch.mm(a, b), device, CLOCKS[clock]) for _ in range(30))
    return _SIZE**3 / best


@functools.lru_cache
def bandwidth(device: torch.device, clock: str = "wall", threads: int | None = None) -> float:
    """Return bytes per second that a copy of a large tensor reads and writes; best of several."""
    source = torch.zeros(_COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    best = min(time_step(lambda: target.copy_(source), device, CLOCKS[clock]) for _ in range(8))
    return 2 * _COPY_BYTES / best


def _flops(pairs: Callable[..., float]) -> Callable[..., int]:
    """Return the formula as the counter takes it: two operations to a pair."""

    def formula(*args: Any, **kwargs: Any) -> int:
        return round(2 * pairs(*args, **kwargs))

    return formula


def _layer(x: Shape, w_input: Shape, w_hidden: Shape, *_: Any, **__: Any) -> float:
    """Count one direction of an LSTM layer: both weights at every step of every sequence."""
    return float(math.prod(x[:-1]) * (math.prod(w_input) + math.prod(w_hidden)))


def _stack(x: Shape, weights: Sequence[Shape], *_: Any, **__: Any) -> float:
    """Count an LSTM of any layers and directions."""
    return float(math.prod(x[:-1])) * sum(math.prod(each) for each in weights if len(each) == 2)


def _fft(points: int, lines: float, real: bool) -> float:
    """Count a transform of a power of two, 5 N log2 N operations, half if one side is real."""
    return lines * points * math.log2(max(points, 2)) * (1.25 if real else 2.5)


def _forward_fft(x: Shape, dims: Sequence[int], *_: Any, real: bool, **__: Any) -> float:
    points = math.prod(x[dim] for dim in dims)
    return _fft(points, math.prod(x) / points, real)


def _inverse_fft(x: Shape, dims: Sequence[int], _norm: int, size: int, **__: Any) -> float:
    points = size * math.prod(x[dim] for dim in dims[:-1])
    return _fft(points, math.prod(x) / math.prod(x[dim] for dim in dims), real=True)


def _convolve(x: Shape, weight: Shape, y: Shape, transposed: bool) -> float:
    """Count a convolution: the whole weight at every pixel on the side that it is laid along."""
    side = x if transposed else y
    return math.prod(weight) * math.prod(side) / side[1]


def _convolution(x: Shape, weight: Shape, *rest: Any, out_shape: Shape, **__: Any) -> float:
    return _convolve(x, weight, out_shape, transposed=rest[4])


def _convolution_backward(
    grad: Shape, x: Shape, weight: Shape, *rest: Any, **__: Any
) -> float:  # PyTorch's own count of groups is too large
    return float(sum(rest[7][:2])) * _convolve(x, weight, grad, transposed=rest[4])


_aten = torch.ops.aten
_COUNTED: dict[Any, Callable[..., int]] = {
    _aten.convolution: _flops(_convolution),
    _aten.convolution_backward: _flops(_convolution_backward),
    _aten.mkldnn_rnn_layer: _flops(_layer),
    _aten.mkldnn_rnn_layer_backward: _flops(lambda *a, **k: 2 * _layer(*a, **k)),
    _aten._cudnn_rnn: _flops(_stack),
    _aten._cudnn_rnn_backward: _flops(lambda *a, **k: 2 * _stack(*a, **k)),
    _aten._fft_r2c: _flops(functools.partial(_forward_fft, real=True)),
    _aten._fft_c2c: _flops(functools.partial(_forward_fft, real=False)),
    _aten._fft_c2r: _flops(_inverse_fft),
}


def count_pairs(step: Callable[[], object]) -> float:
    """Return the pairs of multiplication and addition of a step, backward included."""
    with FlopCounterMode(display=False, custom_mapping=_COUNTED) as counter:
        step()
    return float(counter.get_total_flops()) / 2


def _kept_bytes(step: Callable[[], object], apart: Iterable[Tensor]) -> float:
    """Return the bytes that a step keeps for its backward pass; each storage counts once."""
    apart_pointers = {tensor.untyped_storage().data_ptr() for tensor in apart}
    held: list[Tensor] = []  # so that no storage is freed and its address used again

    def keep(tensor: Tensor) -> Tensor:
        held.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    sizes = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in held
    }
    return float(sum(size for place, size in sizes.items() if place not in apart_pointers))


def limit_of(
    step: Callable[[], object],
    device: torch.device,
    *,
    clock: str = "wall",
    parameters: Iterable[Tensor] = (),
    passes: int = FORWARD,
    inputs: Iterable[Tensor] = (),
) -> Limit:
    """Return the limit of a step, which is run twice for it.

    Args:
        step: What to run.
        device: Where.
        clock: Which one the step's time is compared by.
        parameters: Of the network.
        passes: How often each parameter's bytes move: `FORWARD`, `BACKWARD` or `ADAM`.
        inputs: What the step reads.
    """
    parameters, inputs = list(parameters), list(inputs)
    pairs = count_pairs(step)
    moved = 2 * _kept_bytes(step, [*parameters, *inputs])
    moved += passes * sum(tensor.numel() * tensor.element_size() for tensor in parameters)
    moved += sum(tensor.numel() * tensor.element_size() for tensor in inputs)
    threads = torch.get_num_threads()
    return Limit(
        pairs,
        moved,
        pairs / matrix_rate(device, clock, threads),
        moved / bandwidth(device, clock, threads),
    )
