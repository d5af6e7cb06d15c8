"""Files of network weights: safetensors, with what rebuilds the network and a digest of the values.

The metadata hold ``model_name`` and ``model_args`` (JSON), as ``network.serialize()`` names them,
and ``sha256`` of all tensors, so that a damaged value is found as surely as a damaged header.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from asteroid.utils.files import atomic_path

__all__ = ["WeightsError", "read_weights", "write_weights"]


class WeightsError(ValueError):
    """A file of weights is damaged, or holds something else."""


def _digest(state: Mapping[str, torch.Tensor]) -> str:
    """Return the sha256 of names, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def write_weights(path: str | Path, package: Mapping[str, Any]) -> None:
    """Write a network in one step.

    Args:
        path: The file, ``.safetensors``.
        package: ``model_name``, ``model_args`` and ``state_dict``, as ``network.serialize()`` or
            the package of a checkpoint has them.
    """
    # Tensors that share memory, or are parts of others, are refused by safetensors.
    state = {name: value.detach().cpu().clone() for name, value in package["state_dict"].items()}
    metadata = {
        "model_name": str(package["model_name"]),
        "model_args": json.dumps(package["model_args"]),
        "sha256": _digest(state),
    }
    with atomic_path(path, durable=True) as temporary:
        save_file(state, temporary, metadata)


def read_weights(path: str | Path) -> dict[str, Any]:
    """Return ``model_name``, ``model_args`` and ``state_dict`` of a file.

    Raises:
        FileNotFoundError: There is no such file.
        WeightsError: It is damaged, or was not written by `write_weights`.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file of weights {path}")
    try:
        with safe_open(path, "pt") as content:
            metadata = content.metadata() or {}
            state = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is damaged or not a safetensors file: {error}") from None
    if not {"model_name", "model_args", "sha256"} <= metadata.keys():
        raise WeightsError(f"{path} does not say which network it holds (model_name, model_args)")
    if _digest(state) != metadata["sha256"]:
        raise WeightsError(f"{path} is damaged: its values are not those that were written")
    return {
        "model_name": metadata["model_name"],
        "model_args": json.loads(metadata["model_args"]),
        "state_dict": state,
    }
