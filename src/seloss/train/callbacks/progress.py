"""``progress.json``: where a run is, for whoever looks at it from outside."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from asteroid.utils.files import atomic_path

__all__ = ["Progress"]

# A shared disk does not mind this, and nobody looks more often.
INTERVAL_S = 10.0


class Progress(pl.Callback):
    """Write epoch, batch and step of the running training now and then, by process 0.

    Args:
        path: The file.
        epochs: Number of epochs of the run.
    """

    def __init__(self, path: Path, epochs: int) -> None:
        self.path, self.epochs = path, epochs
        self._written = -INTERVAL_S

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write, if the last time is long enough ago."""
        if time.monotonic() - self._written >= INTERVAL_S:
            self._write(trainer, batch_idx + 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write that the epoch is complete."""
        self._write(trainer, int(trainer.num_training_batches))

    def _write(self, trainer: pl.Trainer, batch: int) -> None:
        self._written = time.monotonic()
        if not trainer.is_global_zero:
            return
        place = {
            "epoch": trainer.current_epoch,
            "epochs": self.epochs,
            "batch": batch,
            "batches": int(trainer.num_training_batches),
            "step": trainer.global_step,
            "time": round(time.time(), 1),
        }
        with suppress(OSError), atomic_path(self.path) as temporary:  # a full disk, say
            temporary.write_text(json.dumps(place) + "\n", encoding="utf-8")
