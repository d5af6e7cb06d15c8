"""Learning curves as a table and a picture: ``curves.csv`` and ``curves.png`` of each run."""

from __future__ import annotations

import csv
import io
import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from asteroid.utils.files import atomic_path, write_text

__all__ = ["Curves", "draw_curves", "smooth"]

_HEADER = ("epoch", "batch", "position", "train/loss")
#: Seconds between two pictures of a run whose epochs are short; the last is always drawn.
_EVERY_S = 30.0
Row = tuple[int, int, float, float]


class Curves(pl.Callback):
    """Keep the loss of every training batch and the validation scores of every epoch.

    The table grows with each checkpoint, which knows how long it was: a resumed run drops what it
    trains again. In a run of several processes the losses are those of the first.

    Args:
        folder: Where ``curves.csv`` and ``curves.png`` go.
    """

    def __init__(self, folder: Path) -> None:
        self.table, self.picture = folder / "curves.csv", folder / "curves.png"
        self.rows: list[Row] = []
        self.scores: dict[str, list[tuple[float, float]]] = {}
        self._written = 0
        self._drawn = -math.inf

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add the batch's loss."""
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if not isinstance(loss, torch.Tensor):
            return
        position = trainer.current_epoch + (batch_idx + 1) / max(1, trainer.num_training_batches)
        self.rows.append((trainer.current_epoch, batch_idx, position, float(loss.detach())))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's validation scores and draw."""
        for name, value in trainer.callback_metrics.items():
            if name.startswith("val/"):
                point = (trainer.current_epoch + 1.0, float(value))
                self.scores.setdefault(name, []).append(point)
        if trainer.is_global_zero and time.monotonic() - self._drawn > _EVERY_S:
            self._draw()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write and draw all there is."""
        if trainer.is_global_zero and self.rows:
            self._write()
            self._draw()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write the table that belongs to the checkpoint."""
        if trainer.is_global_zero and len(self.rows) != self._written:
            self._write()

    def state_dict(self) -> dict[str, Any]:
        """Return how many rows the table has, and the scores."""
        return {"rows": len(self.rows), "scores": self.scores}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the table as it was at the checkpoint."""
        self.rows = _read(self.table)[: state_dict["rows"]]
        self.scores = {name: list(points) for name, points in state_dict["scores"].items()}

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows((e, b, f"{at:.6g}", f"{loss:.6g}") for e, b, at, loss in self.rows)
        write_text(self.table, text.getvalue())
        self._written = len(self.rows)

    def _draw(self) -> None:
        draw_curves(self.picture, self.rows, self.scores)
        self._drawn = time.monotonic()


def _read(table: Path) -> list[Row]:
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [(int(e), int(b), float(at), float(loss)) for e, b, at, loss in rows]


def smooth(values: list[float], span: float) -> list[float]:
    """Return the exponential mean of a sequence, which starts at its first value.

    Args:
        values: The sequence; those that are not finite are passed over.
        span: Over about how many values; 1 changes nothing.

    >>> smooth([1.0, 1.0, 1.0], 5)
    [1.0, 1.0, 1.0]
    >>> smooth([4.0, 0.0], 1)
    [4.0, 0.0]
    """
    keep, total, weight = 1 - 2 / (span + 1), 0.0, 0.0
    smoothed = []
    for value in values:
        if math.isfinite(value):
            total, weight = keep * total + value, keep * weight + 1
        smoothed.append(total / weight if weight else math.nan)
    return smoothed


def draw_curves(path: Path, rows: list[Row], scores: dict[str, list[tuple[float, float]]]) -> None:
    """Write a picture: the loss of each batch with a smoothed line, validation as points.

    Args:
        path: The PNG file, written in one step.
        rows: Epoch, batch, position (in epochs) and loss of each training batch.
        scores: Name, such as ``val/loss`` -> position and value of each epoch. Parts of a sum of
            losses are left out; every metric has a panel of its own.
    """
    from matplotlib.figure import Figure

    parts = {name.removeprefix("val/loss_") for name in scores if name.startswith("val/loss_")}
    hidden = {f"val/{kind}_{part}" for part in parts for kind in ("loss", "weighted")}
    metrics = [name for name in sorted(scores) if name != "val/loss" and name not in hidden]
    figure = Figure(figsize=(8, 2.6 * (1 + len(metrics))), layout="constrained")
    axes = figure.subplots(1 + len(metrics), 1, sharex=True, squeeze=False)[:, 0]
    at, losses = [row[2] for row in rows], [row[3] for row in rows]
    per_epoch = len(rows) / max(1.0, at[-1] if at else 1.0)
    axes[0].plot(at, losses, color="tab:blue", alpha=0.3, linewidth=0.6, label="training batches")
    smoothed = smooth(losses, max(1.0, per_epoch / 2))
    axes[0].plot(at, smoothed, color="tab:blue", linewidth=1.4, label="smoothed")
    for axis, name in zip(axes, ["val/loss", *metrics], strict=True):
        points = scores.get(name, [])
        where, values = [p[0] for p in points], [p[1] for p in points]
        axis.plot(where, values, "o-", color="tab:red", markersize=3, label="validation")
        axis.set_ylabel(name.removeprefix("val/"))
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    axes[-1].set_xlabel("epoch")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
