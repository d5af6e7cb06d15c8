"""Training as a recipe's ``conf.yml`` says: its options, then network, loss, metrics, data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from asteroid.utils.optional import needed_for
from seloss.train.options.parser import parse_recipe
from seloss.train.options.recipe import Recipe
from seloss.train.run.experiment import open_experiment, refuse_missing

if TYPE_CHECKING:
    from auditus.metric import Metric

__all__ = ["check_parts", "train_recipe", "training_metrics"]

R = TypeVar("R", bound=Recipe)


def train_recipe(
    argv: Sequence[str],
    defaults: Path,
    description: str | None,
    recipe: type[R] = Recipe,  # type: ignore[assignment]
    parts: Callable[[R], dict[str, Any]] | None = None,
) -> None:
    """Train as the command line says; a run that was stopped is resumed.

    Args:
        argv: Command line.
        defaults: The recipe's ``conf.yml``.
        description: For ``--help``.
        recipe: `Recipe`, or one with options of its own.
        parts: Returns the arguments of :func:`seloss.train.fit.training.fit` that are the recipe's
            own, such as ``network``; by default the network is built from its options.

    Raises:
        ConfigError: A wrong option, or a folder that cannot be used.
    """

    def check(config: R) -> None:
        if "--print_config" not in argv:
            refuse_missing(config.data)  # before torch is imported
        check_parts(config)

    parsed = parse_recipe(recipe, argv, defaults=defaults, description=description, check=check)
    config = parsed.config
    with open_experiment(parsed) as experiment:
        import torch

        with needed_for("training"):
            from seloss.train.fit.training import fit

        torch.manual_seed(config.training.seed)
        own = parts(config) if parts else {}
        network = own.pop("network", None) or config.build_network()
        metrics = training_metrics(config.training.metrics, config.data.sample_rate)
        fit(experiment, config, network, metrics, **own)


def check_parts(config: Recipe) -> None:
    """Refuse a network or a loss that cannot be built, and metrics that training cannot compute.

    Raises:
        ValueError: The message lists the valid names.
        OSError: The file of a loss of one's own cannot be read.
    """
    from asteroid.dsp.bands import SCALES
    from asteroid.losses import build_training_loss
    from asteroid.losses.weightings import WEIGHTINGS, canonical_name

    # A misspelt name is refused even where the loss requested has no use for it.
    SCALES.get(config.loss.scale)
    WEIGHTINGS.get(canonical_name(config.loss.weights_type))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of, it warns of again where it is trained
        build_training_loss(config.loss, config.data.sample_rate)
        if config.network:
            config.build_network()
    training_metrics(config.training.metrics, config.data.sample_rate)


def training_metrics(names: Sequence[str], sample_rate: int) -> tuple[Metric, ...]:
    """Return metrics for validation: of one microphone, at this sampling rate.

    Raises:
        ValueError: A name is not known, or training cannot compute it.
    """
    from auditus.metrics import get_metrics

    metrics = get_metrics(names)
    for metric in metrics:
        if metric.channels != 1:
            raise ValueError(
                f"training.metrics: {metric.name} is for two ears; training has one microphone"
            )
        if metric.sample_rates and sample_rate not in metric.sample_rates:
            rates = ", ".join(map(str, metric.sample_rates))
            raise ValueError(
                f"training.metrics: {metric.name} is for {rates} Hz; got {sample_rate}"
            )
    return metrics
