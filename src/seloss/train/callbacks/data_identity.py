"""Callback that notices when the data of a run have changed between a stop and its resumption."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import pytorch_lightning as pl

__all__ = ["DataIdentity"]

_LOG = logging.getLogger(__name__)


class DataIdentity(pl.Callback):
    """Keep in each checkpoint which mixtures a run trains and validates on.

    A data set is read once, when a run starts, so a manifest may be replaced meanwhile. A run that
    is resumed between two epochs then continues with the new one, and says so; in the middle of an
    epoch the order of what is left would be that of other mixtures, or nothing might be left.
    """

    def __init__(self) -> None:
        self._digests: dict[int, str] = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the data."""
        checkpoint["data"] = self._identities(trainer)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Compare the data with those that the checkpoint was trained on.

        Raises:
            ValueError: The training data have changed in the middle of an epoch.
        """
        before, now = checkpoint.get("data", {}), self._identities(trainer)
        done = checkpoint.get("position", {}).get("done", 0)
        for part, identity in now.items():
            if part not in before or before[part] == identity:
                continue
            was, now_is = before[part]["mixtures"], identity["mixtures"]
            change = f"the {part} data have changed since (was {was} mixtures, now {now_is})"
            if part == "training" and done:
                raise ValueError(
                    f"{change}, and the run was stopped in the middle of an epoch, after {done} of "
                    f"its {was}: put the former manifest back to resume, or choose another "
                    "--exp_dir, with --init for the weights"
                )
            _LOG.warning(
                "%s: the run continues with them; epochs before are not comparable", change
            )

    def _identities(self, trainer: pl.Trainer) -> dict[str, dict[str, Any]]:
        """Return training and validation -> number of mixtures and a digest of which they are."""
        loop = trainer.fit_loop
        sources = {
            "training": loop._data_source,
            "validation": loop.epoch_loop.val_loop._data_source,
        }
        identities = {}
        for part, source in sources.items():
            dataset: Any = getattr(source.instance, "dataset", None)
            if hasattr(dataset, "items") and hasattr(dataset, "lengths"):
                if id(dataset) not in self._digests:  # once: it does not change within a run
                    ids = [item.id for item in dataset.items]
                    facts = repr((ids, list(dataset.lengths))).encode()
                    self._digests[id(dataset)] = hashlib.sha256(facts).hexdigest()[:16]
                identities[part] = {
                    "mixtures": len(dataset),
                    "digest": self._digests[id(dataset)],
                }
        return identities
