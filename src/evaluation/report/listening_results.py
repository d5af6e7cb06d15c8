"""Results of a blind listening test: ratings or correct answers, with intervals and tests.

    python -m evaluation.listening_results test_key.json answers_*.json -o results

MUSHRA: `ratings.csv` (a row per participant, utterance and signal) and `results.csv`: mean rating,
95 % interval over participants, and each system's difference to the best, tested in pairs (Wilcoxon
signed ranks on participants' means, Holm's correction). Participants who rate the hidden reference
below 90 in more than 15 % of the trials are left out and named (ITU-R BS.1534-3, 4.1.2); with
`--all` they count.

ABX: `answers.csv` and `results.csv`: for each pair of systems the correct answers (found), of how
many, and the probability of at least as many by guessing (binomial, one-sided, Holm's correction).
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from evaluation.compare.statistics import (
    ClusterSums,
    adjust,
    bootstrap_means,
    interval,
    paired_test,
)
from evaluation.plots.drawing import figure_style, save_figure
from evaluation.work.cli import program
from evaluation.work.tables import write_table

from .blind import HIDDEN_REFERENCE

__all__ = ["abx_results", "main", "mushra_results", "read_answers", "screened"]

logger = logging.getLogger(__name__)

# ITU-R BS.1534-3, 4.1.2: post-screening of assessors.
LEAST_REFERENCE = 90
MOST_MISSES = 0.15
DRAWS = 10_000


def read_answers(key: Mapping[str, Any], paths: Sequence[Path]) -> pd.DataFrame:
    """Return a row per answer: participant, utterance and rating or choice, by name of the system.

    Raises:
        ValueError: a file is not an answer to this test, or a participant is there twice.
    """
    rows: list[dict[str, Any]] = []
    seen: dict[str, Path] = {}
    for path in paths:
        answers = _read_json(path)
        lacking = [name for name in ("test", "participant", "answers") if name not in answers]
        if lacking:
            raise ValueError(f"{path} holds no answers: it lacks {lacking[0]!r}")
        if answers["test"] != key["test"]:
            raise ValueError(f"{path} answers test {answers['test']!r}, not {key['test']!r}")
        participant = str(answers["participant"])
        if participant in seen:
            raise ValueError(f"{path} and {seen[participant]} are both of {participant!r}")
        seen[participant] = path
        for answer in answers["answers"]:
            trial = key["trials"][answer["trial"]]
            head = {"participant": participant, "utterance": trial["utterance"]}
            names = trial["stimuli"]
            try:
                if key["kind"] == "mushra":
                    ratings = answer["ratings"].items()
                    rows += [head | {"signal": names[code], "rating": x} for code, x in ratings]
                else:
                    pair = " / ".join(sorted(names.values()))
                    choice = {"x": names[answer["x"]], "answer": names[answer["answer"]]}
                    rows.append(head | {"pair": pair} | choice)
            except KeyError as error:
                raise ValueError(f"{path}: {error} is not a signal of this test") from None
    return pd.DataFrame(rows)


def screened(ratings: pd.DataFrame) -> list[str]:
    """Return the participants who rated the hidden reference too low too often."""
    reference = ratings[ratings["signal"] == HIDDEN_REFERENCE]
    missed = (reference["rating"] < LEAST_REFERENCE).groupby(reference["participant"]).mean()
    return [str(name) for name in missed.index[missed > MOST_MISSES]]


def mushra_results(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return a row per signal: mean, interval, difference to the best system and its p-value.

    The participant is the unit: their trials are averaged first.
    """
    table = ratings.pivot_table("rating", "participant", "signal", aggfunc="mean")
    order = table.mean().sort_values(ascending=False).index
    systems = [name for name in order if name != HIDDEN_REFERENCE]
    best = systems[0]
    present = table[order].notna()
    values, weights = table[order].where(present, 0.0), present.astype(float)
    sums = {
        name: ClusterSums(values[name].to_numpy()[None], weights[name].to_numpy()) for name in order
    }
    drawn = dict(zip(sums, bootstrap_means(list(sums.values()), DRAWS), strict=True))
    rows = []
    for name in order:
        low, high = interval(drawn[name], sums[name].mean, None)
        row = {"signal": name, "mean": sums[name].mean, "ci_low": low, "ci_high": high}
        row |= {"participants": int(table[name].notna().sum())}
        if name in systems and name != best:
            gaps = (table[name] - table[best]).dropna().to_numpy(dtype=float)
            row |= {"difference_to_best": gaps.mean(), "p": paired_test(gaps)}
        rows.append(row)
    return _adjusted(pd.DataFrame(rows))


