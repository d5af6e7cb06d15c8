"""Record of a run: ``history.csv``, ``curves.csv`` and ``.png``, ``progress.json``, the bar."""

from __future__ import annotations

import json
import logging
import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar

from asteroid.utils.files import atomic_path
from seloss.train.system.deferred import DeferredReads

from .curves import LOSS_PART, Row, draw_curves, read_curves, write_csv

__all__ = ["EpochBar", "RunLog"]

_LOG = logging.getLogger(__name__)
_CURVE_COLUMNS = ("epoch", "batch", "position", "train/loss")
# A picture takes a second to draw, and an epoch may be shorter.
_DRAW_EVERY_S = 30.0
# A shared disk does not mind this, and nobody looks more often.
_PROGRESS_EVERY_S = 10.0


class RunLog(pl.Callback):
    """Write down how a run goes, always as its last checkpoint knows it.

    ``history.csv`` has a row per epoch: ``epoch, lr, train/loss, val/loss``, each
    ``val/<metric>``, of a sum of losses what is logged of each part, and ``seconds``.
    ``curves.csv`` has the loss of every training batch (of process 0), ``curves.png`` shows it
    with the validation values. ``progress.json`` says every few seconds where the run is.

    The rows of the history and the number of those of the curves travel in the checkpoints, so a
    resumed run drops what it trains again.

    Args:
        folder: Where the files go.
        epochs: Number of epochs of the run.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        self.history, self.progress = folder / "history.csv", folder / "progress.json"
        self.table, self.picture = folder / "curves.csv", folder / "curves.png"
        self.epochs = epochs
        self.rows: list[dict[str, float]] = []
        self.losses: list[Row] = []
        self.scores: dict[str, list[tuple[float, float]]] = {}
        self._reads = DeferredReads()
        self._began = self._spent = 0.0
        self._n_written = 0
        self._drawn = self._reported = -math.inf

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the seconds that an interrupted epoch had taken before."""
        self._drawn = time.monotonic()
        self._began = self._drawn - self._spent

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of a whole epoch."""
        self._began = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add the batch's loss; say where the run is if that is some time ago."""
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if isinstance(loss, torch.Tensor):
            share = (batch_idx + 1) / max(1, trainer.num_training_batches)
            epoch = trainer.current_epoch
            place = (epoch, batch_idx, epoch + share)
            self._reads.add(
                loss.detach()[None], lambda numbers: self.losses.append((*place, numbers[0]))
            )
        if time.monotonic() - self._reported >= _PROGRESS_EVERY_S:
            self._write_progress(trainer, batch_idx + 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row and validation values, write, draw and log them."""
        self._reads.read()
        row, summary = self._row(trainer)
        self.rows.append(row)
        for name, value in row.items():
            if name.startswith("val/"):
                self.scores.setdefault(name, []).append((trainer.current_epoch + 1.0, value))
        self._write_progress(trainer, int(trainer.num_training_batches))
        if not trainer.is_global_zero:
            return
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        rows = [{**row, "epoch": int(row["epoch"])} for row in self.rows]
        write_csv(self.history, columns, ([row.get(name, "") for name in columns] for row in rows))
        if notice := getattr(getattr(pl_module, "network", None), "notice", ""):
            summary += f"  ({notice})"
        _LOG.info("epoch %d of %d  %s", trainer.current_epoch + 1, self.epochs, summary)
        if time.monotonic() - self._drawn > _DRAW_EVERY_S:
            self._draw()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write and draw all there is."""
        self._reads.read()
        if trainer.is_global_zero and self.losses:
            self._write_curves()
            self._draw()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write the curves that belong to the checkpoint."""
        self._reads.read()
        if trainer.is_global_zero and len(self.losses) != self._n_written:
            self._write_curves()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the record."""
        self._reads.read()
        return {
            "rows": self.rows,
            "spent": time.monotonic() - self._began,
            "n_losses": len(self.losses),
            "scores": self.scores,
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Read the record in a checkpoint of earlier releases, where two callbacks shared it."""
        states = checkpoint["callbacks"]
        if "History" in states and "Curves" in states:
            curves = states["Curves"]
            old = {"n_losses": curves["rows"], "scores": curves["scores"]}
            self.load_state_dict({**states["History"], **old})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the record as it was at the checkpoint."""
        self.rows = list(state_dict["rows"])
        self._spent = float(state_dict.get("spent", 0.0))
        self.losses = read_curves(self.table)[: state_dict["n_losses"]]
        self.scores = {name: list(points) for name, points in state_dict["scores"].items()}

    def _row(self, trainer: pl.Trainer) -> tuple[dict[str, float], str]:
        """Return the epoch's row, and the values of it that are logged."""
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        parts = sorted(filter(LOSS_PART.match, logged))
        names = ["train/loss", "val/loss", *sorted(n for n in logged if n.startswith("val/"))]
        names = [n for n in dict.fromkeys(names) if n in logged and n not in parts]
        row = {"epoch": float(trainer.current_epoch)}
        row["lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        row |= {name: logged[name] for name in [*names, *parts]}
        # _began lies back by what an interrupted epoch had taken.
        row["seconds"] = round(time.monotonic() - self._began, 2)
        return row, "  ".join(f"{name} {row[name]:.3f}" for name in names)

    def _write_curves(self) -> None:
        rows = ((e, b, f"{at:.6g}", f"{loss:.6g}") for e, b, at, loss in self.losses)
        write_csv(self.table, _CURVE_COLUMNS, rows)
        self._n_written = len(self.losses)

    def _draw(self) -> None:
        draw_curves(self.picture, self.losses, self.scores)
        self._drawn = time.monotonic()

    def _write_progress(self, trainer: pl.Trainer, batch: int) -> None:
        self._reported = time.monotonic()
        if not trainer.is_global_zero:
            return
        progress = {
            "epoch": trainer.current_epoch,
            "epochs": self.epochs,
            "batch": batch,
            "batches": int(trainer.num_training_batches),
            "step": trainer.global_step,
            "time": round(time.time(), 1),
        }
        # A full disk must not end the training for the sake of this file.
        with suppress(OSError), atomic_path(self.progress) as temporary:
            temporary.write_text(json.dumps(progress) + "\n", encoding="utf-8")


class EpochBar(TQDMProgressBar):
    """Progress bar that counts epochs from 1, as the log does."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Begin a bar, in place of Lightning's, which calls the first epoch 0."""
        self.train_progress_bar.reset(self.total_train_batches)
        self.train_progress_bar.initial = 0
        self.train_progress_bar.set_description(
            f"epoch {trainer.current_epoch + 1} of {self.epochs}"
        )
