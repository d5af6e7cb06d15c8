"""Train FaSNet-TAC to enhance speech, on multichannel mixtures listed in two manifests."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from seloss.program import run_program
from seloss.train import open_experiment, parse_recipe
from seloss.train.options.recipe import Recipe


@dataclass(frozen=True)
class FasNetConfig:
    """Network.

    Attributes:
        enc_dim: Size of the encoder's output.
        chunk_size: Length of the dual-path chunks, frames.
        hop_size: Hop of the chunks, frames.
        feature_dim: Size of the features the recurrent blocks see.
        hidden_dim: Hidden units of the recurrent layers, each way.
        n_layers: Number of dual-path blocks, each with a transform-average-concatenate module.
        n_src: Number of outputs: speech, and a second one that no loss looks at.
        window_ms: Length of the encoder's window, ms.
        context_ms: Context on each side of a window, ms.
        tac_hidden_dim: Width of the transform-average-concatenate modules.
    """

    enc_dim: int = 64
    chunk_size: int = 50
    hop_size: int = 25
    feature_dim: int = 64
    hidden_dim: int = 128
    n_layers: int = 4
    n_src: int = 2
    window_ms: int = 4
    context_ms: int = 16
    tac_hidden_dim: int = 384


@dataclass(frozen=True)
class TacRecipe(Recipe):
    """Experiment.

    Attributes:
        exp_dir: Folder of the experiment; a run is resumed if it holds one.
        net: Network.
    """

    exp_dir: str = "experiments/TAC"
    net: FasNetConfig = field(default_factory=FasNetConfig)


def main(argv: list[str]) -> None:
    """Train as the command line says; a run that was stopped goes on where it was."""
    conf = Path(__file__).with_name("conf.yml")
    parsed = parse_recipe(TacRecipe, argv, prog="train.py", description=__doc__, defaults=conf)
    config = parsed.config
    with open_experiment(parsed) as experiment:
        import torch

        from asteroid.models import FasNetTAC
        from auditus.metrics import get_metrics
        from seloss.train.fit.training import fit

        torch.manual_seed(config.training.seed)
        network = FasNetTAC(**asdict(config.net), sample_rate=config.data.sample_rate)
        fit(experiment, config, network, get_metrics(config.training.metrics))


if __name__ == "__main__":
    sys.exit(run_program(main))
