"""Compute what several metrics share once: the last results, found again by the signals' content.

CSIG, CBAK, COVL and PESQ share a run of PESQ; the four figures of DNSMOS share a run of its models.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

import numpy as np
from torch import Tensor

__all__ = ["remembered"]

T = TypeVar("T")


def remembered(most: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Make a function of arrays, tensors and hashable values remember its last `most` results.

    Arrays count by their content. What is returned is shared: do not change it.
    """

    def wrap(function: Callable[..., T]) -> Callable[..., T]:
        kept: OrderedDict[tuple[Hashable, ...], T] = OrderedDict()

        @wraps(function)
        def call(*arguments: object) -> T:
            key = tuple(_key(argument) for argument in arguments)
            if key in kept:
                kept.move_to_end(key)
                return kept[key]
            result = kept[key] = function(*arguments)
            while len(kept) > most:
                kept.popitem(last=False)
            return result

        return call

    return wrap


def _key(argument: object) -> Hashable:
    """Return something small that is equal for equal arguments."""
    if isinstance(argument, Tensor):
        argument = argument.detach().cpu().numpy()
    if isinstance(argument, np.ndarray):
        content = hashlib.blake2b(argument.tobytes(), digest_size=16).digest()
        return argument.shape, str(argument.dtype), content
    if isinstance(argument, Hashable):
        return argument
    raise TypeError(f"arguments must be arrays or hashable; got {type(argument).__name__}")
