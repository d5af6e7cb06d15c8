"""Train DCCRN to enhance speech, by one loss or a sum of several, on arrays of noisy and clean."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from seloss.program import run_program
from seloss.train import DataConfig, open_experiment, parse_recipe
from seloss.train.options.recipe import LossConfig, OptimConfig, Recipe, TrainingConfig


@dataclass(frozen=True)
class DccrnConfig:
    """Network.

    Attributes:
        masking: E: the mask's magnitude bounded by tanh, its phase added; C: complex product; R:
            real and imaginary part each by itself.
        channels: Real channels that leave the encoders.
        recurrent: Kind of the LSTM between encoders and decoders.
        hidden: Its units, of real and imaginary part together.
        n_layers: Its layers.
        norm: Batch norm: of real and imaginary parts each by itself, or whitening.
        causal: Decoders do not look ahead.
        n_fft: Points of the STFT.
        window_length: Samples of its window.
        hop_length: Samples from one frame to the next.
    """

    masking: Literal["E", "C", "R"] = "E"
    channels: tuple[int, ...] = (32, 64, 128, 256, 256, 256)
    recurrent: Literal["complex", "real"] = "complex"
    hidden: int = 256
    n_layers: int = 2
    norm: Literal["parts", "whitening"] = "parts"
    causal: bool = False
    n_fft: int = 512
    window_length: int = 400
    hop_length: int = 100


def _data() -> DataConfig:
    files = {"train_json": "data/dccrn/train.npy", "valid_json": "data/dccrn/valid.npy"}
    return DataConfig(**files, segment=3.0, max_mics=1, shuffle_mics=False)


def _training() -> TrainingConfig:
    return TrainingConfig(
        epochs=100,
        batch_size=15,
        valid_batch_size=15,
        gradient_clipping=None,
        monitor="val/loss",
        metrics=("si_sdr", "pesq_wb", "stoi"),
        half_lr=False,
        early_stop=False,
    )


@dataclass(frozen=True)
class DccrnRecipe(Recipe):
    """Experiment.

    Attributes:
        exp_dir: Folder of the experiment; a run is resumed if it holds one.
        net: Network.
    """

    exp_dir: str = "experiments/DCCRN"
    data: DataConfig = field(default_factory=_data)
    loss: LossConfig = field(default_factory=lambda: LossConfig(name="si_snr"))
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=5e-4, weight_decay=0.0))
    training: TrainingConfig = field(default_factory=_training)
    net: DccrnConfig = field(default_factory=DccrnConfig)


def main(argv: list[str]) -> None:
    """Train as the command line says; a run that was stopped goes on where it was."""
    conf = Path(__file__).with_name("conf.yml")
    parsed = parse_recipe(DccrnRecipe, argv, prog="train.py", description=__doc__, defaults=conf)
    config = parsed.config
    with open_experiment(parsed) as experiment:
        import torch

        from asteroid.models import DCCRN
        from auditus.metrics import get_metrics
        from seloss.train.fit.training import fit

        torch.manual_seed(config.training.seed)
        network = DCCRN(**asdict(config.net), sample_rate=config.data.sample_rate)
        fit(experiment, config, network, get_metrics(config.training.metrics))


if __name__ == "__main__":
    sys.exit(run_program(main))
