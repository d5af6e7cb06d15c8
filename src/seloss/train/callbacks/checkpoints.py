"""Callbacks that save checkpoints, the best k and the last, each written as a whole or not."""

from __future__ import annotations

import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import nn

from asteroid.utils.files import atomic_path, write_text
from seloss.data.load.workers import worker_failure
from seloss.program import mark_resumable
from seloss.train.run.checkpoint import TIMED_CHECKPOINT, network_weights
from seloss.train.run.experiment import Experiment

__all__ = ["AtomicCheckpointIO", "BestCheckpoints", "LastCheckpoint", "ResumableEarlyStopping"]

_LOG = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint under a temporary name, then rename it; read tensors and plain data only.

    A process killed while saving, or a full disk, leaves the previous checkpoint untouched. If the
    one that is written inside an epoch (``timed.ckpt``) cannot be, training continues without it.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Save ``checkpoint`` as ``path``."""
        if storage_options is not None:
            raise TypeError("storage_options is not supported: checkpoints are local files")
        try:
            with atomic_path(path, durable=True) as temporary:
                torch.save(checkpoint, temporary)
            mark_resumable()
        except (OSError, RuntimeError) as error:  # torch reports a full disk as the latter
            if worker_failure(error):  # a signal's handler raises it wherever the program is
                raise
            free = shutil.disk_usage(Path(path).parent).free / 2**20
            reason = str(error).splitlines()[0]
            message = f"cannot save {path} ({free:.0f} MiB are free there): {reason}"
            if Path(path).name != TIMED_CHECKPOINT:
                raise OSError(f"{message}. The checkpoint before it is good") from error
            _LOG.warning("%s. Training continues", message)

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Return the checkpoint ``path``; objects other than tensors and plain data are refused."""
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return checkpoint


class BestCheckpoints(ModelCheckpoint):
    """Keep the ``k`` checkpoints with the best monitored metric.

    After a resume the list holds what is still on the disk, under the folder's present name.
    """

    def __init__(self, folder: Path, monitor: str, mode: str, k: int) -> None:
        super().__init__(
            folder,
            filename="{epoch}-{step}",
            monitor=monitor,
            mode=mode,
            save_top_k=k,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the list of a checkpoint, re-rooted and without the files that are gone."""
        folder = Path(str(self.dirpath))
        scores: dict[str, torch.Tensor] = state_dict.get("best_k_models", {})
        self.best_k_models = {
            str(folder / Path(path).name): score
            for path, score in scores.items()
            if not math.isnan(float(score)) and (folder / Path(path).name).is_file()
        }
        if not self.best_k_models:
            return
        # Worst first, whichever direction is better.
        sign = 1.0 if self.mode == "max" else -1.0
        order = sorted(self.best_k_models, key=lambda p: sign * float(self.best_k_models[p]))
        self.kth_best_model_path, self.best_model_path = order[0], order[-1]
        self.best_model_score = self.best_k_models[order[-1]]
        if len(order) == self.save_top_k:
            self.kth_value = self.best_k_models[order[0]]

    def scores(self) -> dict[str, float]:
        """Return checkpoint path -> monitored metric."""
        return {str(path): float(score) for path, score in self.best_k_models.items()}

    def save_network(self, experiment: Experiment, network: nn.Module) -> None:
        """Write ``best_k_models.json`` and ``best_model.pth``; leaves the best weights in network.

        Raises:
            RuntimeError: No checkpoint has been written, so there is nothing to save.
        """
        scores = self.scores()
        if not scores:
            raise RuntimeError(f"{self.dirpath} holds no checkpoint: no epoch was finished")
        write_text(experiment.folder / "best_k_models.json", json.dumps(scores, indent=0) + "\n")
        checkpoint = torch.load(self.best_model_path, map_location="cpu", weights_only=True)
        network.cpu().load_state_dict(network_weights(checkpoint))
        with atomic_path(experiment.best_model, durable=True) as temporary:
            torch.save(network.serialize(), temporary)  # type: ignore[operator]
        name, score = Path(self.best_model_path).stem, scores[self.best_model_path]
        _LOG.info("%s: %s is %.3f at %s", experiment.best_model, self.monitor, score, name)


class LastCheckpoint(ModelCheckpoint):
    """Write ``last.ckpt`` at the end of every epoch, also of one that improved nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            filename="last",
            save_top_k=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )


class ResumableEarlyStopping(EarlyStopping):
    """Early stopping that, started again after it had stopped, does not train one epoch more."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the restored run had already lost its patience."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True
