"""Check of losses on a few utterances, before days of training are spent on them.

    python -m evaluation.loss_check --loss neg_sisdr --scale mel --weights_type speech_norm
    python -m evaluation.loss_check --loss si_snr --loss si_snr+0.5*lms -o check

computes each loss on a few utterances: its value and gradient over SNRs from -40 to 50 dB, from
random starts, at other levels, on silence, clipping and DC. It explains the findings and writes

    verdict.md        the findings
    probes.csv        a row per loss, utterance and condition
    loss_check.png    value, slope and gradient over SNR and level, the losses side by side
    cells_<loss>.png  for one utterance: weights, shares of the loss and gradient over time and
                      frequency, with phones where there are some; the numbers as .csv

Exit status 1 if a loss has a PROBLEM, so that a script can stop there.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from asteroid.utils.files import write_text
from evaluation.plots.drawing import save_drawings
from evaluation.work.cli import program
from evaluation.work.tables import write_table

from .cells import maps_of
from .examples import add_example_options, load_examples
from .losses import add_loss_options, losses_from
from .plot import cells_drawing, probes_drawing
from .probe import probe_loss
from .verdict import verdict

__all__ = ["main"]


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_loss_options(parser)
    add_example_options(parser, utterances=3)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("loss_check"), metavar="FOLDER", help="results"
    )


def _work(args: argparse.Namespace) -> int:
    examples = load_examples(args)
    losses = losses_from(args, examples[0].sample_rate)
    tables = {}
    for name, loss in tqdm(losses.items(), unit="loss", disable=None):
        tables[name] = probe_loss(loss, examples)
    findings = {name: verdict(table) for name, table in tables.items()}
    lines = [f"Tried on {', '.join(example.id for example in examples)}.", ""]
    for name, sentences in findings.items():
        lines += [f"## {name}", "", *(f"- {sentence}" for sentence in sentences), ""]
    text = "\n".join(lines)
    probes = pd.concat(
        [table.assign(loss=name) for name, table in tables.items()], ignore_index=True
    )
    write_table(args.output / "probes.csv", probes)
    write_text(args.output / "verdict.md", text)
    drawings = [probes_drawing(probes)]
    for name, loss in losses.items():
        file = re.sub(r"[^\w.-]+", "_", name).strip("_")
        maps = list(maps_of(loss, examples[0]))
        drawings.append(cells_drawing(f"cells_{file}", name, examples[0], maps))
    save_drawings(drawings, args.output)
    print(text)
    print(f"plots and numbers: {args.output}")
    return int("- PROBLEM" in text)


main = program("loss_check", __doc__, _add_options, _work)
