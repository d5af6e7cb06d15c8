"""Train DCUnet to enhance speech: complex U-Nets of 10, 16 and 20 layers and their real twins.

``conf.yml`` names the network, its loss and its data; every option is a flag too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from seloss.cli.recipe import train_recipe
from seloss.program import run_program
from seloss.train import Recipe


def parts_of(config: Recipe) -> dict[str, Any]:
    """Return the paper's loss as a curve of validation, beside whatever is trained."""
    import torch

    from asteroid.losses import build_loss

    loss = build_loss("weighted_sdr", reduction="none")
    return {
        "curves": {
            "wsdr": lambda y, s, n, lengths: loss(y[:, None], torch.stack([s, n], 1), lengths)
        }
    }


def main(argv: list[str]) -> None:
    """Train as the command line says; a run that was stopped is resumed."""
    train_recipe(argv, Path(__file__).with_name("conf.yml"), __doc__, parts=parts_of)


if __name__ == "__main__":
    sys.exit(run_program(main))
