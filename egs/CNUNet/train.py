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

from seloss.cli.recipe import train_recipe
from seloss.program import run_program

if TYPE_CHECKING:
    from seloss.data.formats.batch import SizedDataset
    from seloss.train.fit.two_stage_data import EmbeddingData, LatentData


def parts_of(config: CnunetRecipe) -> dict[str, Any]:
    """Return the network and, for a stage, its system and what adds stored features to the data."""
    from seloss.train.fit.initial_weights import load_initial_weights
    from seloss.train.system.two_stage import EmbeddedSystem, LatentSystem, freeze

    source: EmbeddingData | LatentData
    network: Any  # of either kind; the data of each stage takes its own
    system: Any
    if config.stage == 0:
        return {"network": plain_network(config)}
    if config.stage == 1:
        source, system = embedding_data(config), EmbeddedSystem
        network = stage_one_network(config, source)
    else:
        source, network = latent_data(config), plain_network(config)
        system = partial(LatentSystem, latent_weight=config.latent.weight)
        if config.latent.start_from_stage1:
            # Stage 1 has the fusion of embeddings besides.
            load_initial_weights(network, source.network.network.serialize(), exact=False)
        if config.latent.freeze:
            freeze(network, config.latent.freeze)

    def adapt(data: SizedDataset, path: str, segment_s: float | None) -> Any:
        return source.dataset(data, path, network, segment_s, config.training.seed)

    return {"network": network, "system": system, "adapt": adapt}


def main(argv: list[str]) -> None:
    """Train as the command line says; a run that was stopped is resumed."""
    train_recipe(argv, Path(__file__).with_name("conf.yml"), __doc__, CnunetRecipe, parts_of)


if __name__ == "__main__":
    sys.exit(run_program(main))
