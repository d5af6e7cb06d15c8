"""Compute what several metrics share once.

All metrics of an utterance share its signals in double precision; SI and FW ratios their
decomposition, FW ratios their spectra; CSIG, CBAK, COVL and PESQ share a run of PESQ; the four
figures of DNSMOS a run of its models.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["once"]

T = TypeVar("T")


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
