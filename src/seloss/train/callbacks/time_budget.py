"""Callback that ends a training after so many hours, counted over all its starts."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytorch_lightning as pl

from seloss.train.run.distributed import first_rank_says

__all__ = ["TimeBudget"]

_LOG = logging.getLogger(__name__)


class TimeBudget(pl.Callback):
    """Validate, save and stop when the hours are used up, in the middle of an epoch if need be.

    Time between a kill and the next start does not count, nor does work that the kill has lost.

    Args:
        max_hours: Of training; None: no limit.
    """

    def __init__(self, max_hours: float | None) -> None:
        self.max_hours = max_hours
        self._spent = 0.0
        self._began: float | None = None

    def seconds(self) -> float:
        """Return the seconds trained, over all starts."""
        return self._spent + (0.0 if self._began is None else time.monotonic() - self._began)

    def share_used(self) -> float:
        """Return how much of the hours is used, from 0 to 1; 0 without a limit."""
        return min(1.0, self.seconds() / 3600 / self.max_hours) if self.max_hours else 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; end at once if nothing is left."""
        self._began = time.monotonic()
        self._stop_if_used_up(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Make the step in which the time ran out the last one of its epoch and of the training."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self._stop_if_used_up(trainer)
        if trainer.should_stop:
            # So the epoch ends as every other: its means are logged, and a later start with more
            # hours begins the next epoch, not the rest of this one.
            trainer.fit_loop.epoch_loop.batch_progress.is_last_batch = True

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds trained, for the checkpoint."""
        return {"seconds": self.seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the seconds of a checkpoint."""
        self._spent = float(state_dict["seconds"])

    def _stop_if_used_up(self, trainer: pl.Trainer) -> None:
        if self.max_hours is None or trainer.should_stop:
            return
        # Clocks of processes differ; all of them must leave at the same step.
        if first_rank_says(int(self.share_used() >= 1), trainer.strategy.root_device):
            _LOG.info("%.2f hours are used up: training ends", self.max_hours)
            trainer.should_stop = True
