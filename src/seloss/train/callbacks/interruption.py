"""Callback that saves and stops at a scheduler's request, and saves inside long epochs.

A launcher that is asked to stop makes a file ``STOP`` in the experiment's folder. Process 0 looks
for it after every step and tells the others, so that all of them save after the same step: a signal
handler cannot do that, since a signal finds the processes in different steps.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from asteroid.utils.files import write_text
from seloss.data.load.samplers import StepSampler
from seloss.program import Preempted
from seloss.train.run.checkpoint import REQUEUE_CHECKPOINT, TIMED_CHECKPOINT
from seloss.train.run.distributed import check_agreement, first_rank_says
from seloss.train.run.experiment import REQUEUE_FILE, STOP_FILE

__all__ = ["Interruption"]

_LOG = logging.getLogger(__name__)
_CONTINUE, _SAVE, _STOP = range(3)


class Interruption(pl.Callback):
    """Stop or save between two steps, in all processes at the same one.

    Args:
        folder: The experiment's; ``STOP`` in it ends the run, which leaves ``REQUEUE`` there with
            the numbers of its last step and of the step it began after.
        checkpoints: Where ``requeue.ckpt`` and ``timed.ckpt`` go.
        minutes: Time between two checkpoints inside an epoch; None: there is none.
    """

    def __init__(self, folder: Path, checkpoints: Path, minutes: float | None) -> None:
        self.folder, self.checkpoints, self.minutes = folder, checkpoints, minutes
        self._saved = time.monotonic()
        self._began = 0
        self._trained = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that every process resumes at the same place of the same data."""
        self._saved, self._began = time.monotonic(), trainer.global_step
        sampler = _step_sampler(trainer)
        place = (trainer.current_epoch, trainer.global_step)
        data = None if sampler is None else (sampler.sampler.n_items, sampler.sampler.done)
        check_agreement("where to resume (epoch, step, (mixtures, done))", (*place, data))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save or stop if that is due, unless the epoch's end or an optimiser step comes first."""
        self._trained = True
        if trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        action = self._due(trainer)
        if action == _SAVE:
            trainer.save_checkpoint(self.checkpoints / TIMED_CHECKPOINT, weights_only=False)
            self._saved = time.monotonic()
        elif action == _STOP:
            trainer.save_checkpoint(self.checkpoints / REQUEUE_CHECKPOINT, weights_only=False)
            self._leave(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave between two epochs, where the last one's end has been saved already."""
        if self._trained:
            self._saved = time.monotonic()
            if self._due(trainer) == _STOP:
                self._leave(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the checkpoints inside an epoch that a finished run has no use for."""
        if trainer.is_global_zero:
            for name in (TIMED_CHECKPOINT, REQUEUE_CHECKPOINT):
                (self.checkpoints / name).unlink(missing_ok=True)
            for name in (STOP_FILE, REQUEUE_FILE):
                (self.folder / name).unlink(missing_ok=True)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note how many mixtures of the epoch are used, for any number of resuming processes."""
        sampler, done = _step_sampler(trainer), 0
        if sampler is not None and not trainer.is_last_batch:
            done = sampler.position(trainer.fit_loop.epoch_loop.batch_idx)
        size = 1 if sampler is None else sampler.step_size
        checkpoint["position"] = {"done": done, "step_size": size}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Recount the steps of an interrupted epoch if a step has another size now."""
        sampler, position = _step_sampler(trainer), checkpoint.get("position")
        if sampler is None or position is None or position["step_size"] == sampler.step_size:
            return
        _LOG.warning(
            "a step had %d mixtures, now it has %d: the result will differ",
            position["step_size"],
            sampler.step_size,
        )
        if position["done"]:
            # Lightning counts batches, and these have another size now.
            steps = position["done"] // sampler.step_size
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
            # Lightning's state while a callback saves: the batch is processed, not yet completed.
            progress.update(ready=steps, started=steps, processed=steps, completed=steps - 1)

    def _due(self, trainer: pl.Trainer) -> int:
        """Return the action that is due, as process 0 finds."""
        action = _CONTINUE
        if trainer.is_global_zero:
            if (self.folder / STOP_FILE).exists():
                action = _STOP
            elif self.minutes and time.monotonic() - self._saved >= 60 * self.minutes:
                action = _SAVE
        return first_rank_says(action, trainer.strategy.root_device)

    def _leave(self, trainer: pl.Trainer) -> None:
        """Write down the last step and end the run, in every process."""
        if trainer.is_global_zero:
            write_text(self.folder / REQUEUE_FILE, f"{trainer.global_step} {self._began}\n")
            (self.folder / STOP_FILE).unlink(missing_ok=True)
        trainer.strategy.barrier("preemption")
        raise Preempted(trainer.global_step)


def _step_sampler(trainer: pl.Trainer) -> StepSampler | None:
    """Return the sampler that divides steps among processes; None for a loader of another kind."""
    source = trainer.fit_loop._data_source.instance
    sampler = getattr(source, "batch_sampler", None)
    return sampler if isinstance(sampler, StepSampler) else None
