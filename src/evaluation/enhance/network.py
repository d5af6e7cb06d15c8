"""Networks ready for use: loaded from their file, onto a device, run on one mixture."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seloss.pretrained import load_model
from seloss.pretrained.onnx_network import load_onnx

__all__ = ["enhance_mixture", "load_network", "n_inputs", "pick_device"]


def load_network(place: str | Path, device: torch.device) -> nn.Module:
    """Load a network, every weight in its place, ready for inference.

    Args:
        place: A file that `network.serialize()` gave, one of weights (``.safetensors``), one that
            ``seloss export`` wrote (``.onnx``, which runs on the CPU), or, as a string, the name of
            a network that comes with the package.
        device: Where it is to run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not that, or its weights do not fit the network it names.
    """
    import seloss.embeddings.embedded  # noqa: F401  (registers its network)
    from asteroid.models.base_models import BaseModel

    path = Path(place)
    if path.suffix == ".onnx":
        return load_onnx(path)
    if path.suffix == ".safetensors" or (isinstance(place, str) and not path.is_file()):
        shipped: nn.Module = load_model(place)
        return shipped.to(device)
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


def n_inputs(network: nn.Module) -> int | None:
    """Return how many channels a network takes at a time; None: any number."""
    if "valid_mics" in inspect.signature(network.forward).parameters:
        return None
    return getattr(network, "in_channels", 1) or 1


def enhance_mixture(
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
        inputs = n_inputs(network)
        if inputs is None:
            answer = network(signal[None], torch.tensor([n_mics], device=device))
        else:
            extra = _oracle_inputs(network, clean)
            answer = network(signal[:1] if inputs == 1 else signal[None], *extra)
    estimate: Tensor = answer.detach().reshape(-1, answer.shape[-1])[0].float().cpu()
    if estimate.shape[-1] != n_samples:
        raise ValueError(f"the network gave {estimate.shape[-1]} samples for {n_samples}")
    if not bool(torch.isfinite(estimate).all()):
        raise ValueError("the network gave values that are not finite")
    if match_level:
        energy = estimate.square().sum()
        estimate = estimate * ((mixture[0] * estimate).sum() / energy if energy > 0 else 1.0)
    return estimate


def _oracle_inputs(network: Any, clean: Tensor | None) -> list[Tensor]:
    """Return what an oracle gets beside the mixture: embeddings of the clean speech."""
    if not getattr(network, "oracle", False) or clean is None:
        return []
    return [network.embed(clean[None].to(next(network.parameters()).device))]
