r"""Units of a metric along time, and their sums over parts of an utterance.

A metric that can be pooled is a function of two sums over *units* (samples, frames, or windows of
frames), each unit lying at one moment of the utterance:

    ratio:  10 log10( sum above / sum below )        mean:  sum above / sum below

so that the sums may be taken over any part of the utterance: a phone, all phones of a class, or all
of it, which gives the metric of the whole utterance. What is global in the metric (the projection
of the estimate on speech and noise, the loudest frame, the normalisation) stays global.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .ratios import energy_ratio_db

__all__ = ["PartSums", "Units", "pool"]

KINDS = ("ratio", "mean")


@dataclass(frozen=True)
class PartSums:
    """Sums over parts, ready to be added up further.

    Attributes:
        kind: "ratio" or "mean".
        above: ``(parts,)``.
        below: ``(parts,)``.
    """

    kind: str
    above: Tensor
    below: Tensor

    @property
    def values(self) -> Tensor:
        """The metric of each part ``(parts,)``; NaN where no unit that counts lies in it."""
        if self.kind == "ratio":
            return energy_ratio_db(self.above, self.below)
        return self.above / self.below

    def grouped(self, group: Tensor, n_groups: int) -> PartSums:
        """Add up the parts of each group.

        Args:
            group: ``(parts,)``, the number of each part's group from 0 on; -1: of none.
            n_groups: How many there are.
        """
        inside = group >= 0
        index = group[inside]
        empty = self.above.new_zeros(n_groups)
        sums = (empty.index_add(0, index, part[inside]) for part in (self.above, self.below))
        return PartSums(self.kind, *sums)


@dataclass(frozen=True)
class Units:
    """One utterance's units.

    Attributes:
        kind: "ratio" or "mean".
        centres: ``(units,)``, float64, not falling: where each lies, in samples.
        above: ``(units,)``, float64; of a mean the values, 0 where a unit does not count.
        below: ``(units,)``, float64; of a mean 1, 0 where a unit does not count.
        reason: Why there is no unit at all, else "".

    Raises:
        ValueError: The kind is not known, or the tensors do not fit.
    """

    kind: str
    centres: Tensor
    above: Tensor
    below: Tensor
    reason: str = ""

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {self.kind!r}")
        shapes = {tuple(part.shape) for part in (self.centres, self.above, self.below)}
        if len(shapes) != 1 or self.centres.ndim != 1:
            raise ValueError(f"centres, above and below must be (units,) alike; got {shapes}")

    @classmethod
    def mean_of(
        cls, values: Tensor, counts: Tensor, first: float, hop: float, last: float = torch.inf
    ) -> Units:
        """Return the units of a mean over frames.

        Args:
            values: ``(1, frames)``.
            counts: ``(1, frames)``, bool.
            first: Centre of the first frame in samples.
            hop: From one frame to the next in samples.
            last: Of the signal, in samples: a frame centred on its end lies in it.
        """
        kept = counts[0]
        centres = first + hop * torch.arange(kept.shape[0], dtype=torch.float64)
        centres = centres.clamp_max(last)
        return cls("mean", centres, torch.where(kept, values[0], 0.0).cpu(), kept.double().cpu())

    @property
    def whole(self) -> float:
        """The metric of the whole utterance."""
        return float(
            PartSums(self.kind, self.above.sum()[None], self.below.sum()[None]).values[0]
            if len(self.centres)
            else torch.nan
        )


def pool(units: Units, bounds: Tensor) -> PartSums:
    """Sum the units that lie in each part, by their centres.

    Args:
        units: Of one utterance.
        bounds: ``(parts, 2)`` first sample of each part and first one behind it; parts may touch,
            overlap or be empty.

    Raises:
        ValueError: The shape is another.

    Example:
        >>> frames = Units.mean_of(torch.tensor([[1.0, 2.0, 6.0]]), torch.ones(1, 3).bool(), 0, 10)
        >>> pool(frames, torch.tensor([[0, 11], [11, 30], [30, 40]])).values
        tensor([1.5000, 6.0000,    nan], dtype=torch.float64)
    """
    if bounds.ndim != 2 or bounds.shape[1] != 2:
        raise ValueError(f"bounds must be (parts, 2), in samples; got {tuple(bounds.shape)}")
    # First unit at or behind each bound: parts that touch share no unit.
    at = torch.searchsorted(units.centres, bounds.double().contiguous()).tolist()
    # Slices instead of differences of a running sum: those lose a quiet phone beside a loud one.
    sums = (
        torch.tensor([float(part[first:last].sum()) for first, last in at], dtype=torch.float64)
        for part in (units.above, units.below)
    )
    return PartSums(units.kind, *sums)
