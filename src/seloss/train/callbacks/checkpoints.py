"""Checkpoints: the best k and the last, written atomically, found again after a move."""

from __future__ import annotations

import logging
import math
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from asteroid.utils.files import atomic_path
from seloss.program import mark_resumable

__all__ = [
    "LAST_CHECKPOINT",
    "REQUEUE_CHECKPOINT",
    "TIMED_CHECKPOINT",
    "AtomicCheckpointIO",
    "BestCheckpoints",
    "LastCheckpoint",
    "ResumableEarlyStopping",
    "find_checkpoints",
    "network_package",
    "network_weights",
    "newest_checkpoint",
]

_LOG = logging.getLogger(__name__)
LAST_CHECKPOINT, TIMED_CHECKPOINT, REQUEUE_CHECKPOINT = "last.ckpt", "timed.ckpt", "requeue.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint under a temporary name, then rename it; read tensors and plain data only.

    A process killed while saving, or a full disk, leaves the previous checkpoint untouched. If the
    one that is written now and then (``timed.ckpt``) cannot be, training goes on without it.
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
            free = shutil.disk_usage(Path(path).parent).free / 2**20
            reason = str(error).splitlines()[0]
            told = f"cannot save {path} ({free:.0f} MiB are free there): {reason}"
            if Path(path).name != TIMED_CHECKPOINT:
                raise OSError(f"{told}. The checkpoint before it is good") from error
            _LOG.warning("%s. Training goes on", told)

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Return the checkpoint ``path``; objects other than tensors and plain data are refused."""
        loaded: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return loaded


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
        found = {folder / Path(path).name: score for path, score in _ranked(state_dict)}
        self.best_k_models = {str(p): score for p, score in found.items() if p.is_file()}
        if not self.best_k_models:
            return
        sign = 1.0 if self.mode == "max" else -1.0
        order = sorted(self.best_k_models, key=lambda p: sign * float(self.best_k_models[p]))
        self.kth_best_model_path, self.best_model_path = order[0], order[-1]
        self.best_model_score = self.best_k_models[order[-1]]
        if len(order) == self.save_top_k:
            self.kth_value = self.best_k_models[order[0]]

    def scores(self) -> dict[str, float]:
        """Return checkpoint path -> monitored metric."""
        return {str(path): float(score) for path, score in self.best_k_models.items()}


def _ranked(state: dict[str, Any]) -> list[tuple[str, torch.Tensor]]:
    models: dict[str, torch.Tensor] = state.get("best_k_models", {})
    return [(path, score) for path, score in models.items() if not math.isnan(float(score))]


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


def find_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints that a stopped run may go on from."""
    names = (LAST_CHECKPOINT, TIMED_CHECKPOINT, REQUEUE_CHECKPOINT)
    return [folder / name for name in names if (folder / name).is_file()]


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint with the most steps behind it; None if there is none.

    One that cannot be read is passed over if there is another.
    """
    found = find_checkpoints(folder)
    if len(found) < 2:
        return found[0] if found else None
    return max(found, key=_steps_behind)


def _steps_behind(path: Path) -> int:
    """Return the optimiser steps of a checkpoint; -1 and a warning if it cannot be read."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return int(content["global_step"])
    except Exception as error:  # unpickling what is none raises whatever it meets
        reason = (str(error).splitlines() or ["it is empty"])[0]
        _LOG.warning("%s cannot be read and is passed over: %s", path, reason)
        return -1


def network_package(path: str | Path) -> dict[str, Any]:
    """Return the network of a checkpoint as ``network.serialize()`` would give it.

    Args:
        path: A checkpoint of a run (``checkpoints/*.ckpt``), or a ``best_model.pth``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no network.
    """
    try:
        with torch.serialization.safe_globals([torch.torch_version.TorchVersion]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # unpickling something else raises whatever it meets
        reason = (str(error).splitlines() or ["it is empty"])[0]
        raise ValueError(f"{path} is not a checkpoint: {reason}") from None
    if not isinstance(content, dict) or not {"model_name", "model_args"} <= content.keys():
        raise ValueError(f"{path} does not say which network it holds (model_name, model_args)")
    if "pytorch-lightning_version" not in content:
        return content
    return {
        "model_name": content["model_name"],
        "model_args": content["model_args"],
        "state_dict": network_weights(content),
    }


def network_weights(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights of the network in a checkpoint of an `EnhancementSystem`.

    They are the averaged ones if the run has averaged them.
    """
    if "averaged" in checkpoint:
        return dict(checkpoint["averaged"])
    prefix, state = "network.", checkpoint["state_dict"]
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
