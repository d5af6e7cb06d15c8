"""The Lightning trainer of an experiment."""

from __future__ import annotations

import logging
import sys
import warnings

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.strategies import DDPStrategy, Strategy

from seloss.train.callbacks.audio_log import Listening
from seloss.train.callbacks.checkpoints import (
    AtomicCheckpointIO,
    BestCheckpoints,
    LastCheckpoint,
    ResumableEarlyStopping,
)
from seloss.train.callbacks.curves import Curves
from seloss.train.callbacks.history import History
from seloss.train.callbacks.interruption import Interruption
from seloss.train.callbacks.loggers import build_loggers
from seloss.train.callbacks.profiler import StepProfiler
from seloss.train.callbacks.progress import Progress
from seloss.train.callbacks.schedule import LearningRate
from seloss.train.callbacks.time_budget import TimeBudget
from seloss.train.callbacks.weight_average import WeightAverage
from seloss.train.options.recipe import OptimConfig, TrainingConfig
from seloss.train.run.distributed import PATIENCE, Layout, RunningStatistics, find_layout
from seloss.train.run.experiment import Experiment
from seloss.train.run.precision import choose_precision
from seloss.train.system.speed import Speed

__all__ = ["build_trainer"]

_NOISE = (
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*does not have many workers.*",
    ".*It is recommended to use .self.log.*sync_dist=True.*",  # every rank logs the same value
    ".*The `srun` command is available.*",
    ".*treespec, LeafSpec.*",
    ".*number of training batches .* is smaller than the logging interval.*",
    ".*Torchinductor does not support code generation for complex operators.*",
    ".*You're resuming from a checkpoint that ended before the epoch ended.*",
)


def build_trainer(
    training: TrainingConfig,
    experiment: Experiment,
    *,
    mode: str,
    sample_rate: int,
    optim: OptimConfig | None = None,
) -> tuple[pl.Trainer, BestCheckpoints]:
    """Return a trainer that writes into the experiment's folder, and the keeper of the best.

    Args:
        training: The options.
        experiment: Where everything goes.
        mode: ``"max"`` if a higher ``training.monitor`` is better, else ``"min"``.
        sample_rate: Of the audio that is logged, Hz.
        optim: Warm-up and schedule of the learning rate.

    Raises:
        ValueError: More GPUs are asked for than there are, or other numbers of nodes or processes
            than a launcher has started.
        ModuleNotFoundError: A logger's package is not installed.
    """
    for pattern in _NOISE:
        warnings.filterwarnings("ignore", pattern)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    layout = find_layout(training)
    best = BestCheckpoints(experiment.checkpoints, training.monitor, mode, training.save_top_k)
    budget = TimeBudget(training.max_hours)
    callbacks: list[pl.Callback] = [
        Speed(training),
        LearningRate(optim or OptimConfig(), budget),
        RunningStatistics(),
        *([WeightAverage(training.ema_decay)] if training.ema_decay else []),
        budget,
        History(experiment.folder / "history.csv", training.epochs),
        Curves(experiment.folder),
        Progress(experiment.folder / "progress.json", training.epochs),
        Interruption(experiment.folder, experiment.checkpoints, training.checkpoint_minutes),
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
        accelerator="gpu" if layout.on_gpu else "cpu",
        devices=layout.per_node,
        num_nodes=layout.nodes,
        strategy=_strategy(layout),
        sync_batchnorm=layout.on_gpu and layout.world > 1,
        use_distributed_sampler=False,
        precision=choose_precision(str(training.precision), layout.on_gpu),
        max_epochs=training.epochs,
        accumulate_grad_batches=training.accumulate_batches,
        gradient_clip_val=training.gradient_clipping,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
        enable_progress_bar=bar,
        enable_model_summary=False,
        logger=build_loggers(training, experiment),
        profiler=_profiler(training, experiment, layout),
        callbacks=callbacks,
        # Without a launcher's, Lightning would find SLURM's environment and handle its signals.
        plugins=[AtomicCheckpointIO(), *([] if layout.launched else [LightningEnvironment()])],
    )
    return trainer, best


def _profiler(
    training: TrainingConfig, experiment: Experiment, layout: Layout
) -> StepProfiler | None:
    """Return what measures steps, in the first process only."""
    if not training.profile or layout.rank:
        return None
    device = "cuda" if layout.on_gpu else "cpu"
    per_step = training.batch_size * layout.world * training.accumulate_batches
    return StepProfiler(experiment.folder / "profile", device, per_step, training.num_workers)


def _strategy(layout: Layout) -> Strategy | str:
    """Return Lightning's DDP for several processes.

    Buffers are not copied from process 0 before every pass, validation's too: one process may have
    one batch more there, and would wait for the others for ever (see `RunningStatistics`).
    """
    if layout.world == 1:
        return "auto"
    return DDPStrategy(
        process_group_backend=layout.backend, timeout=PATIENCE, broadcast_buffers=False
    )