def abx_results(answers: pd.DataFrame) -> pd.DataFrame:
    """Return a row per pair: correct answers, of how many, share and interval, p of guessing.

    The interval is Wilson's, the test one-sided: fewer hits than by guessing tell nothing.
    """
    rows = []
    for pair, part in answers.groupby("pair", sort=True):
        hits, count = int((part["x"] == part["answer"]).sum()), len(part)
        test = stats.binomtest(hits, count, 0.5, alternative="greater")
        low, high = stats.binomtest(hits, count).proportion_ci(method="wilson")
        row = {"pair": pair, "found": hits, "of": count, "share": hits / count}
        rows.append(row | {"ci_low": low, "ci_high": high, "p": test.pvalue})
    return _adjusted(pd.DataFrame(rows))


def _adjusted(table: pd.DataFrame) -> pd.DataFrame:
    """Add the p-values corrected by Holm's method."""
    if "p" in table and table["p"].notna().any():
        table["p_adjusted"] = adjust(table["p"].to_numpy(dtype=float), "holm")
    return table


def _figure(results: pd.DataFrame, kind: str) -> Figure:
    label, value = ("signal", "mean") if kind == "mushra" else ("pair", "share")
    figure = Figure(figsize=(6, 1.2 + 0.35 * len(results)), layout="constrained")
    axes = figure.subplots()
    around = [results[value] - results["ci_low"], results["ci_high"] - results[value]]
    # A mean may lie outside its percentiles by rounding: matplotlib refuses negative lengths.
    axes.errorbar(results[value], results[label], xerr=np.maximum(around, 0), fmt="o", capsize=3)
    axes.invert_yaxis()
    if kind == "mushra":
        axes.set(xlim=(0, 100), xlabel="rating (0 bad to 100 excellent), 95 % interval")
    else:
        axes.axvline(0.5, color="gray", linestyle=":", label="guessing")
        axes.set(xlim=(0, 1), xlabel="share of correct answers, 95 % interval")
        axes.legend()
    return figure


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object")
    return content


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("key", type=Path, help="the key that evaluation.report --blind wrote")
    add("answers", type=Path, nargs="+", help="the participants' files")
    add("-o", "--output", type=Path, default=Path("listening_results"), metavar="FOLDER")
    add("--all", action="store_true", help="keep participants who miss the hidden reference")


def _work(args: argparse.Namespace) -> int:
    key = _read_json(args.key)
    if key.get("kind") not in ("mushra", "abx"):
        raise ValueError(f"{args.key} is not the key of a listening test")
    answers = read_answers(key, args.answers)
    if answers.empty:
        raise ValueError("no answer in any of the files")
    if key["kind"] == "abx":
        name, results = "answers.csv", abx_results(answers)
    else:
        out = [] if args.all else screened(answers)
        if out:
            logger.warning("left out, missed the hidden reference: %s", ", ".join(out))
        kept = answers[~answers["participant"].isin(out)]
        if kept.empty:
            raise ValueError("every participant missed the hidden reference: see --all")
        name, results = "ratings.csv", mushra_results(kept)
    write_table(args.output / name, answers, digits=None)
    with figure_style():
        save_figure(_figure(results, key["kind"]), args.output / "results.png", results)
    print(results.to_string(index=False, float_format="%.3g"))
    return 0


main = program("listening_results", __doc__, _add_options, _work)
