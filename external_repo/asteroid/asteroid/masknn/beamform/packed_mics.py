"""Microphones of arrays of unequal size, packed one after another so that none is padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["PackedMics"]


class PackedMics:
    """Which rows of a packed tensor belong to which array.

    A padded batch ``(batch, mics, ...)`` becomes rows ``(sum(counts), ...)`` that hold only
    microphones that exist: array 0's in their order, then array 1's, and so on.

    Args:
        counts: Number of microphones of each array, all positive.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = tuple(counts)
        self.equal = len(set(self.counts)) == 1

    @classmethod
    def from_valid(
        cls, valid_mics: Tensor | Sequence[int] | None, batch_size: int, n_mics: int
    ) -> PackedMics:
        """Read the number of microphones of each array, in the form of Asteroid's networks.

        Args:
            valid_mics: ``(batch,)`` or ``(batch, 1)`` integers; None means all microphones of all
                arrays, and 0 all of that array.
            batch_size: Arrays in the batch.
            n_mics: Microphones of the padded batch.

        Raises:
            TypeError: ``valid_mics`` does not hold integers.
            ValueError: Its shape is wrong, or a number lies outside ``0 .. n_mics``.
        """
        if valid_mics is None:
            return cls([n_mics] * batch_size)
        valid = torch.as_tensor(valid_mics)
        if valid.is_floating_point() or valid.is_complex() or valid.dtype == torch.bool:
            raise TypeError(f"valid_mics must hold integers; got {valid.dtype}")
        if tuple(valid.shape) not in ((batch_size,), (batch_size, 1)):
            raise ValueError(
                f"valid_mics must have one number per array, shape ({batch_size},); got "
                f"{tuple(valid.shape)}"
            )
        counts = [int(count) for count in valid.flatten().tolist()]
        wrong = [count for count in counts if not 0 <= count <= n_mics]
        if wrong:
            raise ValueError(
                f"valid_mics must lie between 0 (all) and {n_mics}, the microphones of the input; "
                f"got {counts}"
            )
        return cls([count or n_mics for count in counts])

    def pack(self, padded: Tensor) -> Tensor:
        """Keep the microphones that exist: ``(batch, mics, ...)`` -> ``(rows, ...)``."""
        if self.equal:
            return padded[:, : self.counts[0]].flatten(0, 1)
        return torch.cat([array[:count] for array, count in zip(padded, self.counts, strict=True)])

    def groups(self, rows: Tensor) -> list[Tensor]:
        """Split rows into views ``(arrays, mics, ...)``: one if all are equal, else one each."""
        if self.equal:
            return [rows.unflatten(0, (len(self.counts), self.counts[0]))]
        return [array.unsqueeze(0) for array in rows.split(self.counts)]

    def mean(self, rows: Tensor) -> Tensor:
        """Average over the microphones of each array: ``(rows, ...)`` -> ``(batch, ...)``."""
        return _join([group.mean(1) for group in self.groups(rows)])

    def add(self, rows: Tensor, per_array: Tensor) -> Tensor:
        """Add to every microphone what belongs to its array: rows ``(rows, ...)``."""
        groups = self.groups(rows)
        # One share for the one group of equal arrays, else one for each array.
        shares = per_array.split(len(self.counts) if self.equal else 1)
        sums = [
            (group + share.unsqueeze(1)).flatten(0, 1)
            for group, share in zip(groups, shares, strict=True)
        ]
        return _join(sums)


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
