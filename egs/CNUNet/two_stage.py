"""Networks, embeddings and latents, built from the options, for training and for storing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from options import CnunetRecipe, EmbeddingConfig

if TYPE_CHECKING:
    from asteroid.models import CNUNet
    from seloss.data.load.feature_dataset import Share
    from seloss.embeddings.embedded import EmbeddedCNUNet
    from seloss.train.fit.two_stage_data import EmbeddingData, LatentData

__all__ = [
    "CnunetRecipe",
    "embedding_data",
    "latent_data",
    "like_stage1",
    "plain_network",
    "stage_one_network",
]


def plain_network(config: CnunetRecipe) -> CNUNet:
    """Return the network of stages 0 and 2, which knows if an oracle is to teach it."""
    taught = config.stage == 2 and like_stage1(config).embedding.source == "clean"
    network: CNUNet = config.build_network(oracle_latents=taught)
    return network


def embedding_data(config: CnunetRecipe, share: Share = (0, 1)) -> EmbeddingData:
    """Return the source of embeddings, which computes those that are missing.

    One of several processes that train together only reads; of a share of the work as well, what
    is missing elsewhere is not its own.

    Args:
        config: Says which embeddings.
        share: Of the utterances, ``(i, n)``.
    """
    import torch
    from tqdm import tqdm

    from seloss.embeddings import build_embedder
    from seloss.program import has_other_processes, process_rank
    from seloss.train.fit.two_stage_data import EmbeddingData

    options = config.embedding
    fill = not has_other_processes() and process_rank() == 0
    progress = partial(tqdm, unit="utterance", disable=None)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    embedder = build_embedder(options.name, device=device, **options.options)
    return EmbeddingData(
        embedder, options.folder, source=options.source, fill=fill, share=share, progress=progress
    )


def stage_one_network(config: CnunetRecipe, embeddings: EmbeddingData) -> EmbeddedCNUNet:
    """Return a network of stage 1 that fits the embeddings."""
    from seloss.embeddings.embedded import EmbeddedCNUNet

    options = config.embedding
    return EmbeddedCNUNet(
        embeddings.embedder.n_layers,
        embeddings.embedder.size,
        embedder=options.name,
        embedder_options=options.options,
        alignment=options.alignment,
        oracle=options.source == "clean",
        trained_layers=options.trained_layers,
        sample_rate=config.data.sample_rate,
        **config.net,
    )


def like_stage1(config: CnunetRecipe) -> CnunetRecipe:
    """Return the options with the embeddings that stage 1 was trained with.

    Raises:
        FileNotFoundError: There is no stage 1, or it has not been trained to its end.
        ValueError: The folder holds something else.
    """
    import yaml

    folder = Path(str(config.latent.stage1))
    lacking = [name for name in ("conf.yml", "best_model.pth") if not (folder / name).is_file()]
    if lacking:
        raise FileNotFoundError(f"{folder} holds no {lacking[0]}: train stage 1 there first")
    conf = yaml.safe_load((folder / "conf.yml").read_text(encoding="utf-8"))
    if not isinstance(conf, dict) or "embedding" not in conf or conf.get("stage") != 1:
        stage = conf.get("stage") if isinstance(conf, dict) else None
        raise ValueError(f"{folder} holds no stage 1 of CNUNet: its conf.yml has stage {stage}")
    return replace(config, embedding=EmbeddingConfig(**conf["embedding"]))


def stage_one(config: CnunetRecipe) -> EmbeddedCNUNet:
    """Return the trained network of stage 1.

    Raises:
        ValueError: The folder holds another network.
    """
    from asteroid.models.base_models import BaseModel
    from seloss.embeddings.embedded import EmbeddedCNUNet

    folder = Path(str(config.latent.stage1))
    network = BaseModel.from_pretrained(str(folder / "best_model.pth"))
    if not isinstance(network, EmbeddedCNUNet):
        raise ValueError(f"{folder} holds a {type(network).__name__}, not a network of stage 1")
    return network


def latent_data(config: CnunetRecipe, share: Share = (0, 1)) -> LatentData:
    """Return the source of latents: the best network of stage 1 and its own embeddings.

    Args:
        config: Names the folder of stage 1.
        share: Of the utterances, ``(i, n)``; all their embeddings must be there already.

    Raises:
        FileNotFoundError: Stage 1 has no best network.
        ValueError: The folder holds another network, or the embedder is no longer the one that
            stage 1 was trained with.
    """
    import torch

    from seloss.train.fit.two_stage_data import LatentData
    from seloss.train.system.two_stage import check_embedding_size

    then = like_stage1(config)
    network = stage_one(config)
    embeddings = embedding_data(then)
    check_embedding_size(network, embeddings.embedder.size)
    network = network.to("cuda" if torch.cuda.is_available() else "cpu")
    root = config.latent.folder or Path(str(config.latent.stage1)) / "latents"
    fill = embeddings.fill
    embeddings.fill = fill and share == (0, 1)
    return LatentData(
        network, embeddings, root, fill=fill, share=share, progress=embeddings.progress
    )
