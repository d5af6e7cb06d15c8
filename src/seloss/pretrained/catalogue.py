"""The networks that come with the package, and how one is built from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

import asteroid.models
from asteroid.utils.registry import did_you_mean

from .weights_file import WeightsError, read_weights

__all__ = ["DEFAULT", "find_weights", "load_model", "model_card", "model_names", "model_package"]

FOLDER = Path(__file__).with_name("weights")
"""One ``NAME.safetensors`` and one ``NAME.md``, its model card, for each network."""
DEFAULT = "dccrn-small-causal"
"""What is used where no model is named."""


def model_names() -> list[str]:
    """Return the names of the networks that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def find_weights(name: str | Path) -> Path:
    """Return the file of a network's name, or a file.

    Raises:
        ValueError: There is no network of this name, and no such file.
    """
    if str(name) in model_names():
        return FOLDER / f"{name}.safetensors"
    if Path(name).suffix == ".safetensors" and Path(name).is_file():
        return Path(name)
    guess = did_you_mean(str(name), model_names())
    shipped = ", ".join(model_names()) or "none"
    raise ValueError(
        f"no model {name}{guess}; the models of this package are {shipped}; or give a file "
        "(.safetensors)"
    )


def model_card(name: str) -> str:
    """Return the card of a network of the package, Markdown: data, scores, limits, licences.

    Raises:
        ValueError: There is no network of this name; lists those there are.
    """
    return find_weights(name).with_suffix(".md").read_text(encoding="utf-8")


def model_package(name: str | Path) -> dict[str, Any]:
    """Return a network as ``network.serialize()`` gives it: its class, arguments and weights.

    Raises:
        ValueError: There is no network of this name, and no such file; lists those there are.
        WeightsError: The file is damaged or foreign.
    """
    return read_weights(find_weights(name))


def load_model(name: str | Path = DEFAULT) -> nn.Module:
    """Return a trained network, in evaluation mode.

    It takes mixtures ``(batch, 1, samples)`` at its ``sample_rate`` and returns
    ``(batch, 1, samples)``.

    Args:
        name: One of `model_names`, or a ``.safetensors`` file.

    Raises:
        ValueError: There is no network of this name, and no such file; lists those there are.
        WeightsError: The file is damaged or foreign.

    Example:
        >>> load_model("dccrn-small-causal").sample_rate
        16000
    """
    package = model_package(name)
    try:
        network: nn.Module = asteroid.models.get(package["model_name"])(**package["model_args"])
        network.load_state_dict(package["state_dict"])
    except (ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(
            f"{name} does not fit the network it names, {package['model_name']}: {error}"
        ) from None
    return network.eval()
