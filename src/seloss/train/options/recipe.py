"""Options of a training run: frozen dataclasses whose defaults are the papers' values."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .loss import LossConfig
from .option import ConfigError, Option, dataclass_options
from .signature import class_options, load_class
from .training import TrainingConfig, check_positive

if TYPE_CHECKING:
    from asteroid.models.base_models import BaseModel

__all__ = [
    "FREE_KEYS",
    "PUBLISHED_FLAGS",
    "DataConfig",
    "LossConfig",
    "OptimConfig",
    "Recipe",
    "TrainingConfig",
    "default_values",
    "flatten",
    "options_of",
    "plain",
]

PUBLISHED_FLAGS = {
    "dev_json": "data.valid_json",
    "samplerate": "data.sample_rate",
    "variant": "loss.variant",
}
"""Flags of the published recipes that are not the last part of an option's name here (those, such
as ``--scale`` for ``loss.scale``, are accepted without being listed)."""

FREE_KEYS = frozenset(
    {
        "exp_dir",
        "plugin",
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
            always uses whole utterances.
        max_mics: Most microphones of a mixture; null: all.
        shuffle_mics: Reorder the microphones of training mixtures in each epoch, so that the
            reference microphone changes too.
        remix: Exchange the noises of a training batch among its items, each at its SNR; for
            one microphone.
        bucket_steps: Make batches of mixtures of similar length, for training on whole utterances:
            so many steps' mixtures, drawn at random, are sorted by length and divided among these
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
    """Experiment.

    Attributes:
        exp_dir: Folder of the experiment; a run is resumed if it holds one.
        plugin: Python files that are imported first: a weighting, loss, metric or network that they
            register is usable by its name.
        network: The network's class: package.module:Class, FILE.py:CLASS, or a name that Asteroid
            knows.
        net: What the network is built with; its options are the arguments of its class.
    """

    exp_dir: str = "experiments/default"
    plugin: tuple[str, ...] = ()
    network: str = ""
    data: DataConfig = field(default_factory=DataConfig)
    net: dict[str, Any] = field(default_factory=dict)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    GIVEN: ClassVar[frozenset[str]] = frozenset({"sample_rate"})
    """Arguments of the network that the recipe gives itself."""

    def build_network(self, **given: Any) -> BaseModel:
        """Build the network from its options and what the recipe gives it.

        Raises:
            ConfigError: There is no such class, or it is no network of Asteroid's.
            ValueError, TypeError: Its options are wrong.
        """
        from asteroid.models.base_models import BaseModel

        network = load_class(self.network)
        if not issubclass(network, BaseModel):
            raise ConfigError(f"network {self.network} must be a subclass of asteroid's BaseModel")
        if "sample_rate" in inspect.signature(network).parameters:
            given = {"sample_rate": self.data.sample_rate, **given}
        return network(**self.net, **given)


def plain(config: Any) -> dict[str, Any]:
    """Return a configuration as nested dictionaries of what YAML knows."""
    as_yaml: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return as_yaml


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``{"loss.scale": "mel", ...}`` for ``{"loss": {"scale": "mel"}, ...}``."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def options_of(config_class: type[Recipe], network: str) -> Iterator[Option]:
    """Yield all options of a recipe with a network."""
    for option in dataclass_options(config_class):
        if option.name != "net":
            yield option
    for option in class_options(network, "net.") if network else ():
        if option.name.removeprefix("net.") not in config_class.GIVEN:
            yield option


def default_values(config_class: type[Recipe], network: str) -> dict[str, Any]:
    """Return the default of every option that has one, as `flatten` and `plain` give them."""
    defaults = {option.name: option.default for option in options_of(config_class, network)}
    readable = {name: value for name, value in defaults.items() if value is not dataclasses.MISSING}
    return json.loads(json.dumps({**readable, "network": network}))  # type: ignore[no-any-return]
