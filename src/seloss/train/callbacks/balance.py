"""Callback that chooses the weights of a sum of losses from some training utterances."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from lightning_fabric.utilities import move_data_to_device
from torch.utils.data import DataLoader

from asteroid.losses import SumLoss
from asteroid.utils.files import write_text
from seloss.train.system.enhancement import EnhancementSystem
from seloss.train.system.randomness import seed_step

__all__ = ["LossBalance"]

FILE = "balanced_loss.yml"
_LOG = logging.getLogger(__name__)
_BATCH = 4


class LossBalance(pl.Callback):
    """Balance a sum of losses that asks for it, by what the untrained network makes of the data.

    Done once, before the first step; the checkpoints keep the weights. The utterances are taken
    evenly from the whole training set, the same in every process, and nothing of the network, its
    batch norms included, is changed.

    Args:
        folder: Gets ``balanced_loss.yml``, the weights as a list of parts for ``--loss FILE``.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._is_done = False

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Leave weights as they are that come from a checkpoint."""
        self._is_done = "loss_weights" in checkpoint

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the weights and write them down."""
        assert isinstance(pl_module, EnhancementSystem)
        system, loss = pl_module, pl_module.loss
        if not isinstance(loss, SumLoss) or loss.balance_by is None:
            return
        if not self._is_done:
            assert trainer.train_dataloader is not None
            seed_step(system.seed, 0, 0, 0)
            network = system.network
            # Passes in training mode change running statistics: a copy's, not the network's.
            system.network = copy.deepcopy(network)
            try:
                signals = _signals(system, trainer.train_dataloader, loss.balance_items)
                loss.balance_weights(signals)
            finally:
                system.network = network
            self._is_done = True
        if trainer.is_global_zero:
            self._write(loss)

    def _write(self, loss: SumLoss) -> None:
        chosen = ", ".join(f"{weight:g} {label}" for label, weight in loss.weights.items())
        _LOG.info("balanced the loss by %s: %s", loss.balance_by, chosen)
        note = (
            f"# Chosen by {loss.balance_by} over {loss.balance_items} training utterances so that\n"
            "# the parts' sizes are in the requested ratio. To use these very weights: "
            "--loss THIS_FILE\n"
        )
        parts = json.loads(json.dumps(loss.described()))
        write_text(self.path, note + yaml.safe_dump({"loss": parts}, sort_keys=False))


def _signals(
    system: EnhancementSystem, loader: DataLoader[Any], n_items: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield estimates, sources and lengths of batches from the whole data set."""
    dataset, collate = loader.dataset, loader.collate_fn
    size = len(dataset)  # type: ignore[arg-type]
    count = min(n_items, size)
    # Evenly over the whole set, which may be sorted by speaker.
    chosen = [index * size // count for index in range(count)]
    for start in range(0, count, _BATCH):
        batch = collate([dataset[index] for index in chosen[start : start + _BATCH]])
        batch = move_data_to_device(batch, system.device)
        with torch.no_grad():
            estimate = system(batch.mixture, batch.n_mics)
        yield estimate.float(), batch.sources.float(), batch.lengths
