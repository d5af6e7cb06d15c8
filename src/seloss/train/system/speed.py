"""What makes training faster or smaller without changing what is learnt, put on when it starts."""

from __future__ import annotations

import logging
from typing import Any

import pytorch_lightning as pl

from asteroid.utils.allocator import keep_freed_memory
from seloss.train.options.training import TrainingConfig

from .compile import CompiledCall, compiler_trouble
from .recompute import recompute

__all__ = ["Speed"]

_LOG = logging.getLogger(__name__)


class Speed(pl.Callback):
    """Compile the network's training steps, or let parts of it be computed again.

    On a CPU, the process keeps the memory that it frees.

    Args:
        training: Says which.
    """

    def __init__(self, training: TrainingConfig) -> None:
        self.training = training

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Change the system before its optimiser is built."""
        system: Any = pl_module
        if trainer.strategy.root_device.type == "cpu":
            keep_freed_memory()
        if self.training.recompute:
            parts = recompute(system.network, self.training.recompute)
            shown = ", ".join(parts[:4]) + (f" and {len(parts) - 4} more" if parts[4:] else "")
            _LOG.info("computed again in the backward pass: %s", shown or "nothing")
        if self.training.compile:
            trouble = compiler_trouble(trainer.strategy.root_device)
            if trouble is None:
                _LOG.info("the network is compiled at its first steps, which take minutes")
                system.compiled = CompiledCall(system.network, system.entry())
            else:
                _LOG.warning(
                    "training goes on without --compile, which needs a compiler: %s", trouble
                )
