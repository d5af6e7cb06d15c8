"""Callbacks for the learning rate of every step and for the hours that a training may take."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import pytorch_lightning as pl

from seloss.train.options.recipe import OptimConfig
from seloss.train.run.distributed import first_rank_says

__all__ = ["LearningRate", "TimeBudget", "learning_rate"]

_LOG = logging.getLogger(__name__)


def learning_rate(optim: OptimConfig, step: int, progress: float) -> float:
    """Return the learning rate of an optimiser step.

    Args:
        optim: Its highest value, the warm-up and the shape.
        step: From 0.
        progress: Share of the training that is done, from 0 to 1.

    Example:
        >>> optim = OptimConfig(lr=1.0, schedule="cosine", warmup_steps=4, final_lr=0.1)
        >>> [round(learning_rate(optim, *at), 3) for at in ((0, 0.0), (9, 0.5), (19, 1.0))]
        [0.25, 0.55, 0.1]

    Source: Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR
        2017, equation 5, without restarts.
    """
    rate = optim.lr
    if optim.schedule == "cosine":
        falling = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        rate *= optim.final_lr + (1 - optim.final_lr) * falling
    return rate * min(1.0, (step + 1) / optim.warmup_steps) if optim.warmup_steps else rate


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
        """Continue from the seconds of a checkpoint."""
        self._spent = float(state_dict["seconds"])

    def _stop_if_used_up(self, trainer: pl.Trainer) -> None:
        if self.max_hours is None or trainer.should_stop:
            return
        # Clocks of processes differ; all of them must leave at the same step.
        if first_rank_says(int(self.share_used() >= 1), trainer.strategy.root_device):
            _LOG.info("%.2f hours are used up: training ends", self.max_hours)
            trainer.should_stop = True


class LearningRate(pl.Callback):
    """Set the rate before each step, from the number of steps behind it.

    It keeps no state, so a resumed run has the rates of one that was never stopped. With a
    `TimeBudget` the cosine ends when the steps or the hours do, whichever come first; such a run
    follows the clock, and two of them differ by how fast the machine was.

    Args:
        optim: The options.
        budget: The hours that the run may take.
    """

    def __init__(self, optim: OptimConfig, budget: TimeBudget) -> None:
        self.optim, self.budget = optim, budget

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the rate of all parameters."""
        step = trainer.global_step
        if self.optim.schedule == "plateau" and step >= self.optim.warmup_steps:
            return  # the plateau's
        progress = max(step / trainer.estimated_stepping_batches, self.budget.share_used())
        rate = learning_rate(self.optim, step, progress)
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
