"""Train DCUnet to enhance speech: complex U-Nets of 10, 16 and 20 layers and their real twins."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from seloss.program import run_program
from seloss.train import open_experiment, parse_recipe
from seloss.train.options.recipe import DataConfig, LossConfig, OptimConfig, Recipe, TrainingConfig


@dataclass(frozen=True)
class DCUnetConfig:
    """Network.

    Attributes:
        architecture: Depth; the Large one has more channels.
        mask: Bound of the complex mask: tanh (BDT, polar), sigmoid (BDSS, on either part), or
            unbounded (UBD); null: tanh, for the form RMRn magnitude, its only one.
        form: cRMCn: complex network; cRMRn: real network of equal size, from and to the parts of
            complex numbers; RMRn: real network from magnitudes to a gain.
        norm: Batch norm of complex maps: of either part, or whitening both together.
        width: Factor on all channel counts.
        n_fft: Points of the STFT, and length of its Hann window.
        hop_length: Samples from one frame to the next.
    """

    architecture: Literal["DCUnet-10", "DCUnet-16", "DCUnet-20", "Large-DCUnet-20"] = "DCUnet-20"
    mask: Literal["tanh", "sigmoid", "unbounded", "magnitude"] | None = None
    form: Literal["cRMCn", "cRMRn", "RMRn"] = "cRMCn"
    norm: Literal["parts", "whitening"] = "parts"
    width: float = 1.0
    n_fft: int = 1024
    hop_length: int = 256

    def __post_init__(self) -> None:
        if self.mask is not None and (self.mask == "magnitude") != (self.form == "RMRn"):
            raise ValueError(
                f"net.mask magnitude and net.form RMRn go together; got {self.mask}, {self.form}"
            )


@dataclass(frozen=True)
class DCUnetRecipe(Recipe):
    """Experiment.

    Attributes:
        exp_dir: Folder of the experiment; a run is resumed if it holds one.
        net: Network.
    """

    exp_dir: str = "experiments/DCUNet"
    data: DataConfig = field(
        default_factory=lambda: DataConfig(
            train_json="data/voicebank/train.json",
            valid_json="data/voicebank/valid.json",
            segment=3.072,
            max_mics=1,
            shuffle_mics=False,
        )
    )
    net: DCUnetConfig = field(default_factory=DCUnetConfig)
    loss: LossConfig = field(default_factory=lambda: LossConfig(name="weighted_sdr"))
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(weight_decay=0.0))
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=10,
            batch_size=10,
            gradient_clipping=None,
            monitor="val/loss",
            metrics=("pesq_wb", "si_sdr"),
            lr_patience=5,
            early_stop=False,
        )
    )


def main(argv: list[str]) -> None:
    """Train as the command line says; a run that was stopped goes on where it was."""
    conf = Path(__file__).with_name("conf.yml")
    parsed = parse_recipe(DCUnetRecipe, argv, prog="train.py", description=__doc__, defaults=conf)
    config = parsed.config
    with open_experiment(parsed) as experiment:
        import torch

        from asteroid.losses import build_loss
        from asteroid.models import DCUnet
        from auditus.metrics import get_metrics
        from seloss.train.fit.training import fit

        torch.manual_seed(config.training.seed)
        network = DCUnet(**asdict(config.net), sample_rate=config.data.sample_rate)
        wsdr = build_loss("weighted_sdr", reduction="none")
        fit(
            experiment,
            config,
            network,
            get_metrics(config.training.metrics),
            curves={
                "wsdr": lambda y, s, n, lengths: wsdr(y[:, None], torch.stack([s, n], 1), lengths)
            },
        )


if __name__ == "__main__":
    sys.exit(run_program(main))
