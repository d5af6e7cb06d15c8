"""Enhance a test set with an experiment's best network.

    python -m evaluation.infer --experiment_tag XP1 --manifest data/test.json

(a manifest, a test array .npy, or anything else that `seloss.data.open_dataset` opens) writes
<root>/<tag>/<testset>/sample_<i>/{mixture,speech,noise,estimate}.wav at the reference microphone,
and samples.csv, which says which sample is which of the data's ids. Recordings are enhanced whole,
however long. A sample keeps its number as long as its id stays in the data. The WAV files hold
32-bit floats: a network trained on a scale-invariant loss may answer at any level, and nothing is
clipped. A sample is either whole or absent; a second run does what is missing, or everything again
when the network has changed.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
from pathlib import Path

import soundfile
from torch import Tensor, nn
from tqdm import tqdm

from evaluation.testset.experiment import SIGNALS, TestSet, find_experiment
from evaluation.testset.options import add_experiment_options
from evaluation.testset.testset import write_samples
from evaluation.work.cli import program
from evaluation.work.ledger import Ledger, content_digest, digest
from evaluation.work.shards import Shard, add_shard_option
from seloss.data import open_dataset
from seloss.data.formats.batch import SizedDataset

from .network import enhance_mixture, load_network, pick_device

__all__ = ["main", "write_testset"]

logger = logging.getLogger(__name__)

LEDGER = ".enhanced.jsonl"


def write_testset(
    testset: TestSet,
    data: SizedDataset,
    network: nn.Module,
    *,
    fingerprint: str,
    match_level: bool = False,
    progress: bool | None = None,
    shard: Shard | None = None,
) -> list[str]:
    """Enhance every mixture that is not there yet.

    Args:
        testset: where to.
        data: what to enhance, as `open_dataset` returns it.
        network: see `enhance_mixture`.
        fingerprint: of the network; samples of another one are made again.
        match_level: see `enhance_mixture`.
        progress: show a bar; None: on a terminal.
        shard: the part of the mixtures to enhance; None: all.

    Returns:
        One line for each mixture that failed: its id and why. The others are done.
    """
    mixtures = data.items
    notice = {"notice": network.notice} if getattr(network, "notice", "") else {}
    names = write_samples(testset, [item._asdict() | notice for item in mixtures])
    keys = {
        mixture.id: digest([mixture.id, fingerprint, match_level, notice]) for mixture in mixtures
    }
    ledger = Ledger(testset.folder / LEDGER, shard)
    part = (shard or Shard()).part(range(len(mixtures)))
    todo = [
        index
        for index in part
        if not _is_there(testset, ledger, names[mixtures[index].id], keys[mixtures[index].id])
    ]
    logger.info("%s: %d samples, %d to enhance", testset.folder, len(part), len(todo))
    failures = []
    for index in tqdm(todo, unit="sample", disable=None if progress is None else not progress):
        item = data[index]
        try:
            estimate = enhance_mixture(
                network, item.mixture, clean=item.sources[0], match_level=match_level
            )
        except ValueError as error:
            failures.append(f"{item.id}: {error}")
            continue
        signals = dict(zip(SIGNALS, (item.mixture[0], *item.sources, estimate), strict=True))
        folder = testset.folder / names[item.id]
        _write_sample(folder, signals, data.sample_rate)
        written = {"estimate": content_digest(folder / "estimate.wav")}
        ledger.add(names[item.id], keys[item.id], written)
    if shard is None:
        ledger.compact({names[key]: ledger_key for key, ledger_key in keys.items()})
    return failures


def _is_there(testset: TestSet, ledger: Ledger, sample: str, key: str) -> bool:
    """Return whether a sample is finished, its estimate the one that was written under this key."""
    written = ledger.results(sample, key)
    folder = testset.folder / sample
    return (
        bool(written)
        and all((folder / f"{name}.wav").is_file() for name in SIGNALS)
        and content_digest(folder / "estimate.wav") == written["estimate"]
    )


def _write_sample(folder: Path, signals: dict[str, Tensor], sample_rate: int) -> None:
    """Write a sample's folder under another name and rename it."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        for name, signal in signals.items():
            soundfile.write(temporary / f"{name}.wav", signal.numpy(), sample_rate, subtype="FLOAT")
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--experiment_tag", required=True, metavar="TAG", help="experiment")
    parser.add_argument("--manifest", required=True, metavar="FILE", help="manifest or array")
    parser.add_argument(
        "--testset", metavar="NAME", help="folder to write (default: the manifest's stem)"
    )
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1 (default: a GPU where there is one)"
    )
    parser.add_argument(
        "--match_level", action="store_true", help="scale each estimate to the level of its mixture"
    )
    add_shard_option(parser)
    add_experiment_options(parser)


def _work(args: argparse.Namespace) -> int:
    experiment = find_experiment(args.experiment_tag, args.root)
    checkpoint = experiment.checkpoint
    network = load_network(checkpoint, pick_device(args.device))
    sample_rate = round(float(getattr(network, "sample_rate", 16000)))
    data = open_dataset(args.manifest, sample_rate=sample_rate)
    failures = write_testset(
        experiment.new_testset(args.testset or Path(args.manifest).stem),
        data,
        network,
        fingerprint=content_digest(checkpoint),
        match_level=args.match_level,
        shard=args.shard,
    )
    if failures:
        shown = "; ".join(failures[:10])
        count = f"{len(failures)} of {len(data)} samples"
        raise RuntimeError(f"{count} could not be enhanced: {shown}")
    return 0


main = program("infer", __doc__, _add_options, _work)
