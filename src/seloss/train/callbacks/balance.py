"""Choose the weights of a sum of losses from some utterances, and write them down."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from lightning_fabric.utilities import move_data_to_device
from torch.utils.data import DataLoader

from asteroid.utils.files import write_text
from seloss.train.system.randomness import seed_step

if TYPE_CHECKING:
    from asteroid.losses import SumLoss
    from seloss.train.system.enhancement import EnhancementSystem

__all__ = ["FILE", "balance_loss", "write_balance"]

FILE = "balanced_loss.yml"
_LOG = logging.getLogger(__name__)
_BATCH = 4


def balance_loss(system: EnhancementSystem, loss: SumLoss, loader: DataLoader[Any]) -> None:
    """Set the weights of ``loss`` by what a copy of the untrained network makes of the data.

    The utterances are taken evenly from the whole training set, the same in every process, and
    nothing of the network, its batch norms included, is changed.

    Args:
        system: Holds the network.
        loss: Says by what it is to be balanced and over how many utterances.
        loader: Of training; its data set and the way it makes batches are used.
    """
    seed_step(system.seed, 0, 0, 0)
    network = system.network
    system.network = copy.deepcopy(network)
    try:
        loss.balance_weights(_signals(system, loader, loss.balance_items))
    finally:
        system.network = network


def write_balance(loss: SumLoss, folder: Path) -> None:
    """Write the chosen weights as a list of parts that ``--loss FILE`` takes."""
    chosen = ", ".join(f"{weight:g} {label}" for label, weight in loss.weights.items())
    _LOG.info("balanced the loss by %s: %s", loss.balance_by, chosen)
    note = (
        f"# Chosen by {loss.balance_by} over {loss.balance_items} training utterances so that the\n"
        "# parts' sizes are in the ratio asked for. To use these very weights: --loss THIS_FILE\n"
    )
    parts = json.loads(json.dumps(loss.described()))
    write_text(folder / FILE, note + yaml.safe_dump({"loss": parts}, sort_keys=False))


def _signals(
    system: EnhancementSystem, loader: DataLoader[Any], n_items: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield estimates, sources and lengths of batches from the whole data set."""
    dataset, collate = loader.dataset, loader.collate_fn
    size = len(dataset)  # type: ignore[arg-type]
    count = min(n_items, size)
    chosen = [index * size // count for index in range(count)]
    for start in range(0, count, _BATCH):
        batch = collate([dataset[index] for index in chosen[start : start + _BATCH]])
        batch = move_data_to_device(batch, system.device)
        with torch.no_grad():
            estimate = system(batch.mixture, batch.n_mics)
        yield estimate.float(), batch.sources.float(), batch.lengths
