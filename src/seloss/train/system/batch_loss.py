"""Loss of a batch in float32, with the parts of a sum beside the whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from asteroid.losses import SumLoss
from seloss.data.formats.batch import Batch

__all__ = ["BatchLoss", "find_argument"]


class BatchLoss:
    """A loss that is called with a batch and says what is logged of it.

    Args:
        loss: As for :class:`.enhancement.EnhancementSystem`.

    Attributes:
        labels: Of the parts of a sum; empty for one loss.
    """

    def __init__(self, loss: nn.Module) -> None:
        self.loss = loss
        self.labels = list(loss.weights) if isinstance(loss, SumLoss) else []
        self._takes_lengths = find_argument(loss.forward, "lengths") is not None

    def values(self, estimate: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return the ``loss``, and the parts of a sum without their weights as ``loss_<label>``.

        Each is ``(batch,)``, or ``()`` from a loss that averages.
        """
        options = {"lengths": batch.lengths} if self._takes_lengths else {}
        signals = estimate.float(), batch.sources.float()
        # Energies of long signals leave the range of 16 bits.
        with torch.autocast(estimate.device.type, enabled=False):
            if not isinstance(self.loss, SumLoss):
                return {"loss": torch.as_tensor(self.loss(*signals, **options))}
            parts = self.loss.parts(*signals, **options)
            return {"loss": self.loss.total(parts)} | {f"loss_{k}": v for k, v in parts.items()}

    def gradient_shares(self, estimate: Tensor, batch: Batch) -> dict[str, float]:
        """Return each part's share of the gradient that reaches the estimate."""
        if not isinstance(self.loss, SumLoss):
            return {}
        signals = estimate.float(), batch.sources.float(), batch.lengths
        with torch.autocast(estimate.device.type, enabled=False):
            shares = self.loss.gradient_shares(*signals)
        return {f"grad_share_{label}": share for label, share in shares.items()}

    def with_weights(self, means: dict[str, float]) -> dict[str, float]:
        """Return the means with ``weighted_<label>`` beside each ``loss_<label>``."""
        weights = self.loss.weights if isinstance(self.loss, SumLoss) else {}
        return means | {f"weighted_{k}": w * means[f"loss_{k}"] for k, w in weights.items()}


def find_argument(function: Callable[..., Any], *names: str) -> str | None:
    """Return the first of ``names`` that ``function`` has as an argument."""
    parameters = inspect.signature(function).parameters
    return next((name for name in names if name in parameters), None)
