r"""A picture of the latents of several networks by t-SNE, coloured by speaker and by gender.

    python egs/CNUNet/tsne.py --data data/mini_mixtures/test.json -o figure.png \
        experiments/CNUNet_plain experiments/CNUNet_stage1 experiments/CNUNet_stage2

Each utterance is one point: mean and deviation over time of every latent channel and row,
standardised. Silhouette scores of speakers and genders, computed on these features and not on the
picture, stand beside it and in a .csv of the same name: 1 is apart, 0 is mixed. Gender is what the
manifest says (``gender``); where it says nothing, no gender is shown.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from tqdm import tqdm

from asteroid.data import open_dataset
from asteroid.engine import run_program
from asteroid.models.base_models import BaseModel
from asteroid.utils.files import atomic_path, write_text

SEED = 0


def latents_of(folder: Path, data: Any) -> np.ndarray:
    """Return ``(utterances, features)`` of the best network in an experiment's folder."""
    network: Any = BaseModel.from_pretrained(str(folder / "best_model.pth")).eval()
    rows = []
    for index in tqdm(range(len(data)), desc=folder.name):
        with torch.inference_mode():
            latent = network.analyse(data[index].mixture[:1])[1][0]
        pooled = [latent.mean(-1), latent.std(-1, correction=0)]
        rows.append(torch.cat([each.flatten() for each in pooled]).numpy())
    features = np.stack(rows)
    standardised: np.ndarray = (features - features.mean(0)) / (features.std(0) + 1e-8)
    return standardised


def silhouette(features: np.ndarray, labels: list[str]) -> float:
    """Return the mean silhouette; NaN where there are not 2 groups, or as many as points."""
    from sklearn.metrics import silhouette_score

    if not 2 <= len(set(labels)) < len(labels):
        return float("nan")
    return float(silhouette_score(features, labels))


def embed(features: np.ndarray) -> np.ndarray:
    """Return the picture's coordinates ``(utterances, 2)``."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, max(2.0, (len(features) - 1) / 3))
    points: np.ndarray = TSNE(perplexity=perplexity, random_state=SEED).fit_transform(features)
    return points


def facts_of(data: Any) -> dict[str, list[str]]:
    """Return speaker and, if every utterance has one, gender."""
    facts = {"speaker": [str(one.speaker) for one in data.items]}
    extra = [getattr(one, "extra", {}).get("gender") for one in getattr(data, "mixtures", ())]
    if extra and all(extra):
        facts["gender"] = [str(one) for one in extra]
    return facts


def draw(path: Path, points: dict[str, np.ndarray], facts: dict[str, list[str]],
         scores: list[list[Any]]) -> None:  # fmt: skip
    """Draw a panel for each network and fact."""
    figure, axes = plt.subplots(
        len(facts), len(points), figsize=(4 * len(points), 4 * len(facts)), squeeze=False
    )
    told = {(tag, fact): score for tag, fact, score in scores}
    for row, (fact, labels) in enumerate(facts.items()):
        for column, (tag, place) in enumerate(points.items()):
            axis = axes[row][column]
            for label in sorted(set(labels)):
                here = np.array(labels) == label
                axis.scatter(*place[here].T, s=14, label=label)
            axis.set(title=f"{tag}\n{fact}: silhouette {told[tag, fact]:.3f}", xticks=[], yticks=[])
        if len(set(labels)) <= 12:
            axes[row][-1].legend(title=fact, fontsize=7, bbox_to_anchor=(1, 1), loc="upper left")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, bbox_inches="tight")
    plt.close(figure)


def main(argv: list[str]) -> None:
    """Write the picture and the scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiments", nargs="+", type=Path, help="folders with best_model.pth")
    parser.add_argument("--data", required=True, help="manifest or array of the utterances")
    parser.add_argument("-o", "--output", required=True, type=Path, help="picture, .png or .pdf")
    parser.add_argument("--sample_rate", type=int, default=16000, help="Hz (16000)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse_args(argv)
    missing = [str(e) for e in options.experiments if not (e / "best_model.pth").is_file()]
    if missing:
        raise FileNotFoundError(f"no best_model.pth in {', '.join(missing)}: train them first")
    data = open_dataset(options.data, sample_rate=options.sample_rate, max_mics=1)
    if len(data) < 5:
        raise ValueError(f"a picture needs at least 5 utterances; {options.data} has {len(data)}")
    facts = facts_of(data)
    features = {folder.name: latents_of(folder, data) for folder in options.experiments}
    scores: list[list[Any]] = [
        [tag, fact, silhouette(values, labels)]
        for tag, values in features.items()
        for fact, labels in facts.items()
    ]
    table = io.StringIO()
    csv.writer(table).writerows([["experiment", "label", "silhouette"], *scores])
    write_text(options.output.with_suffix(".csv"), table.getvalue())
    draw(options.output, {tag: embed(v) for tag, v in features.items()}, facts, scores)


if __name__ == "__main__":
    run_program(main)
