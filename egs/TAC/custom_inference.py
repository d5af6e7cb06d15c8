"""Enhance the mixtures of a manifest with a trained network.

Each mixture becomes a folder sample_<i> with mixture, speech, noise and estimate as WAV files. A
mixture is either whole or absent; a second run does what is missing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from evaluation.work.shards import add_shard_option

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    """Return the parser: the arguments of the published recipe."""
    options = argparse.ArgumentParser(prog="custom_inference.py", description=__doc__)
    options.add_argument(
        "--experiment_tag", required=True, metavar="TAG", help="the experiment's name"
    )
    options.add_argument(
        "--model_path", required=True, metavar="FILE", help="best_model.pth or checkpoints/*.ckpt"
    )
    options.add_argument(
        "--input_json", required=True, metavar="FILE", help="manifest of the mixtures"
    )
    options.add_argument(
        "--sample_rate", type=int, metavar="HZ", help="of the mixtures (default: the network's)"
    )
    options.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1 (default: a GPU where there is one)"
    )
    options.add_argument(
        "--output_dir",
        metavar="FOLDER",
        help="default: experiments/TAG/NAME for a manifest NAME.json",
    )
    add_shard_option(options)
    return options


def work(args: argparse.Namespace) -> int:
    """Enhance what is not enhanced yet; return the exit status."""
    import hashlib

    import torch

    from asteroid.models.base_models import BaseModel
    from evaluation.enhance.infer import write_testset
    from evaluation.testset.experiment import TestSet
    from seloss.data import open_dataset
    from seloss.train import network_package

    model, manifest = Path(args.model_path), Path(args.input_json)
    folder = PROJECT_ROOT / "experiments" / args.experiment_tag / manifest.stem
    network = BaseModel.from_pretrained(network_package(model))
    sample_rate = int(args.sample_rate or network.sample_rate)
    if sample_rate != network.sample_rate:
        raise ValueError(
            f"{model} works at {network.sample_rate} Hz; got --sample_rate {sample_rate}"
        )
    automatic = "cuda" if torch.cuda.is_available() else "cpu"
    device = automatic if args.device == "auto" else args.device
    failures = write_testset(
        TestSet(Path(args.output_dir) if args.output_dir else folder),
        open_dataset(manifest, sample_rate=sample_rate),
        network.eval().to(device),
        fingerprint=hashlib.sha256(model.read_bytes()).hexdigest(),
        shard=args.shard,
    )
    if failures:
        raise RuntimeError(
            f"{len(failures)} mixtures were not enhanced: {'; '.join(failures[:10])}"
        )
    return 0


if __name__ == "__main__":
    from seloss.program import run_command

    sys.exit(run_command(parser, work))
