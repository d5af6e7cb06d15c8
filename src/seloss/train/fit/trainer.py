"""Lightning trainer of an experiment, with its callbacks, loggers and processes."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy, Strategy

from asteroid.utils.allocator import keep_freed_memory
from seloss.train.callbacks.audio_log import Listening
from seloss.train.callbacks.balance import LossBalance
from seloss.train.callbacks.checkpoints import (
    AtomicCheckpointIO,
    BestCheckpoints,
    LastCheckpoint,
    ResumableEarlyStopping,
)
from seloss.train.callbacks.data_identity import DataIdentity
from seloss.train.callbacks.interruption import Interruption
from seloss.train.callbacks.loggers import build_loggers
from seloss.train.callbacks.profiler import StepProfiler
from seloss.train.callbacks.run_log import EpochBar, RunLog
from seloss.train.callbacks.schedule import LearningRate, TimeBudget
from seloss.train.callbacks.weight_average import WeightAverage
from seloss.train.options.recipe import OptimConfig, TrainingConfig
from seloss.train.run.distributed import PATIENCE, Layout, RunningStatistics, find_layout
from seloss.train.run.experiment import Experiment
from seloss.train.run.precision import choose_precision
from seloss.train.system.compile import CompiledCall, compiler_trouble
from seloss.train.system.recompute import recompute

__all__ = ["build_trainer"]

_LOG = logging.getLogger(__name__)
_NOISE = (
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*does not have many workers.*",
    ".*It is recommended to use .self.log.*sync_dist=True.*",  # every rank logs the same value
    ".*The `srun` command is available.*",
    ".*treespec, LeafSpec.*",
    ".*number of training batches .* is smaller than the logging interval.*",
    ".*Torchinductor does not support code generation for complex operators.*",
    ".*You're resuming from a checkpoint that ended before the epoch ended.*",
    ".*callbacks used to create the checkpoint need to be provided.*",  # see RunLog
)


class _SpeedUp(pl.Callback):
    """Compile the network's training steps, or recompute parts of it, before training starts.

    On a CPU, the process keeps the memory that it frees.
    """

    def __init__(self, training: TrainingConfig) -> None:
        self.training = training

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Change the system before its optimiser is built."""
        system: Any = pl_module
        device = trainer.strategy.root_device
        if device.type == "cpu":
            keep_freed_memory()
        if self.training.recompute:
            parts = recompute(system.network, self.training.recompute)
            shown = ", ".join(parts[:4]) + (f" and {len(parts) - 4} more" if parts[4:] else "")
            _LOG.info("recomputed in the backward pass: %s", shown or "nothing")
        if not self.training.compile:
            return
        trouble = compiler_trouble(device)
        if trouble is None:
            _LOG.info("the network is compiled at its first steps, which take minutes")
            system.compiled = CompiledCall(system.network, system.entry())
        else:
            _LOG.warning(
                "training continues without --compile, which needs a compiler: %s", trouble
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
        ValueError: More GPUs are requested than there are, or other numbers of nodes or processes
            than a launcher has started.
        ModuleNotFoundError: A logger's package is not installed.
    """
    for pattern in _NOISE:
        warnings.filterwarnings("ignore", pattern)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    layout = find_layout(training)
    best = BestCheckpoints(experiment.checkpoints, training.monitor, mode, training.save_top_k)
    callbacks = [*_before_saving(training, experiment, optim or OptimConfig()), best]
    callbacks += [LastCheckpoint(experiment.checkpoints)]
    if training.early_stop:
        callbacks += [
            ResumableEarlyStopping(training.monitor, patience=training.patience, mode=mode)
        ]
    if training.listen:
        callbacks += [Listening(training.listen, sample_rate)]
    bar = sys.stderr.isatty() if training.progress_bar is None else training.progress_bar
    if bar:
        callbacks += [EpochBar(training.epochs)]
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
        logger=build_loggers(training.loggers, experiment),
        profiler=_profiler(training, experiment, layout),
        callbacks=callbacks,
        # Without a launcher's, Lightning would find SLURM's environment and handle its signals.
        plugins=[AtomicCheckpointIO(), *([] if layout.launched else [LightningEnvironment()])],
    )
    return trainer, best


def _before_saving(
    training: TrainingConfig, experiment: Experiment, optim: OptimConfig
) -> list[pl.Callback]:
    """Return what works on a step or an epoch before a checkpoint is written.

    Lightning calls them in this order: after a step, statistics, the average and the record are
    complete before `Interruption` saves them.
    """
    budget = TimeBudget(training.max_hours)
    return [
        _SpeedUp(training),
        LearningRate(optim, budget),
        RunningStatistics(),
        LossBalance(experiment.folder),
        *([WeightAverage(training.ema_decay)] if training.ema_decay else []),
        budget,
        RunLog(experiment.folder, training.epochs),
        DataIdentity(),
        Interruption(experiment.folder, experiment.checkpoints, training.checkpoint_minutes),
    ]


def _profiler(
    training: TrainingConfig, experiment: Experiment, layout: Layout
) -> StepProfiler | None:
    """Return the profiler of some steps, in the first process only."""
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
