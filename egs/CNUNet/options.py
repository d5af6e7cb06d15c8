"""The options of CNUNet's programs: of the network, the embeddings and the latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from seloss.train import DataConfig
from seloss.train.options.recipe import LossConfig, OptimConfig, Recipe, TrainingConfig

__all__ = ["CnunetConfig", "CnunetRecipe", "EmbeddingConfig", "LatentConfig"]

METRICS = ("si_sdr", "pesq_wb", "stoi")


@dataclass(frozen=True)
class CnunetConfig:
    """Network.

    Attributes:
        channels: Complex channels between the stages (published out_ch 64 is 32 here).
        inner_channels: Complex channels inside the nested U-Nets (published mid_ch 32 is 16 here).
        depths: Steps of the nested U-Nets of the encoder's stages; the decoder's mirror them.
        branch: both (CNUNet-TB), mask (CNUNet-SB) or spectrum.
        norm: Causal normalisation: statistics so far, or of each frame.
        win_length: Window of the STFT, samples.
        hop_length: Samples from one frame to the next.
        n_fft: Points of the STFT.
    """

    channels: int = 32
    inner_channels: int = 16
    depths: tuple[int, ...] = (6, 5, 4, 4, 4, 3)
    branch: Literal["both", "mask", "spectrum"] = "both"
    norm: Literal["cumulative", "frame"] = "cumulative"
    win_length: int = 512
    hop_length: int = 256
    n_fft: int = 512


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


def _data() -> DataConfig:
    return DataConfig(segment=3.0, max_mics=1, shuffle_mics=False)


def _training() -> TrainingConfig:
    return TrainingConfig(
        epochs=80, batch_size=1, monitor="val/loss", metrics=METRICS, early_stop=False
    )


@dataclass(frozen=True)
class CnunetRecipe(Recipe):
    """Experiment.

    Attributes:
        exp_dir: Folder of the experiment; a run is resumed if it holds one.
        stage: 1: with embeddings; 2: causal, drawn to the latents of stage 1; 0: neither.
        net: Network.
        embedding: Embeddings of speech, stage 1.
        latent: Latents, stage 2.
    """

    exp_dir: str = "experiments/CNUNet"
    stage: Literal[0, 1, 2] = 1
    data: DataConfig = field(default_factory=_data)
    loss: LossConfig = field(default_factory=lambda: LossConfig(name="compressed_spectrum"))
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(optimizer="adamw", lr=7.5e-4, weight_decay=0.01)
    )
    training: TrainingConfig = field(default_factory=_training)
    net: CnunetConfig = field(default_factory=CnunetConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    latent: LatentConfig = field(default_factory=LatentConfig)

    def __post_init__(self) -> None:
        if self.stage == 2 and self.latent.stage1 is None:
            raise ValueError("stage 2 needs --stage1, the folder of a trained stage 1")
