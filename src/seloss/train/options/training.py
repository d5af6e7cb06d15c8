"""Options of training itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from asteroid.utils.registry import check_choice

__all__ = ["PRECISION_NAMES", "TrainingConfig", "check_positive"]

LoggerName = Literal["tensorboard", "wandb", "mlflow"]
# 32 is a number in YAML and a word on a command line.
Precision = Literal["auto", "32", "bf16-mixed", "16-mixed", 32, "fp32", "bf16"]

PRECISION_NAMES = {32: "32", "fp32": "32", "bf16": "bf16-mixed"}
"""Other spellings of precisions; runs of earlier releases have the last two."""


@dataclass(frozen=True)
class TrainingConfig:
    """Training.

    Attributes:
        epochs: Most epochs.
        max_hours: Most hours of training, over all starts; then it validates, saves and ends.
        init: Weights to start from: a checkpoint, a best_model.pth, a .safetensors file, or the
            name of a network of the package (python -m seloss.pretrained lists them).
        ema_decay: Keep a moving average of the weights and of the statistics of batch norms, such
            as 0.999; it is what is validated and saved as the best. 0: none.
        batch_size: Mixtures per step and process.
        valid_batch_size: Mixtures per validation batch (of whole utterances).
        accumulate_batches: Batches whose gradients are added up before a step.
        gradient_clipping: Largest 2-norm of the gradient; null: not clipped.
        num_workers: Processes that read data; 0: none but this one.
        monitor: What decides on checkpoints, learning rate and early stop: val/loss, or val/ and
            one of the metrics.
        metrics: Validation metrics, such as si_sdr,stoi: those of auditus.METRICS that need no more
            than estimate, target and noise of one microphone.
        save_top_k: How many of the best checkpoints are kept.
        half_lr: Halve the learning rate when the monitored quantity does not improve.
        lr_patience: Epochs without improvement before that; null: as patience.
        early_stop: Stop when the monitored quantity does not improve.
        patience: Epochs without improvement before that.
        seed: Seed of weights, order, excerpts and everything else.
        precision: Of the network: 32; bf16-mixed (a GPU that has it, or the CPU, where it saves
            memory but seldom time); 16-mixed (a GPU); auto is bf16-mixed on a GPU that has it, else
            32. The weights and the loss are always float32.
        compile: Compile the network by torch.compile, for training steps; validation, where every
            length differs, is not compiled. Where no compiler works, training continues without.
        recompute: Parts of the network whose inner values are computed again in the backward pass
            instead of being kept: less memory, more time, the same gradients. Such as
            encoder,decoders; auto: the network's blocks.
        profile: Measure some steps at the start; profile/summary.txt and profile/trace.json.gz (for
            ui.perfetto.dev or chrome://tracing) say where their time goes. Then training continues.
        gpus: Number of GPUs of each node, one process each; -1: all there are; 0: the CPU.
        nodes: Number of machines; more than one needs a launcher (scripts/train, torchrun or srun).
        ranks: Number of processes of each node where there is no GPU. The batch size of a step is
            ``batch_size`` times all processes of all nodes times ``accumulate_batches``.
        checkpoint_minutes: Time between two checkpoints inside an epoch: a run that is killed loses
            no more than that; null: only the end of an epoch is kept.
        listen: Validation utterances whose audio and spectrograms are logged.
        loggers: Where scalars, audio and pictures go: tensorboard, wandb (Weights & Biases, offline
            unless WANDB_MODE says online), mlflow (a database in the experiment's folder, unless
            MLFLOW_TRACKING_URI names a server); such as tensorboard,wandb.
        progress_bar: Whether to show it; null: on a terminal.
    """

    epochs: int = 200
    max_hours: float | None = None
    init: str | None = None
    ema_decay: float = 0.0
    batch_size: int = 2
    valid_batch_size: int = 1
    accumulate_batches: int = 1
    gradient_clipping: float | None = 5.0
    num_workers: int = 2
    monitor: str = "val/si_sdr"
    metrics: tuple[str, ...] = ("si_sdr",)
    save_top_k: int = 5
    half_lr: bool = True
    lr_patience: int | None = None
    early_stop: bool = True
    patience: int = 30
    seed: int = 42
    precision: Precision = "auto"
    compile: bool = False
    recompute: tuple[str, ...] = ()
    profile: bool = False
    gpus: int = -1
    nodes: int = 1
    ranks: int = 1
    checkpoint_minutes: float | None = 10.0
    listen: int = 3
    loggers: tuple[LoggerName, ...] = ("tensorboard",)
    progress_bar: bool | None = None

    def __post_init__(self) -> None:
        spelling = PRECISION_NAMES.get(self.precision, self.precision)
        object.__setattr__(self, "precision", spelling)
        check_positive("training", self, "epochs", "batch_size", "valid_batch_size", "save_top_k")
        check_positive("training", self, "accumulate_batches", "gradient_clipping", "patience")
        check_positive("training", self, "nodes", "ranks", "checkpoint_minutes", "max_hours")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"training.ema_decay must be from 0 to below 1; got {self.ema_decay}")
        for name, least in (("num_workers", 0), ("gpus", -1), ("listen", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"training.{name} must be at least {least}; got {getattr(self, name)}"
                )
        choices = ["val/loss", *(f"val/{name}" for name in self.metrics)]
        check_choice("training.monitor", self.monitor, choices)
        self._check_speed()

    def _check_speed(self) -> None:
        if self.compile and self.recompute:
            raise ValueError(
                "training.compile and training.recompute exclude each other: the compiler decides "
                "itself what is computed again; choose one"
            )
        if self.precision == "16-mixed" and self.gpus == 0:
            raise ValueError(
                "training.precision 16-mixed needs a GPU, and training.gpus is 0; on the CPU it "
                "may be 32 or bf16-mixed"
            )

    def mode(self, higher_is_better: Mapping[str, bool]) -> Literal["min", "max"]:
        """Return the direction of ``monitor``, given that of every metric."""
        better = self.monitor != "val/loss" and higher_is_better[self.monitor.partition("/")[2]]
        return "max" if better else "min"

    @property
    def scheduler_patience(self) -> int | None:
        """Epochs without improvement before the learning rate is halved; None: it never is."""
        if not self.half_lr:
            return None
        return self.patience if self.lr_patience is None else self.lr_patience


def check_positive(group: str, config: object, *names: str) -> None:
    """Refuse options that are neither positive nor None.

    Raises:
        ValueError: Names the option and its value.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and value <= 0:
            raise ValueError(f"{group}.{name} must be positive; got {value}")
