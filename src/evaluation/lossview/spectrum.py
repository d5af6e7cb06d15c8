"""Energy of losses' gradients over frequency and phones.

    python -m evaluation.loss_spectrum --loss xp1 --loss neg_sisdr --scale mel -o pushes
    python -m evaluation.loss_spectrum --loss si_snr --experiment_tag XP1 --utterances 50

computes the gradient of each loss at the unprocessed mixtures (the start of training) or at an
experiment's estimates (its end) and sums its energy in one-third-octave bands, and in phone classes
where the manifest has `phones`, or evaluation.ph_eval was run on the experiment. All utterances
have equal weight. It writes

    loss_spectrum.csv        share of the gradient's energy per loss, class and band
    gradient_spectra.png     the losses side by side, with the speech and the residual for scale
    gradient_classes.png     share of each phone class, over its share of the time
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn
from tqdm import tqdm

from evaluation.plots.drawing import save_drawings
from evaluation.spectra.bands import ALL, Array, band_energies, class_energies, third_octaves
from evaluation.work.cli import program
from evaluation.work.tables import write_table

from .cells import gradient_of
from .examples import Example, add_example_options, load_examples
from .losses import add_loss_options, losses_from
from .plot import class_drawing, spectrum_drawing

__all__ = ["gradient_shares", "main"]

SPEECH, RESIDUAL = "the speech itself", "what is left to remove"


def gradient_shares(losses: Mapping[str, nn.Module], examples: Sequence[Example]) -> pd.DataFrame:
    """Return the share of each gradient's energy by class and band, averaged over utterances.

    Columns: ``loss`` (also the speech and the residual, for scale), ``class``, ``centre_hz``,
    ``share`` (of all bands and times), ``time`` (the class's share of the time), ``utterances``.
    """
    centres, _ = third_octaves(examples[0].sample_rate)
    sums: dict[tuple[str, str], Array] = {}
    times: dict[str, float] = {}
    for example in tqdm(examples, unit="utterance", disable=None):
        signals = {SPEECH: example.speech, RESIDUAL: example.start - example.speech}
        signals |= {name: gradient_of(loss, example) for name, loss in losses.items()}
        for name, signal in signals.items():
            (bands,), frames, (energy,) = band_energies(signal[None], example.sample_rate)
            shares = bands / max(energy, 1e-300)  # a gradient of zeros has no share anywhere
            for of_class, share in class_energies(shares, frames, example.phones).items():
                key = (name, of_class)
                sums[key] = sums.get(key, np.zeros(len(centres))) + share / len(examples)
        for of_class, time in _times(example).items():
            times[of_class] = times.get(of_class, 0.0) + time / len(examples)
    return pd.concat(
        [
            pd.DataFrame(
                {"loss": name, "class": of_class, "centre_hz": centres, "share": shares}
            ).assign(time=times[of_class], utterances=len(examples))
            for (name, of_class), shares in sums.items()
        ],
        ignore_index=True,
    )


def _times(example: Example) -> dict[str, float]:
    """Return each class's share of the time."""
    duration = len(example.mixture) / example.sample_rate
    shares = {ALL: 1.0}
    for start, end, _, of_class in example.phones:
        if of_class:
            shares[of_class] = shares.get(of_class, 0.0) + (end - start) / duration
    return shares


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_loss_options(parser)
    add_example_options(parser, utterances=8)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("loss_spectrum"), metavar="FOLDER", help="results"
    )


def _work(args: argparse.Namespace) -> int:
    examples = load_examples(args)
    table = gradient_shares(losses_from(args, examples[0].sample_rate), examples)
    write_table(args.output / "loss_spectrum.csv", table)
    drawings = [spectrum_drawing(table)]
    if set(table["class"]) != {ALL}:
        drawings.append(class_drawing(table))
    save_drawings(drawings, args.output)
    names = ", ".join(f"{drawing.name}.png" for drawing in drawings)
    print(f"{args.output}: loss_spectrum.csv, {names}")
    return 0


main = program("loss_spectrum", __doc__, _add_options, _work)
