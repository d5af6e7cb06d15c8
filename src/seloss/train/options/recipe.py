"""The options of a training run: frozen dataclasses whose defaults are the papers' values.

A recipe composes them with the configuration of its network, a `Recipe`. Only the standard library
is imported, so that a wrong option is refused at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .loss import LossConfig
from .training import TrainingConfig, check_positive

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
        "optim.kernel",
        "training.compile",
        "training.recompute",
        "training.profile",
        "training.epochs",
        "training.max_hours",
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
"""Options that may change between two starts of one run: they do not change what is learnt, some of
them but for the rounding of its last digits."""


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
        bucket_steps: Make batches of mixtures of similar length, for training on whole utterances:
            so many steps' mixtures, drawn at random, are sorted by length and dealt out to these
            steps, which come in random order; 0: mixtures come as they are drawn.
        gain_db: With remix, change the level of each item, and every part of the spectra of its
            speech and its noise, by up to so many dB, up or down.
    """

    train_json: str = "data/mini_mixtures/train.json"
    valid_json: str = "data/mini_mixtures/valid.json"
    sample_rate: int = 16000
    segment: float | None = 4.0
    max_mics: int | None = 4
    shuffle_mics: bool = True
    bucket_steps: int = 0
    remix: bool = False
    gain_db: float = 0.0

    def __post_init__(self) -> None:
        check_positive("data", self, "sample_rate", "segment", "max_mics")
        if self.bucket_steps < 0:
            raise ValueError(f"data.bucket_steps must be 0 or more; got {self.bucket_steps}")
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
        schedule: plateau: the rate stays, or is halved as training.half_lr says; cosine: it falls
            over all steps, or over training.max_hours if they end before.
        warmup_steps: Steps over which the rate rises to ``lr`` at the start.
        final_lr: Where the cosine ends, as a share of ``lr``.
        kernel: How a step is computed: fused, by one pass over all weights; foreach, by a pass over
            all of them for each operation; plain, weight by weight; auto: the fastest that the
            optimiser has on the device.
    """

    optimizer: Literal["adam", "adamw", "radam", "rmsprop", "sgd"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 1e-5
    schedule: Literal["plateau", "cosine"] = "plateau"
    warmup_steps: int = 0
    final_lr: float = 0.02
    kernel: Literal["auto", "fused", "foreach", "plain"] = "auto"

    def __post_init__(self) -> None:
        check_positive("optim", self, "lr")
        if self.warmup_steps < 0:
            raise ValueError(f"optim.warmup_steps must be 0 or more; got {self.warmup_steps}")
        if not 0 <= self.final_lr <= 1:
            raise ValueError(f"optim.final_lr must be from 0 to 1; got {self.final_lr}")
        if self.kernel == "fused" and self.optimizer in ("radam", "rmsprop"):
            raise ValueError(
                f"optim.kernel fused: {self.optimizer} has none; choose auto, foreach or plain, or "
                "optim.optimizer adam, adamw or sgd"
            )


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
