"""Weights of an earlier training as the start of another one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from seloss.pretrained.catalogue import model_names, model_package
from seloss.train.run.checkpoint import network_package

__all__ = ["load_initial_weights"]

_LOG = logging.getLogger(__name__)
_SHOWN = 3


def load_initial_weights(
    network: nn.Module, source: str | Path | Mapping[str, Any], *, exact: bool = True
) -> None:
    """Put the weights of an earlier training into a network of the same sizes.

    Args:
        network: It has them afterwards.
        source: A checkpoint, a ``best_model.pth``, a ``.safetensors`` file, the name of a network
            that comes with the package, or what ``serialize()`` returns.
        exact: Refuse weights that this network has no place for, too.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no network, or one of other sizes; names what differs.
    """
    if isinstance(source, Mapping):
        package, place = dict(source), "the network given"
    else:
        shipped = str(source) in model_names() or Path(source).suffix == ".safetensors"
        package = model_package(source) if shipped else network_package(source)
        place = f"--init {source}"
    given, own = package["state_dict"], network.state_dict()
    wrong = [f"no {name}" for name in own if name not in given]
    wrong += [f"{name}, which this network has not" for name in given if exact and name not in own]
    wrong += [
        f"{name} {list(given[name].shape)}, which is {list(value.shape)} here"
        for name, value in own.items()
        if name in given and given[name].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ValueError(
            f"{place} does not fit this network (a {package['model_name']}): it has "
            f"{'; '.join(wrong[:_SHOWN])}{more}"
        )
    network.load_state_dict({name: given[name] for name in own})
    _LOG.info("training starts from the weights of %s", place)
