"""Compute what several metrics share once.

`remembered` finds results again by the signals' content: CSIG, CBAK, COVL and PESQ share a run of
PESQ, the four figures of DNSMOS a run of its models. `once` finds them again as long as the very
same tensors are asked for: all metrics of an utterance share its signals in double precision, those
of one family their spectra.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

import numpy as np
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["once", "remembered"]

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


def once(function: Callable[..., T]) -> Callable[..., T]:
    """Make a function remember what it gave for these tensors, as long as the first one lives.

    Tensors count by identity; one that was changed in place is another. The result must not hold
    the first tensor, which would never die; and it is shared: do not change it.
    """
    kept = WeakIdKeyDictionary()

    @wraps(function)
    def call(first: Tensor, *others: object) -> T:
        tensors = [one for one in (first, *others) if isinstance(one, Tensor)]
        if any(one.is_inference() for one in tensors) or any(one is first for one in others):
            return function(first, *others)  # no version to know changes by; or holds itself
        versions = tuple(one._version for one in tensors)
        key = (versions, *(id(one) if isinstance(one, Tensor) else one for one in others))
        results: dict[Hashable, tuple[tuple[object, ...], T]] = kept.setdefault(first, {})
        if key not in results:
            # with the other tensors, so that their ids stay theirs
            results[key] = (others, function(first, *others))
        return results[key][1]

    return call


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
