"""Callback that keeps an exponential moving average of a network's weights."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

__all__ = ["WeightAverage"]


class WeightAverage(pl.Callback):
    """Average the weights over the last steps; validate and ship the average.

    Running statistics of batch norms are averaged alike, so that they fit the averaged weights.
    Checkpoints hold the average as ``averaged``, beside the weights that training continues from.

    Args:
        decay: How much of the average a step keeps, such as 0.999: the mean of about the last
            ``1 / (1 - decay)`` steps. The first steps keep less, so that the random start is
            forgotten.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J.
        Control Optim. 30, 1992; the ramp as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._average: dict[str, torch.Tensor] = {}
        self._step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with the weights as they are, unless a checkpoint had an average."""
        state = _state(pl_module)
        if not self._average:
            self._average = {name: value.clone() for name, value in state.items()}
        for name, value in state.items():
            self._average[name] = self._average[name].to(value.device)
        self._step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object
    ) -> None:
        """Take in the weights of an optimiser step."""
        step = trainer.global_step
        if step == self._step:  # one of several batches of a step
            return
        self._step = step
        # At step 1 a fifth is kept, at 90 nine tenths.
        keep = min(self.decay, (1 + step) / (10 + step))
        for name, value in _state(pl_module).items():
            if value.is_floating_point():
                self._average[name].lerp_(value, 1 - keep)
            else:  # a count, such as num_batches_tracked
                self._average[name].copy_(value)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average in the network's place."""
        self._swap(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the weights back that training continues from."""
        self._swap(pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the average."""
        if self._average:
            checkpoint["averaged"] = dict(self._average)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take over the average of a checkpoint."""
        self._average = dict(checkpoint.get("averaged", {}))

    @torch.no_grad()
    def _swap(self, pl_module: pl.LightningModule) -> None:
        if not self._average:
            return
        for name, value in _state(pl_module).items():
            kept = value.clone()
            value.copy_(self._average[name])
            self._average[name].copy_(kept)


def _state(pl_module: Any) -> dict[str, torch.Tensor]:
    """Return the tensors, not copies, of the network."""
    state: dict[str, torch.Tensor] = pl_module.network.state_dict()
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
