"""The options of a training run: frozen dataclasses whose defaults are the papers' values.

A recipe composes them with the configuration of its network, a `Recipe`. Only the standard library
is imported, so that a wrong option is refused at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .loss_config import LossConfig

__all__ = [
    "FREE_KEYS",
    "PUBLISHED_FLAGS",
    "DataConfig",
    "LossConfig",
    "OptimConfig",
    "Recipe",
    "TrainingConfig",
    "defaults_of",
    "flatten",
    "option_names",
]

LoggerName = Literal["tensorboard", "wandb", "mlflow"]
MetricName = Literal[
    "si_sdr", "si_sir", "si_sar", "fw_sdr", "fw_sir", "fw_sar", "stoi", "estoi", "pesq_wb"
]

PUBLISHED_FLAGS = {
    "loss": "loss.name",
    "dev_json": "data.valid_json",
    "samplerate": "data.sample_rate",
}
"""Flags of the published recipes that are not the last part of an option's name here (those, such
as ``--scale`` for ``loss.scale``, are accepted without being listed)."""

FREE_KEYS = frozenset(
    {
        "exp_dir",
        "training.epochs",
        "training.gpus",
        "training.nodes",
        "training.ranks",
        "training.checkpoint_minutes",
        "training.num_workers",
        "training.listen",
        "training.loggers",
        "training.progress_bar",
    }
)
"""Options that may change between two starts of one run: they do not change what is learnt."""


@dataclass(frozen=True)
class DataConfig:
    """Data.

    Attributes:
        train_json: Manifest of the training mixtures (``--train_json``).
        valid_json: Manifest of the validation mixtures (``--valid_json``; published:
            ``--dev_json``).
        sample_rate: Sampling rate of every file, Hz.
        segment: Length of the random excerpts of training, s; null: whole utterances. Validation
            always hears whole utterances.
        max_mics: Most microphones of a mixture; null: all.
        shuffle_mics: Order the microphones of training mixtures anew in each epoch, so that the
            reference microphone changes too.
        remix: Deal out the noises of a training batch anew among its items, each at its SNR; for
            one microphone.
        gain_db: With remix, change the level of each item, and every part of the spectra of its
            speech and its noise, by up to so many dB, up or down.
    """

    train_json: str = "data/mini_mixtures/train.json"
    valid_json: str = "data/mini_mixtures/valid.json"
    sample_rate: int = 16000
    segment: float | None = 4.0
    max_mics: int | None = 4
    shuffle_mics: bool = True
    remix: bool = False
    gain_db: float = 0.0

    def __post_init__(self) -> None:
        _positive("data", self, "sample_rate", "segment", "max_mics")
        if self.gain_db < 0:
            raise ValueError(f"data.gain_db must be 0 or more; got {self.gain_db}")
        if self.gain_db and not self.remix:
            raise ValueError("data.gain_db counts with data.remix: true only")


@dataclass(frozen=True)
class OptimConfig:
    """Optimiser.

    Attributes:
        optimizer: Which one.
        lr: Learning rate; used as it is, whatever the batch size and the number of GPUs.
        weight_decay: L2 penalty.
    """

    optimizer: Literal["adam", "adamw", "radam", "rmsprop", "sgd"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 1e-5

    def __post_init__(self) -> None:
        _positive("optim", self, "lr")


@dataclass(frozen=True)
class TrainingConfig:
    """Training.

    Attributes:
        epochs: Most epochs.
        batch_size: Mixtures per step and process.
        valid_batch_size: Mixtures per validation batch (of whole utterances).
        accumulate_batches: Batches whose gradients are added up before a step.
        gradient_clipping: Largest 2-norm of the gradient; null: not clipped.
        num_workers: Processes that read data; 0: none but this one.
        monitor: What decides on checkpoints, learning rate and early stop: val/loss, or val/ and
            one of the metrics.
        metrics: Validation metrics, such as si_sdr,stoi.
        save_top_k: How many of the best checkpoints are kept.
        half_lr: Halve the learning rate when the monitored quantity does not improve.
        lr_patience: Epochs without improvement before that; null: as patience.
        early_stop: Stop when the monitored quantity does not improve.
        patience: Epochs without improvement before that.
        seed: Seed of weights, order, excerpts and everything else.
        precision: auto is bf16 on a GPU that has it, else fp32; the loss is always float32.
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
    batch_size: int = 2
    valid_batch_size: int = 1
    accumulate_batches: int = 1
    gradient_clipping: float | None = 5.0
    num_workers: int = 2
    monitor: str = "val/si_sdr"
    metrics: tuple[MetricName, ...] = ("si_sdr",)
    save_top_k: int = 5
    half_lr: bool = True
    lr_patience: int | None = None
    early_stop: bool = True
    patience: int = 30
    seed: int = 42
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    gpus: int = -1
    nodes: int = 1
    ranks: int = 1
    checkpoint_minutes: float | None = 10.0
    listen: int = 3
    loggers: tuple[LoggerName, ...] = ("tensorboard",)
    progress_bar: bool | None = None

    def __post_init__(self) -> None:
        _positive("training", self, "epochs", "batch_size", "valid_batch_size", "save_top_k")
        _positive("training", self, "accumulate_batches", "gradient_clipping", "patience")
        _positive("training", self, "nodes", "ranks", "checkpoint_minutes")
        for name, least in (("num_workers", 0), ("gpus", -1), ("listen", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"training.{name} must be at least {least}; got {getattr(self, name)}"
                )
        known = ["val/loss", *(f"val/{name}" for name in self.metrics)]
        if self.monitor not in known:
            raise ValueError(
                f"training.monitor must be one of {', '.join(known)}; got {self.monitor!r}"
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


@dataclass(frozen=True)
class Recipe:
    """What every recipe's configuration holds; a recipe adds ``net``, its network.

    Attributes:
        exp_dir: Folder of the experiment; a run is resumed if it holds one.
    """

    exp_dir: str = "experiments/default"
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``{"loss.scale": "mel", ...}`` for ``{"loss": {"scale": "mel"}, ...}``."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def option_names(config: Any) -> list[str]:
    """Return the dotted names of all options of a configuration (an instance or its class)."""
    return [name for name, _ in _options(config() if isinstance(config, type) else config, "")]


def defaults_of(config_class: type[Recipe]) -> list[tuple[str, Any]]:
    """Return the dotted name and the default of every option of a configuration class."""
    return list(_options(config_class(), ""))


def _options(config: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        if dataclasses.is_dataclass(value):
            yield from _options(value, f"{prefix}{entry.name}.")
        else:
            yield prefix + entry.name, value


def _positive(group: str, config: object, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and value <= 0:
            raise ValueError(f"{group}.{name} must be positive; got {value}")
