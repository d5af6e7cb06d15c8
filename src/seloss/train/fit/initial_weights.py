"""Weights of an earlier training as the start of another one."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import nn

from seloss.pretrained.catalogue import model_names, model_package
from seloss.train.run.checkpoint import network_package

__all__ = ["load_initial_weights"]

_LOG = logging.getLogger(__name__)
_SHOWN = 3


def load_initial_weights(network: nn.Module, source: str | Path) -> None:
    """Put the weights of an earlier training into a network of the same sizes.

    Args:
        network: It has them afterwards.
        source: A checkpoint, a ``best_model.pth``, a ``.safetensors`` file, or the name of a
            network that comes with the package.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no network, or one of other sizes; names what differs.
    """
    shipped = str(source) in model_names() or Path(source).suffix == ".safetensors"
    package = model_package(source) if shipped else network_package(source)
    given, own = package["state_dict"], network.state_dict()
    wrong = [f"no {name}" for name in own if name not in given]
    wrong += [f"{name}, which this network has not" for name in given if name not in own]
    wrong += [
        f"{name} {list(given[name].shape)}, which is {list(value.shape)} here"
        for name, value in own.items()
        if name in given and given[name].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ValueError(
            f"--init {source} does not fit this network (a {package['model_name']}): it has "
            f"{'; '.join(wrong[:_SHOWN])}{more}"
        )
    network.load_state_dict(given)
    _LOG.info("training starts from the weights of %s", source)
