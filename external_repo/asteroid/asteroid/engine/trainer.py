"""The Lightning trainer of an experiment."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger

from .checkpoints import (
    AtomicCheckpointIO,
    BestCheckpoints,
    LastCheckpoint,
    ResumableEarlyStopping,
)
from .config import TrainingConfig
from .experiment import Experiment
from .history import History
from .listening import Listening

__all__ = ["build_trainer", "choose_precision"]

_NOISE = (
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*does not have many workers.*",
    ".*treespec, LeafSpec.*",
    ".*number of training batches .* is smaller than the logging interval.*",
    ".*You're resuming from a checkpoint that ended before the epoch ended.*",
)


def build_trainer(
    training: TrainingConfig, experiment: Experiment, *, mode: str, sample_rate: int
) -> tuple[pl.Trainer, BestCheckpoints]:
    """Return a trainer that writes into the experiment's folder, and the keeper of the best.

    Args:
        training: The options.
        experiment: Where everything goes.
        mode: ``"max"`` if a higher ``training.monitor`` is better, else ``"min"``.
        sample_rate: Of the audio shown in TensorBoard, Hz.

    Raises:
        ValueError: More GPUs are asked for than there are.
    """
    for pattern in _NOISE:
        warnings.filterwarnings("ignore", pattern)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    gpus = _count_gpus(training.gpus)
    best = BestCheckpoints(experiment.checkpoints, training.monitor, mode, training.save_top_k)
    callbacks: list[pl.Callback] = [
        History(experiment.folder / "history.csv", training.epochs),
        best,
        LastCheckpoint(experiment.checkpoints),
    ]
    if training.early_stop:
        callbacks.append(
            ResumableEarlyStopping(training.monitor, patience=training.patience, mode=mode)
        )
    if training.listen:
        callbacks.append(Listening(training.listen, sample_rate))
    bar = sys.stderr.isatty() if training.progress_bar is None else training.progress_bar
    if bar:
        callbacks.append(TQDMProgressBar())
    trainer = pl.Trainer(
        default_root_dir=experiment.folder,
        accelerator="gpu" if gpus else "cpu",
        devices=gpus or 1,
        strategy="ddp" if gpus > 1 else "auto",
        precision=choose_precision(training.precision, gpus),
        max_epochs=training.epochs,
        accumulate_grad_batches=training.accumulate_batches,
        gradient_clip_val=training.gradient_clipping,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
        enable_progress_bar=bar,
        enable_model_summary=False,
        logger=_tensorboard(experiment),
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
    )
    return trainer, best


def choose_precision(wanted: str, gpus: int) -> Literal["bf16-mixed", "32-true"]:
    """Return Lightning's name of the precision; ``auto`` is bf16 where a GPU has it, else fp32."""
    if wanted == "auto":
        wanted = "bf16" if gpus and torch.cuda.is_bf16_supported() else "fp32"
    return "bf16-mixed" if wanted == "bf16" else "32-true"


def _count_gpus(wanted: int) -> int:
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted > present:
        raise ValueError(f"training.gpus is {wanted}, but this machine shows {present}")
    return present if wanted < 0 else wanted


def _tensorboard(experiment: Experiment) -> TensorBoardLogger:
    """Return the logger; what a killed run logged after its last checkpoint is taken back."""
    step = experiment.progress()[1] or None
    return TensorBoardLogger(
        experiment.folder, name="tensorboard_logs", version="", purge_step=step
    )
