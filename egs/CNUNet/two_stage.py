"""What training and storing share: the options, and the parts built from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from asteroid.engine import DataConfig
from asteroid.engine.config import LossConfig, OptimConfig, Recipe, TrainingConfig

if TYPE_CHECKING:
    from asteroid.engine.two_stage_data import EmbeddingData, LatentData
    from asteroid.models import CNUNet, EmbeddedCNUNet

__all__ = ["CnunetRecipe", "embedding_data", "latent_data", "plain_network", "stage_one_network"]

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
        source: What is embedded: noisy, or clean for oracle experiments, whose exp_dir must say so.
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
        oracle = self.stage == 1 and self.embedding.source == "clean"
        if oracle and "oracle" not in Path(self.exp_dir).name:
            raise ValueError(
                "embeddings of the clean speech give oracle scores: exp_dir must have 'oracle' in "
                f"its name; got {self.exp_dir!r}"
            )
        if self.stage == 2 and self.latent.stage1 is None:
            raise ValueError("stage 2 needs --stage1, the folder of a trained stage 1")


def plain_network(config: CnunetRecipe) -> CNUNet:
    """Return the network of stages 0 and 2."""
    from asteroid.models import CNUNet

    return CNUNet(**asdict(config.net), sample_rate=config.data.sample_rate)


def embedding_data(config: CnunetRecipe) -> EmbeddingData:
    """Return the source of embeddings; only one process computes what is missing."""
    from tqdm import tqdm

    from asteroid.embeddings import build_embedder
    from asteroid.engine.launch import is_several, process_rank
    from asteroid.engine.two_stage_data import EmbeddingData

    told = config.embedding
    fill = not is_several() and process_rank() == 0
    embedder = build_embedder(told.name, **told.options)
    return EmbeddingData(embedder, told.folder, source=told.source, fill=fill, progress=tqdm)


def stage_one_network(config: CnunetRecipe, embeddings: EmbeddingData) -> EmbeddedCNUNet:
    """Return a network of stage 1 that fits the embeddings."""
    from asteroid.models import EmbeddedCNUNet

    told = config.embedding
    return EmbeddedCNUNet(
        embeddings.embedder.n_layers,
        embeddings.embedder.size,
        embedder=told.name,
        embedder_options=told.options,
        alignment=told.alignment,
        oracle=told.source == "clean",
        trained_layers=told.trained_layers,
        sample_rate=config.data.sample_rate,
        **asdict(config.net),
    )


def latent_data(config: CnunetRecipe) -> LatentData:
    """Return the source of latents: the best network of stage 1 and its own embeddings.

    Raises:
        FileNotFoundError: Stage 1 has no best network.
        ValueError: The folder holds another network, or was trained with other embeddings.
    """
    import torch
    import yaml
    from tqdm import tqdm

    from asteroid.engine.two_stage import check_embedding_size
    from asteroid.engine.two_stage_data import LatentData
    from asteroid.models import BaseModel, EmbeddedCNUNet

    folder = Path(str(config.latent.stage1))
    if not (folder / "best_model.pth").is_file():
        raise FileNotFoundError(f"{folder} holds no best_model.pth: train stage 1 there first")
    network = BaseModel.from_pretrained(str(folder / "best_model.pth"))
    if not isinstance(network, EmbeddedCNUNet):
        raise ValueError(f"{folder} holds a {type(network).__name__}, not a network of stage 1")
    conf = yaml.safe_load((folder / "conf.yml").read_text(encoding="utf-8"))
    then = EmbeddingConfig(**conf["embedding"])
    embeddings = embedding_data(_with_embedding(config, then))
    check_embedding_size(network, embeddings.embedder.size)
    network = network.to("cuda" if torch.cuda.is_available() else "cpu")
    root = config.latent.folder or folder / "latents"
    fill = embeddings.fill
    return LatentData(network, embeddings, root, fill=fill, progress=tqdm)


def _with_embedding(config: CnunetRecipe, embedding: EmbeddingConfig) -> CnunetRecipe:
    from dataclasses import replace

    return replace(config, embedding=embedding)
