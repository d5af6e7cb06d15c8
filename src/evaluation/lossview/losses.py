"""Losses of the command line, named as in training."""

from __future__ import annotations

import argparse

from torch import nn

from asteroid.losses.sum_loss import build_training_loss
from seloss.train.options.loss import LossConfig, loss_from_preset, loss_from_text

__all__ = ["add_loss_options", "losses_from"]

# The options of neg_sisdr that are given beside --loss, with what reads them.
_BANDS = {
    "scale": str,
    "n_fft": int,
    "hop_length": int,
    "n_bins": int,
    "weights_type": str,
    "gamma": float,
    "variant": str,
}


def add_loss_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--loss``, which may be repeated, and the options of ``neg_sisdr``."""
    parser.add_argument(
        "--loss",
        action="append",
        metavar="LOSS",
        help="as in training: a name, a sum such as si_snr+0.5*lms, a JSON list, a file .yml or "
        "FILE.py:CLASS; several are shown side by side",
    )
    parser.add_argument(
        "--loss_preset", action="append", metavar="NAME", help="one of configs/losses.yml"
    )
    group = parser.add_argument_group("options of neg_sisdr", "as in training")
    for name, kind in _BANDS.items():
        group.add_argument(f"--{name}", type=kind, metavar=name.upper())


def losses_from(args: argparse.Namespace, sample_rate: int) -> dict[str, nn.Module]:
    """Return the losses by their label; each gives one value per utterance.

    Raises:
        ValueError: None is named, one twice, or one that cannot be built.
    """
    bands = {name: value for name in _BANDS if (value := getattr(args, name)) is not None}
    losses: dict[str, nn.Module] = {}
    named = [(text, loss_from_text(text)) for text in args.loss or []]
    named += [(name, loss_from_preset(name)) for name in args.loss_preset or []]
    if not named:
        raise ValueError("name a loss: --loss NAME or --loss_preset NAME")
    details = " x ".join(str(bands[name]) for name in ("scale", "weights_type") if name in bands)
    for text, options in named:
        label = f"{text} {details}" if text == "neg_sisdr" and details else text
        if label in losses:
            raise ValueError(f"the loss {text} is named twice")
        losses[label] = build_training_loss(LossConfig(**{**bands, **options}), sample_rate)
    return losses
