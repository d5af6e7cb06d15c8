"""``history.csv``: one row per epoch, always of the run as its last checkpoint knows it."""

from __future__ import annotations

import csv
import io
import logging
import re
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from asteroid.utils.files import write_text

__all__ = ["History"]

_LOG = logging.getLogger(__name__)
_PART = re.compile(r"train/(loss_(?!step)|weighted_|grad_share_)|val/(loss_|weighted_)")


class History(pl.Callback):
    """Keep epoch, learning rate, losses, metrics and duration of every epoch in a table.

    The rows travel in the checkpoints, so a resumed run drops those of epochs it trains again.

    Args:
        path: The table; its columns are ``epoch, lr, train/loss, val/loss``, each
            ``val/<metric>``, of a sum of losses what is logged of each part, and ``seconds``.
        epochs: Number of epochs of the run, for the messages.
    """

    def __init__(self, path: Path, epochs: int) -> None:
        self.path = path
        self.epochs = epochs
        self.rows: list[dict[str, float]] = []
        self._started = self._spent = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of an epoch that a stop has divided where it stood."""
        self._started = time.monotonic() - self._spent

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of a whole epoch."""
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row and write the table."""
        logged = trainer.callback_metrics
        of_parts = sorted(name for name in logged if _PART.match(name))
        names = ["train/loss", "val/loss", *sorted(n for n in logged if n.startswith("val/"))]
        names = [name for name in dict.fromkeys(names) if name in logged and name not in of_parts]
        said, names = names, names + of_parts
        row = {"epoch": float(trainer.current_epoch), "lr": _learning_rate(trainer)}
        row |= {name: float(logged[name]) for name in names}
        row["seconds"] = round(time.monotonic() - self._started, 2)
        self.rows.append(row)
        if trainer.is_global_zero:
            write_text(self.path, _as_csv(self.rows))
            scores = "  ".join(f"{name} {row[name]:.3f}" for name in said)
            notice = getattr(pl_module.network, "notice", "")
            scores += f"  ({notice})" if notice else ""
            _LOG.info("epoch %d of %d  %s", trainer.current_epoch + 1, self.epochs, scores)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows and the seconds since the epoch's start, for the checkpoint."""
        return {"rows": self.rows, "spent": time.monotonic() - self._started}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the rows of a checkpoint."""
        self.rows = list(state_dict["rows"])
        self._spent = float(state_dict.get("spent", 0.0))


def _learning_rate(trainer: pl.Trainer) -> float:
    return float(trainer.optimizers[0].param_groups[0]["lr"])


def _as_csv(rows: list[dict[str, float]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "epoch": int(row["epoch"])} for row in rows)
    return text.getvalue()
