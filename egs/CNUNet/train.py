"""Train CNUNet to enhance speech: with embeddings (stage 1), by latents (2), or without (0)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from two_stage import (
    CnunetRecipe,
    embedding_data,
    latent_data,
    plain_network,
    stage_one_network,
)

from asteroid.engine import open_experiment, parse_recipe, plain, run_program

if TYPE_CHECKING:
    from asteroid.data.dataset import SizedDataset


def parts_of(config: CnunetRecipe) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Return network, system, what adapts a data set (or None) and the system's own options."""
    from asteroid.engine.enhancement import EnhancementSystem
    from asteroid.engine.two_stage import EmbeddedSystem, LatentSystem, freeze, load_weights

    seed = config.training.seed
    if config.stage == 0:
        return plain_network(config), EnhancementSystem, None, {}
    if config.stage == 1:
        embeddings = embedding_data(config)
        first = stage_one_network(config, embeddings)

        def with_embeddings(data: SizedDataset, path: str, segment_s: float | None) -> Any:
            return embeddings.dataset(data, path, first, segment_s, seed)

        return first, EmbeddedSystem, with_embeddings, {}
    latents, second = latent_data(config), plain_network(config)
    if config.latent.start_from_stage1:
        load_weights(second, latents.network.serialize())
    if config.latent.freeze:
        freeze(second, config.latent.freeze)

    def with_latents(data: SizedDataset, path: str, segment_s: float | None) -> Any:
        return latents.dataset(data, path, second, segment_s, seed)

    return second, LatentSystem, with_latents, {"latent_weight": config.latent.weight}


def main(argv: list[str]) -> None:
    """Train as the command line says; a run that was stopped goes on where it was."""
    conf = Path(__file__).with_name("conf.yml")
    parsed = parse_recipe(CnunetRecipe, argv, prog="train.py", description=__doc__, defaults=conf)
    config, training, sample_rate = (
        parsed.config,
        parsed.config.training,
        parsed.config.data.sample_rate,
    )
    with open_experiment(parsed) as experiment:
        import torch

        from asteroid.engine import build_trainer, training_loaders
        from asteroid.losses import build_training_loss
        from auditus.metrics import get_metrics

        torch.manual_seed(training.seed)
        network, kind, adapt, options = parts_of(config)
        metrics = get_metrics(training.metrics)
        system = kind(
            network,
            build_training_loss(config.loss, sample_rate),
            optim=config.optim,
            metrics={metric.name: metric.bind(sample_rate) for metric in metrics},
            monitor=training.monitor,
            mode=training.mode({metric.name: metric.higher_is_better for metric in metrics}),
            lr_patience=training.scheduler_patience,
            seed=training.seed,
            config=plain(config),
            **options,
        )
        loaders = training_loaders(config.data, training, experiment, adapt)
        trainer, best = build_trainer(
            training, experiment, mode=system.mode, sample_rate=sample_rate
        )
        trainer.fit(system, *loaders, ckpt_path=experiment.last)
        if trainer.is_global_zero:
            experiment.save_best(network, best)


if __name__ == "__main__":
    run_program(main)
