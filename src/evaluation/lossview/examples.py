"""Utterances to try a loss on: of a manifest, or of a test set with estimates and phones."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from evaluation.phonemes.alignment import phones_from_list
from evaluation.phonemes.classes import ALPHABETS, SILENCE, read_classes
from evaluation.phonemes.segments import ClassedPhone, read_segments
from evaluation.testset.experiment import open_system
from evaluation.testset.options import add_experiment_options
from evaluation.testset.signals import SignalFiles
from evaluation.testset.testset import TestSet
from evaluation.work.cli import positive_int
from seloss.data.formats.manifest import read_manifest

__all__ = ["Example", "add_example_options", "load_examples"]

DEFAULT_MANIFEST = Path("data/mini_mixtures/test.json")


@dataclass(frozen=True)
class Example:
    """One utterance: signals ``(samples,)`` in float64, the rate in Hz, phones if there are some.

    The estimate is None where no system enhanced it.
    """

    id: str
    mixture: Tensor
    speech: Tensor
    noise: Tensor
    estimate: Tensor | None
    sample_rate: int
    phones: tuple[ClassedPhone, ...] = ()

    @property
    def start(self) -> Tensor:
        """Where a gradient is taken: the estimate, or else the mixture."""
        return self.mixture if self.estimate is None else self.estimate

    @property
    def targets(self) -> Tensor:
        """Speech and noise ``(1, 2, samples)``."""
        return torch.stack([self.speech, self.noise])[None]


def add_example_options(parser: argparse.ArgumentParser, *, utterances: int) -> None:
    """Add the options that say which utterances to use."""
    group = parser.add_argument_group("utterances")
    group.add_argument(
        "--input_json",
        type=Path,
        metavar="FILE",
        help=f"manifest with speech and noise (default: {DEFAULT_MANIFEST})",
    )
    group.add_argument(
        "--experiment_tag", metavar="TAG", help="an experiment's estimates instead of mixtures"
    )
    group.add_argument(
        "--utterances",
        type=positive_int,
        default=utterances,
        metavar="N",
        help="their number, from the first on (default: %(default)s)",
    )
    group.add_argument("--ids", nargs="+", metavar="ID", help="these utterances instead")
    group.add_argument(
        "--alphabet",
        choices=ALPHABETS,
        default=ALPHABETS[0],
        help="of the manifest's phones (default: %(default)s)",
    )
    add_experiment_options(parser, testset=True)


def load_examples(args: argparse.Namespace) -> list[Example]:
    """Return the utterances that the options name.

    Raises:
        FileNotFoundError: No manifest, experiment or audio.
        ValueError: An unknown id, both sources at once, utterances of different rates, or files of
            one utterance that differ in length.
    """
    if args.experiment_tag and args.input_json:
        raise ValueError("give --experiment_tag or --input_json, not both")
    if args.experiment_tag:
        every = _of_testset(open_system(args.experiment_tag, args.testset, args.root), args.ids)
    else:
        every = _of_manifest(args.input_json or DEFAULT_MANIFEST, args.ids)
    examples = list(every) if args.ids else list(islice(every, args.utterances))
    missing = sorted(set(args.ids or ()) - {example.id for example in examples})
    if missing:
        raise ValueError(f"no utterance {missing[0]!r}")
    rates = sorted({example.sample_rate for example in examples})
    if len(rates) != 1:
        raise ValueError(f"expected utterances of one sampling rate; got {rates or 'none'}")
    return examples if args.experiment_tag else _classified(examples, args.alphabet)


def _of_manifest(path: Path, ids: list[str] | None) -> Iterator[Example]:
    """Yield the mixtures of a manifest; their phones have no class yet."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no manifest {path}: give --input_json, or make the mini corpus by "
            "scripts/data/prepare_mini.py and scripts/data/make_mixtures.py"
        )
    for item in read_manifest(path):
        if ids is not None and item.id not in ids:
            continue
        if not item.has_sources:
            raise ValueError(f"{path}: {item.id!r} has no clean speech: a loss needs it")
        try:
            phones = phones_from_list(item.extra.get("phones") or [])
        except ValueError as error:
            raise ValueError(f"{path}: {item.id!r}: {error}") from None
        bare = tuple(ClassedPhone(phone.start, phone.end, phone.label, "") for phone in phones)
        yield _example(item.id, {"mixture": item.mixture[0], "speech": item.speech[0]}, bare)


def _classified(examples: list[Example], alphabet: str) -> list[Example]:
    """Give phones their classes; the alphabet follows from the labels of all utterances."""
    classes = read_classes()
    if alphabet == "auto":
        labels = [phone.label for example in examples for phone in example.phones]
        alphabet = classes.alphabet_of(labels)

    def classed(phone: ClassedPhone) -> ClassedPhone:
        name = classes.classify(phone.label, alphabet)
        return phone._replace(phone_class="" if name == SILENCE else name)

    return [replace(example, phones=tuple(map(classed, example.phones))) for example in examples]


def _of_testset(testset: TestSet, ids: list[str] | None) -> Iterator[Example]:
    names = dict(testset.samples()[["Sample_ID", "id"]].to_numpy())
    phones = read_segments(testset)
    for sample, paths in testset.signals().items():
        if ids is not None and names[sample] not in ids:
            continue
        files = {}
        for role in ("mixture", "speech", "estimate"):
            path = paths.get(role)
            if path is None or not path.is_file():
                raise FileNotFoundError(f"no {role} of {names[sample]}: expected {path}")
            files[role] = path
        yield _example(names[sample], files, phones.get(names[sample], ()))


def _example(name: str, files: Mapping[str, Path], phones: tuple[ClassedPhone, ...]) -> Example:
    """Read an utterance; its noise is the mixture less the speech."""
    try:
        rows, rate = SignalFiles(files).read(*files)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    signals = {role: row[0].double() for role, row in rows.items()}
    for role, signal in signals.items():
        if not torch.isfinite(signal).all():
            raise ValueError(f"{files[role]} holds samples that are not finite")
    mixture, speech = signals["mixture"], signals["speech"]
    return Example(name, mixture, speech, mixture - speech, signals.get("estimate"), rate, phones)
