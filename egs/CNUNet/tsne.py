r"""A picture of the latents of several networks by t-SNE, coloured by speaker and by gender.

    python egs/CNUNet/tsne.py --data data/mini_mixtures/test.json -o figure.png \
        experiments/CNUNet_plain experiments/CNUNet_stage1 experiments/CNUNet_stage2

Each utterance is one point, or each of its pieces with --piece: mean and deviation over time of
every latent channel and row, standardised. Silhouette scores of speakers and genders, computed on
these features and not on the picture, stand beside it and in a .csv of the same name: 1 is apart, 0
is mixed, below 0 other groups are nearer than one's own. The .points.csv has the picture's points.

Gender is what the data say (``gender``) or a list of talkers (--talkers: a .csv with speaker and
gender, VCTK's speaker-info.txt, LibriSpeech's SPEAKERS.TXT). Talkers of whom neither says it are
grey and counted, and left out of gender's score.
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from latent_picture import draw_latents, measure, place
from talkers import genders_of
from torch import Tensor
from tqdm import tqdm

import seloss.embeddings.embedded  # noqa: F401  (registers its network)
from asteroid.models.base_models import BaseModel
from evaluation.plots.drawing import figure_style, save_figure
from seloss.data import open_dataset
from seloss.data.draw import generator
from seloss.program import run_program

SEED = 0
LEAST = 5  # points


def load(folder: Path) -> Any:
    """Return the best network of an experiment.

    Raises:
        ValueError: It has no latents.
    """
    network: Any = BaseModel.from_pretrained(str(folder / "best_model.pth")).eval()
    if not hasattr(network, "analyse"):
        raise ValueError(f"{folder} holds a {type(network).__name__}, which has no latents")
    return network


def latent_of(network: Any, item: Any) -> Tensor:
    """Return the latent ``(channels, rows, frames)`` of an utterance.

    A network that was trained on embeddings of the clean speech gets them here too.
    """
    given = []
    if getattr(network, "oracle", False):
        given = [network.embed(item.sources[:1])]
    with torch.inference_mode():
        latent: Tensor = network.analyse(item.mixture[:1], *given)[1][0]
    return latent


def pool(latent: Tensor, n_pieces: int) -> np.ndarray:
    """Return the features ``(pieces, features)`` of an utterance's pieces of equal length."""
    bounds = np.linspace(0, latent.shape[-1], n_pieces + 1).round().astype(int)
    rows = []
    for start, end in pairwise(bounds):
        part = latent[..., start:end]
        rows.append(torch.cat([part.mean(-1).flatten(), part.std(-1, correction=0).flatten()]))
    return torch.stack(rows).numpy()


def choose(speakers: list[str], most: int | None) -> list[int]:
    """Return the indices of at most ``most`` points of each speaker, drawn but always alike."""
    chosen: list[int] = []
    for speaker in dict.fromkeys(speakers):
        mine = [index for index, name in enumerate(speakers) if name == speaker]
        order = generator(SEED, 0, speaker, "picture").permutation(len(mine))
        chosen += sorted(mine[index] for index in order[:most])
    return sorted(chosen)


def points_of(data: list[Any], piece_s: float | None) -> pd.DataFrame:
    """Return one row for each piece: which of how many of which utterance of which data set."""
    rows = []
    for number, dataset in enumerate(data):
        extra = [getattr(item, "extra", {}) for item in getattr(dataset, "mixtures", ())]
        for index, facts in enumerate(dataset.items):
            seconds = dataset[index].mixture.shape[-1] / dataset.sample_rate if piece_s else 0.0
            pieces = max(1, int(seconds / piece_s)) if piece_s else 1
            gender = extra[index].get("gender") if extra else None
            shared = {"id": facts.id, "speaker": facts.speaker, "gender": gender}
            shared |= {"set": number, "index": index, "pieces": pieces}
            rows += [shared | {"piece": piece} for piece in range(pieces)]
    return pd.DataFrame(rows)


def features_of(folder: Path, data: list[Any], points: pd.DataFrame) -> np.ndarray:
    """Return ``(points, features)`` of an experiment's network, standardised."""
    network = load(folder)
    by_row: dict[int, np.ndarray] = {}
    groups = points.groupby(["set", "index", "pieces"])
    bar = tqdm(groups, desc=folder.name, unit="utterance", disable=None)
    for (number, index, pieces), rows in bar:
        pooled = pool(latent_of(network, data[number][index]), pieces)
        by_row |= dict(zip(rows.index, pooled[rows["piece"]], strict=True))
    features = np.stack([by_row[row] for row in points.index])
    standardised: np.ndarray = (features - features.mean(0)) / (features.std(0) + 1e-8)
    return standardised


def tag_of(folder: Path) -> str:
    """Return the experiment's name, with what must be said of its network."""
    notice = getattr(load(folder), "notice", "")
    return f"{folder.name}\n({notice})" if notice else folder.name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tsne.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("experiments", nargs="+", type=Path, help="folders with best_model.pth")
    add("--data", required=True, nargs="+", metavar="FILE", help="manifests or arrays")
    add("-o", "--output", required=True, type=Path, help="picture, .png, .pdf or .svg")
    add("--talkers", type=Path, metavar="FILE", help="their genders, where the data do not say")
    add("--piece", type=float, metavar="S", help="cut utterances into pieces of S seconds or more")
    add("--per_speaker", type=int, metavar="N", help="at most N points of each speaker (all)")
    add("--sample_rate", type=int, default=16000, help="Hz (16000)")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _checked(argv: list[str]) -> argparse.Namespace:
    options = _parser().parse_args(argv)
    missing = [str(e) for e in options.experiments if not (e / "best_model.pth").is_file()]
    if missing:
        raise FileNotFoundError(f"no best_model.pth in {', '.join(missing)}: train them first")
    for name in ("piece", "per_speaker"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise ValueError(f"--{name} must be above 0; got {value}")
    return options


def main(argv: list[str]) -> None:
    """Write the picture, the scores and the points."""
    options = _checked(argv)
    rate = {"sample_rate": options.sample_rate, "max_mics": 1}
    data = [open_dataset(path, **rate) for path in options.data]
    points = points_of(data, options.piece)
    chosen = choose([str(label) for label in points["speaker"]], options.per_speaker)
    if len(chosen) < LEAST:
        where = ", ".join(options.data)
        raise ValueError(f"a picture needs at least {LEAST} points; {where} have {len(chosen)}")
    points = points.iloc[chosen].reset_index(drop=True)
    points["gender"] = genders_of(points, options.talkers)
    drawn, scores = [], []
    for folder in options.experiments:
        features = features_of(folder, data, points)
        tag = tag_of(folder)
        scores.append(measure(features, points).assign(experiment=tag.replace("\n", " ")))
        x, y = place(features, SEED).T
        drawn.append(points.assign(experiment=tag, x=x, y=y))
    table = pd.concat(scores)[["experiment", "label", "silhouette", "points", "groups", "unknown"]]
    with figure_style():
        figure = draw_latents(drawn, scores)
        save_figure(figure, options.output, table)
    where = options.output.with_suffix(".points.csv")
    columns = ["experiment", "id", "piece", "speaker", "gender", "x", "y"]
    pd.concat(drawn)[columns].to_csv(where, index=False, float_format="%.5g")
    print(table.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    sys.exit(run_program(main))
