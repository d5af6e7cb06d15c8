"""Randomness without state: every draw follows from the key that asks for it.

A generator made from ``(seed, epoch, item id)`` gives the same numbers in whichever process, order
or run it is made, so a resumed training sees the data it would have seen, and adding items changes
no other item.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator", "rank"]


def _digest(parts: tuple[object, ...]) -> int:
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def generator(*key: object) -> np.random.Generator:
    """Return the random generator that belongs to a key.

    Args:
        key: What the draw depends on, such as ``(seed, epoch, item_id)``; parts are compared as
            text.

    >>> bool(generator(0, "train", 7).random() == generator(0, "train", 7).random())
    True
    """
    return np.random.default_rng(_digest(key))


def rank(names: set[str] | list[str], *key: object) -> list[str]:
    """Return distinct names in an order random by the key, whatever order they came in.

    >>> rank(["b", "a"], 0) == rank(["a", "b", "a"], 0)
    True
    """
    return sorted(set(names), key=lambda name: (_digest((*key, name)), name))
