"""Training of a recipe's network: system, loaders, trainer, and the best network at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn
from tqdm.contrib.logging import logging_redirect_tqdm

from asteroid.losses import build_training_loss
from seloss.data.load.workers import worker_failure
from seloss.train.options.parser import ConfigError
from seloss.train.options.recipe import Recipe, plain
from seloss.train.run.experiment import Experiment
from seloss.train.system.enhancement import EnhancementSystem, Metric
from seloss.train.system.remix import augmentation

from .initial_weights import load_initial_weights
from .loaders import training_loaders
from .trainer import build_trainer

if TYPE_CHECKING:
    from seloss.data.formats.batch import SizedDataset

__all__ = ["NamedMetric", "fit"]


class NamedMetric(Protocol):
    """A validation metric that knows its name and direction."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def higher_is_better(self) -> bool:
        """Its direction."""

    def bind(self, sample_rate: int) -> Metric:
        """Return it as a function of signals alone."""


def fit(
    experiment: Experiment,
    config: Recipe,
    network: nn.Module,
    metrics: Sequence[NamedMetric],
    *,
    curves: Mapping[str, Metric] | None = None,
    system: Callable[..., EnhancementSystem] = EnhancementSystem,
    adapt: Callable[[SizedDataset, str, float | None], Any] | None = None,
) -> None:
    """Train ``network`` as ``config`` says, from the experiment's newest checkpoint if it has one.

    Args:
        experiment: Its folder gets checkpoints, logs and, at the end, ``best_model.pth``.
        config: The recipe's configuration.
        network: The network; its best weights are in it afterwards.
        metrics: Those that ``training.metrics`` names.
        curves: Other validation values to log; the best epoch cannot be chosen by them.
        system: The Lightning system, or one with options of its own filled in.
        adapt: See `training_loaders`.

    Raises:
        ConfigError: Batches are to be remixed, though features of their mixtures are stored.
        ValueError, OSError: As `build_training_loss`, `training_loaders` and `build_trainer` say.
    """
    training, sample_rate = config.training, config.data.sample_rate
    if adapt is not None and config.data.remix:
        raise ConfigError(
            "data.remix makes new mixtures, of which nothing is stored: use it without stored "
            "features only"
        )
    # A resumed run has weights of its own.
    if training.init and not experiment.started:
        load_initial_weights(network, training.init)
    learner = system(
        network,
        build_training_loss(config.loss, sample_rate),
        optim=config.optim,
        metrics={metric.name: metric.bind(sample_rate) for metric in metrics} | dict(curves or {}),
        monitor=training.monitor,
        mode=training.mode({metric.name: metric.higher_is_better for metric in metrics}),
        lr_patience=None if config.optim.schedule == "cosine" else training.scheduler_patience,
        seed=training.seed,
        augment=augmentation(config.data),
        config=plain(config),
    )
    loaders = training_loaders(config.data, training, experiment, adapt)
    trainer, best = build_trainer(
        training,
        experiment,
        mode=learner.mode,
        sample_rate=sample_rate,
        optim=config.optim,
    )
    try:
        with logging_redirect_tqdm():  # or lines of the log would break the progress bar
            trainer.fit(learner, *loaders, ckpt_path=experiment.last)
    except (ValueError, OSError, RuntimeError) as error:
        # PyTorch puts the worker's whole traceback into the message.
        if (message := worker_failure(error)) is None:
            raise
        raise RuntimeError(message) from error
    if trainer.is_global_zero:
        best.save_network(experiment, network)
