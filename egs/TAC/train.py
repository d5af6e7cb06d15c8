"""Train FaSNet-TAC to enhance speech, on multichannel mixtures listed in two manifests.

``conf.yml`` names the network, its loss and its data; every option is a flag too.
"""

from __future__ import annotations

import sys
from pathlib import Path

from seloss.cli.recipe import train_recipe
from seloss.program import run_program


def main(argv: list[str]) -> None:
    """Train as the command line says; a run that was stopped is resumed."""
    train_recipe(argv, Path(__file__).with_name("conf.yml"), __doc__)


if __name__ == "__main__":
    sys.exit(run_program(main))
