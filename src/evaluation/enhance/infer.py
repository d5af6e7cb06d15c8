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
import hashlib
import inspect
import json
import logging
import os
import shutil
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor, nn
from tqdm import tqdm

from evaluation.testset.experiment import SIGNALS, TestSet, find_experiment
from evaluation.testset.testset import write_samples
from evaluation.work.cli import add_experiment_options
from evaluation.work.shards import Shard, add_shard_option
from seloss.data import open_dataset
from seloss.data.formats.batch import SizedDataset
from seloss.program import mark_resumable, run_command

__all__ = ["enhance", "load_network", "main", "n_inputs", "pick_device", "write_testset"]

logger = logging.getLogger(__name__)

RECORD = "sample.json"


def load_network(path: Path, device: torch.device) -> nn.Module:
    """Load what `network.serialize()` gave, every weight in its place, ready for inference.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not that, or its weights do not fit the network it names.
    """
    import seloss.embeddings.embedded  # noqa: F401  (registers its network)
    from asteroid.models.base_models import BaseModel

    if not path.is_file():  # else it would be looked for on a hub of models
        raise FileNotFoundError(f"there is no network {path}")
    try:
        network: nn.Module = BaseModel.from_pretrained(str(path))
    except Exception as error:  # unpickling and building raise whatever they meet
        why = textwrap.shorten(str(error), 300, placeholder=" ...")
        if path.suffix == ".ckpt":
            why = "checkpoints of a training are none, its best_model.pth is one"
        raise ValueError(f"{path} is not a network that can be loaded: {why}") from error
    return network.eval().to(device)


def n_inputs(network: nn.Module) -> int | None:
    """Return how many channels a network takes at a time; None: any number."""
    if "valid_mics" in inspect.signature(network.forward).parameters:
        return None
    return getattr(network, "in_channels", 1) or 1


def enhance(
    network: nn.Module, mixture: Tensor, *, clean: Tensor | None = None, match_level: bool = False
) -> Tensor:
    """Return the speech in one mixture.

    Args:
        network: `(1, mics, samples) -> (1, sources, samples)`, speech first; one that works on one
            microphone gets the first.
        mixture: `(mics, samples)`.
        clean: the speech in it, `(samples,)`: an oracle needs it, others do not get it.
        match_level: scale the estimate to fit the reference microphone best, in the least-squares
            sense.

    Returns:
        `(samples,)`, float32, on the CPU.

    Raises:
        ValueError: the network answers with another length or with values that are not finite, or
            is an oracle, and there is no clean speech.
    """
    device = next(network.parameters()).device
    n_mics, n_samples = mixture.shape
    signal = mixture.to(device)
    with torch.inference_mode():
        wanted = n_inputs(network)
        if wanted is None:
            answer = network(signal[None], torch.tensor([n_mics], device=device))
        else:
            given = _heard_by_oracle(network, clean)
            answer = network(signal[:1] if wanted == 1 else signal[None], *given)
    estimate: Tensor = answer.detach().reshape(-1, answer.shape[-1])[0].float().cpu()
    if estimate.shape[-1] != n_samples:
        raise ValueError(f"the network gave {estimate.shape[-1]} samples for {n_samples}")
    if not bool(torch.isfinite(estimate).all()):
        raise ValueError("the network gave values that are not finite")
    if match_level:
        energy = estimate.square().sum()
        estimate = estimate * ((mixture[0] * estimate).sum() / energy if energy > 0 else 1.0)
    return estimate


def _heard_by_oracle(network: Any, clean: Tensor | None) -> list[Tensor]:
    """Return what an oracle gets beside the mixture: embeddings of the clean speech."""
    if not getattr(network, "oracle", False) or clean is None:
        return []
    return [network.embed(clean[None].to(next(network.parameters()).device))]


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
        network: see `enhance`.
        fingerprint: of the network; samples of another one are made again.
        match_level: see `enhance`.
        progress: show a bar; None: on a terminal.
        shard: the part of the mixtures to enhance; None: all.

    Returns:
        One line for each mixture that failed: its id and why. The others are done.
    """
    mixtures = data.items
    notice = {"notice": network.notice} if getattr(network, "notice", "") else {}
    names = write_samples(testset, [item._asdict() | notice for item in mixtures])
    wanted = [
        {"id": mixture.id, "network": fingerprint, "match_level": match_level, **notice}
        for mixture in mixtures
    ]
    part = (shard or Shard()).part(range(len(mixtures)))
    todo = [
        index
        for index in part
        if _record(testset.folder / names[mixtures[index].id]) != wanted[index]
    ]
    logger.info("%s: %d samples, %d to enhance", testset.folder, len(part), len(todo))
    failures = []
    for index in tqdm(todo, unit="sample", disable=None if progress is None else not progress):
        item = data[index]
        try:
            estimate = enhance(
                network, item.mixture, clean=item.sources[0], match_level=match_level
            )
        except ValueError as error:
            failures.append(f"{item.id}: {error}")
            continue
        signals = dict(zip(SIGNALS, (item.mixture[0], *item.sources, estimate), strict=True))
        _write_sample(testset.folder / names[item.id], signals, data.sample_rate, wanted[index])
    return failures


def _record(folder: Path) -> dict[str, object] | None:
    """Return what is written about a finished sample, None if it is not finished."""
    with suppress(OSError, json.JSONDecodeError):
        if all((folder / f"{name}.wav").is_file() for name in SIGNALS):
            record: dict[str, object] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            return record
    return None


def _write_sample(
    folder: Path, signals: dict[str, Tensor], sample_rate: int, record: dict[str, object]
) -> None:
    """Write a sample's folder under another name and rename it."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        for name, signal in signals.items():
            soundfile.write(temporary / f"{name}.wav", signal.numpy(), sample_rate, subtype="FLOAT")
        (temporary / RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
        mark_resumable()
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="infer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment_tag", required=True, metavar="TAG", help="whose network")
    parser.add_argument("--manifest", required=True, metavar="FILE", help="what to enhance")
    parser.add_argument(
        "--testset", metavar="NAME", help="folder to write (default: the manifest's name, bare)"
    )
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1 (default: a GPU where there is one)"
    )
    parser.add_argument(
        "--match_level", action="store_true", help="scale each estimate to the level of its mixture"
    )
    add_shard_option(parser)
    add_experiment_options(parser)
    return parser


def pick_device(name: str) -> torch.device:
    """Return a device by name; `auto`: a GPU where there is one.

    Raises:
        RuntimeError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    torch.empty(0, device=device)  # an absent device raises here, before any work
    return device


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
        fingerprint=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        match_level=args.match_level,
        shard=args.shard,
    )
    if failures:
        shown = "; ".join(failures[:10])
        count = f"{len(failures)} of {len(data)} samples"
        raise RuntimeError(f"{count} could not be enhanced: {shown}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    return run_command(_parser, _work, argv)
