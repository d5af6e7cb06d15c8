"""The losses by name, as recipes and command lines ask for them."""

from __future__ import annotations

import inspect

from torch import nn

from ..utils.registry import Registry
from .sdr_xp import NegSISDRLoss, XP1Loss

__all__ = ["LOSSES", "build_loss"]

LOSSES: Registry[type[nn.Module]] = Registry("loss")
LOSSES.register("neg_sisdr")(NegSISDRLoss)
LOSSES.register("xp1")(XP1Loss)


def build_loss(name: str, **options: object) -> nn.Module:
    """Build a loss.

    Args:
        name: One of the names in :data:`LOSSES`.
        options: The loss's own arguments.

    Raises:
        ValueError: Unknown name, an argument the loss does not have, or a bad value.

    Example:
        >>> build_loss("neg_sisdr", scale="critical", n_bins=21, weights_type="speech_norm").stft
        Stft()
    """
    loss = LOSSES.get(name)
    known = list(inspect.signature(loss).parameters)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f"the loss {name!r} has no argument {', '.join(unknown)}; it has {', '.join(known)}"
        )
    return loss(**options)
