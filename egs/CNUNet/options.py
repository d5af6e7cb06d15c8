"""Options of CNUNet's programs beside those of every recipe: of the embeddings and the latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from seloss.train import Recipe

__all__ = ["CnunetRecipe", "EmbeddingConfig", "LatentConfig"]


@dataclass(frozen=True)
class EmbeddingConfig:
    """Embeddings of speech (stage 1).

    Attributes:
        name: distilled_xlsr comes with a package of the index; hub is WavLM, HuBERT or wav2vec 2.0.
        path: Folder or name of a model, for hub.
        layer: all, for a weighted sum, or the number of one.
        trained_layers: Learn the weights of the sum; otherwise the layers count alike.
        source: What is embedded: noisy; or clean, an oracle, which the network says of itself.
        alignment: linear, past or published.
        folder: Where embeddings are kept.
    """

    name: Literal["distilled_xlsr", "hub"] = "distilled_xlsr"
    path: str | None = None
    layer: str = "all"
    trained_layers: bool = True
    source: Literal["noisy", "clean"] = "noisy"
    alignment: Literal["linear", "past", "published"] = "linear"
    folder: str = "data/embeddings"

    def __post_init__(self) -> None:
        if (self.name == "hub") != (self.path is not None):
            raise ValueError("embedding.path must be given for embedding.name hub, and only then")
        if self.layer != "all" and not self.layer.lstrip("-").isdigit():
            raise ValueError(f"embedding.layer must be all or a number; got {self.layer!r}")

    @property
    def options(self) -> dict[str, Any]:
        """What the embedder is built with."""
        layer: str | int = self.layer if self.layer == "all" else int(self.layer)
        return {"layer": layer} | ({} if self.path is None else {"path": self.path})


@dataclass(frozen=True)
class LatentConfig:
    """Latents (stage 2).

    Attributes:
        stage1: Folder of the trained stage 1.
        folder: Where latents are kept; null: in stage1's folder.
        weight: Of the latent loss.
        start_from_stage1: Begin with the weights of stage 1 instead of random ones.
        freeze: Parts that are not trained, such as entry,encoder; as published none is.
    """

    stage1: str | None = None
    folder: str | None = None
    weight: float = 0.05
    start_from_stage1: bool = False
    freeze: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"latent.weight must not be negative; got {self.weight}")


@dataclass(frozen=True)
class CnunetRecipe(Recipe):
    """Experiment.

    Attributes:
        stage: 1: with embeddings; 2: causal, drawn to the latents of stage 1; 0: neither.
    """

    stage: Literal[0, 1, 2] = 1
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    latent: LatentConfig = field(default_factory=LatentConfig)

    GIVEN = Recipe.GIVEN | {"embedding_dim", "oracle_latents"}

    def __post_init__(self) -> None:
        if self.stage == 2 and self.latent.stage1 is None:
            raise ValueError("stage 2 needs --stage1, the folder of a trained stage 1")
