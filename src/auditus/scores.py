"""Rows and scores: what a metric's core takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Rows", "Scores"]


@dataclass(frozen=True)
class Scores:
    """One value per utterance and, where it is NaN, why.

    Attributes:
        values: ``(batch,)``, float64, NaN where the metric is not defined.
        reasons: One string per utterance, empty where the value is defined.
    """

    values: Tensor
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, values: Tensor) -> Scores:
        """Wrap the values of a core that has nothing particular to say about its NaN."""
        reasons = (
            "not defined for these signals" if value != value else "" for value in values.tolist()
        )
        return cls(values, tuple(reasons))

    def only(self, defined: Tensor, reason: str) -> Scores:
        """Keep the values where ``defined`` ``(batch,)`` is true; elsewhere NaN for this reason."""
        kept = zip(self.reasons, defined.tolist(), strict=True)
        reasons = tuple(old or ("" if fine else reason) for old, fine in kept)
        return Scores(torch.where(defined, self.values, torch.nan), reasons)


@dataclass(frozen=True)
class Rows:
    """Signals of one length, ready to be scored: ``(rows, time)``, float64, finite."""

    signals: Mapping[str, Tensor]
    sample_rate: int

    @property
    def estimate(self) -> Tensor:
        """The signals that are scored."""
        return self.signals["estimate"]

    @property
    def target(self) -> Tensor:
        """The clean speech."""
        return self.signals["target"]

    @property
    def noise(self) -> Tensor:
        """Everything else that the mixture held."""
        return self.signals["noise"]
