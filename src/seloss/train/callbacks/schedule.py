"""Callback that sets the learning rate of every step: warm-up, then a cosine or a constant rate."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl

from seloss.train.options.recipe import OptimConfig

from .time_budget import TimeBudget

__all__ = ["LearningRate", "learning_rate"]


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
