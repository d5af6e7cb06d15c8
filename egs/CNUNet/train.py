"""Train CNUNet to enhance speech: with embeddings (stage 1), by latents (2), or without (0)."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from two_stage import (
    CnunetRecipe,
    embedding_data,
    latent_data,
    plain_network,
    stage_one_network,
)

from seloss.program import run_program
from seloss.train import open_experiment, parse_recipe

if TYPE_CHECKING:
    from seloss.data.formats.batch import SizedDataset


def parts_of(config: CnunetRecipe) -> tuple[Any, Any, Any]:
    """Return network, system and what adapts a data set (or None)."""
    from seloss.train.system.enhancement import EnhancementSystem
    from seloss.train.system.two_stage import EmbeddedSystem, LatentSystem, freeze, load_weights

    seed = config.training.seed
    if config.stage == 0:
        return plain_network(config), EnhancementSystem, None
    if config.stage == 1:
        embeddings = embedding_data(config)
        first = stage_one_network(config, embeddings)

        def with_embeddings(data: SizedDataset, path: str, segment_s: float | None) -> Any:
            return embeddings.dataset(data, path, first, segment_s, seed)

        return first, EmbeddedSystem, with_embeddings
    latents, second = latent_data(config), plain_network(config)
    if config.latent.start_from_stage1:
        load_weights(second, latents.network.serialize())
    if config.latent.freeze:
        freeze(second, config.latent.freeze)

    def with_latents(data: SizedDataset, path: str, segment_s: float | None) -> Any:
        return latents.dataset(data, path, second, segment_s, seed)

    return second, partial(LatentSystem, latent_weight=config.latent.weight), with_latents


def main(argv: list[str]) -> None:
    """Train as the command line says; a run that was stopped goes on where it was."""
    conf = Path(__file__).with_name("conf.yml")
    parsed = parse_recipe(CnunetRecipe, argv, prog="train.py", description=__doc__, defaults=conf)
    config = parsed.config
    with open_experiment(parsed) as experiment:
        import torch

        from auditus.metrics import get_metrics
        from seloss.train.fit.training import fit

        torch.manual_seed(config.training.seed)
        network, system, adapt = parts_of(config)
        metrics = get_metrics(config.training.metrics)
        fit(experiment, config, network, metrics, system=system, adapt=adapt)


if __name__ == "__main__":
    sys.exit(run_program(main))
