"""Speech and noise to try a loss on: of a manifest, or of a test set with estimates and phones."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from evaluation.phonemes.alignment import phones_from_list
from evaluation.phonemes.classes import SILENCE, PhoneClasses, read_classes
from evaluation.testset.experiment import open_system
from evaluation.testset.testset import TestSet
from evaluation.work.cli import add_experiment_options, positive_int
from seloss.data.formats.manifest import read_manifest

__all__ = ["Example", "Phone", "add_example_options", "load_examples"]

DEFAULT_MANIFEST = Path("data/mini_mixtures/test.json")
Phone = tuple[float, float, str, str]
"""Start and end in seconds, label, class (empty if it is not known)."""


@dataclass(frozen=True)
class Example:
    """One utterance.

    Attributes:
        id: its name.
        mixture: `(samples,)`, float64, as all signals.
        speech: its speech.
        noise: its noise.
        estimate: what a system made of it; None if there is none.
        sample_rate: Hz.
        phones: in order; empty if they are not known.
    """

    id: str
    mixture: Tensor
    speech: Tensor
    noise: Tensor
    estimate: Tensor | None
    sample_rate: int
    phones: tuple[Phone, ...] = ()

    @property
    def targets(self) -> Tensor:
        """Speech and noise `(1, 2, samples)`."""
        return torch.stack([self.speech, self.noise])[None]


def add_example_options(parser: argparse.ArgumentParser, *, utterances: int) -> None:
    """Add the options that say which utterances to use."""
    group = parser.add_argument_group("what the loss is tried on")
    group.add_argument(
        "--input_json",
        type=Path,
        metavar="FILE",
        help=f"manifest with speech and noise (default: {DEFAULT_MANIFEST})",
    )
    group.add_argument(
        "--experiment_tag", metavar="TAG", help="an experiment's estimates instead of mixtures"
    )
    group.add_argument("--testset", metavar="NAME", help="of the experiment, if it has several")
    group.add_argument(
        "--utterances",
        type=positive_int,
        default=utterances,
        metavar="N",
        help="how many, from the first on (default: %(default)s)",
    )
    group.add_argument("--ids", nargs="+", metavar="ID", help="these instead")
    add_experiment_options(parser)


def load_examples(args: argparse.Namespace) -> list[Example]:
    """Return the utterances that the options ask for.

    Raises:
        FileNotFoundError: no manifest, experiment or audio.
        ValueError: an unknown id, both sources at once, or utterances of different rates.
    """
    if args.experiment_tag and args.input_json:
        raise ValueError("give --experiment_tag or --input_json, not both")
    if args.experiment_tag:
        every = _of_testset(open_system(args.experiment_tag, args.testset, args.root), args.ids)
    else:
        every = _of_manifest(args.input_json or DEFAULT_MANIFEST, args.ids)
    found = list(every) if args.ids else list(islice(every, args.utterances))
    missing = sorted(set(args.ids or ()) - {one.id for one in found})
    if missing:
        raise ValueError(f"no utterance {missing[0]!r}")
    rates = sorted({one.sample_rate for one in found})
    if len(rates) != 1:
        raise ValueError(f"expected utterances of one sampling rate; got {rates or 'none'}")
    return found


def _of_manifest(path: Path, ids: list[str] | None) -> Iterator[Example]:
    if not path.is_file():
        raise FileNotFoundError(
            f"no manifest {path}: give --input_json, or make the mini corpus by "
            "scripts/data/prepare_mini.py and scripts/data/make_mixtures.py"
        )
    classes = read_classes()
    for item in read_manifest(path):
        if ids is not None and item.id not in ids:
            continue
        if not item.has_sources:
            raise ValueError(f"{path}: {item.id!r} has no clean speech: a loss needs it")
        mixture, rate = _read(item.mixture[0])
        speech, _ = _read(item.speech[0])
        try:
            phones = _classified(item.extra.get("phones") or [], classes)
        except ValueError as error:
            raise ValueError(f"{path}: {item.id!r}: {error}") from None
        yield _example(item.id, mixture, speech, None, rate, phones)


def _classified(given: object, classes: PhoneClasses) -> tuple[Phone, ...]:
    """Return the phones of a manifest, `[[start, end, label], ...]`, with their classes."""
    phones = phones_from_list(given)
    alphabet = classes.alphabet_of(phone.label for phone in phones)
    kinds = (classes.classify(phone.label, alphabet) for phone in phones)
    return tuple(
        (phone.start, phone.end, phone.label, "" if kind == SILENCE else kind)
        for phone, kind in zip(phones, kinds, strict=True)
    )


def _of_testset(testset: TestSet, ids: list[str] | None) -> Iterator[Example]:
    names = dict(testset.samples()[["Sample_ID", "id"]].to_numpy())
    phones = _phones(testset)
    for sample, paths in testset.signals().items():
        if ids is not None and names[sample] not in ids:
            continue
        signals = {}
        for what in ("mixture", "speech", "estimate"):
            path = paths.get(what)
            if path is None or not path.is_file():
                raise FileNotFoundError(f"no {what} of {names[sample]}: expected {path}")
            signals[what], rate = _read(path)
        estimate = signals["estimate"]
        known = phones.get(names[sample], ())
        yield _example(names[sample], signals["mixture"], signals["speech"], estimate, rate, known)


def _example(
    name: str,
    mixture: Tensor,
    speech: Tensor,
    estimate: Tensor | None,
    rate: int,
    phones: tuple[Phone, ...],
) -> Example:
    length = min(len(one) for one in (mixture, speech, estimate) if one is not None)
    mixture, speech = mixture[:length], speech[:length]
    cut = None if estimate is None else estimate[:length]
    return Example(name, mixture, speech, mixture - speech, cut, rate, phones)


def _phones(testset: TestSet) -> dict[str, tuple[Phone, ...]]:
    path = testset.metrics / "phoneme_segments.csv"
    if not path.is_file():
        return {}
    text = {"id": str, "phone": str, "class": str}
    table = pd.read_csv(path, dtype=text, keep_default_na=False)
    columns = ["start_s", "end_s", "phone", "class"]
    return {
        str(name): tuple(part[columns].itertuples(index=False, name=None))
        for name, part in table.groupby("id")
    }


def _read(path: Path) -> tuple[Tensor, int]:
    import soundfile

    signal, rate = soundfile.read(path, dtype="float64", always_2d=True)
    if not np.isfinite(signal).all():
        raise ValueError(f"{path} holds samples that are not finite")
    return torch.from_numpy(signal[:, 0].copy()), rate
