"""Memory of what several metrics share, so that it is computed once.

All metrics of an utterance share its signals in double precision; SI and FW ratios their
decomposition, FW ratios their spectra; CSIG, CBAK, COVL and PESQ share a run of PESQ; the four
scores of DNSMOS a run of its models.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import NamedTuple, TypeVar
from weakref import ReferenceType, ref

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["once"]

T = TypeVar("T")


class _Kept(NamedTuple):
    """A result, and the tensors besides the first that it was computed from.

    Weak ones: two functions that take the same two tensors, each another one first, would keep both
    alive for ever.
    """

    others: tuple[ReferenceType[Tensor], ...]
    result: object

    def holds(self, tensors: list[Tensor]) -> bool:
        """Tell whether these are the tensors, and not others that got their ids."""
        return all(other() is it for other, it in zip(self.others, tensors, strict=True))


def once(function: Callable[..., T]) -> Callable[..., T]:
    """Make a function remember what it gave for these tensors, as long as the first one lives.

    Tensors count by identity; one that was changed in place is another. The result must not hold
    any of them, or they would never die; and it is shared: do not change it.
    """
    kept = WeakIdKeyDictionary()

    @wraps(function)
    def call(first: Tensor, *others: object) -> T:
        beside = [one for one in others if isinstance(one, Tensor)]
        tensors = [first, *beside]
        if any(one.is_inference() for one in tensors) or any(one is first for one in others):
            return function(first, *others)  # no version to know changes by; or holds itself
        versions = tuple(one._version for one in tensors)
        key = (versions, *(id(one) if isinstance(one, Tensor) else one for one in others))
        results: dict[Hashable, _Kept] = kept.setdefault(first, {})
        kept_result = results.get(key)
        if kept_result is None or not kept_result.holds(beside):
            dead = [k for k, entry in results.items() if None in (r() for r in entry.others)]
            for old in dead:
                del results[old]
            result = function(first, *others)
            results[key] = _Kept(tuple(ref(one) for one in beside), result)
            return result
        return kept_result.result  # type: ignore[return-value]

    return call
