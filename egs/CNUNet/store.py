"""Store the latents that a trained stage 1 gives for the training and validation data.

Takes the options of train.py: --stage1 names the experiment, --train_json and --valid_json the
data. What is stored already, from the same network and audio, is kept.
"""

from __future__ import annotations

from pathlib import Path

from two_stage import CnunetRecipe, latent_data

from asteroid.engine import parse_recipe, run_program


def main(argv: list[str]) -> None:
    """Store as the command line says; a run that was stopped goes on where it was."""
    conf = Path(__file__).with_name("conf.yml")
    parsed = parse_recipe(
        CnunetRecipe, ["--stage", "2", *argv], prog="store.py", description=__doc__, defaults=conf
    )
    from asteroid.data import open_dataset

    latents = latent_data(parsed.config)
    data = parsed.config.data
    for path in (data.train_json, data.valid_json):
        options = {"sample_rate": data.sample_rate, "max_mics": data.max_mics}
        latents.store(open_dataset(path, **options), path)


if __name__ == "__main__":
    run_program(main)
