"""The interface of speech embedders: a signal in, one vector per layer and frame out."""

from __future__ import annotations

import hashlib
import importlib
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from asteroid.utils.registry import Registry

__all__ = ["EMBEDDERS", "SpeechEmbedder", "build_embedder", "weights_digest"]

ALL_LAYERS = "all"


class SpeechEmbedder(ABC):
    """A frozen pretrained model that turns speech into a sequence of vectors.

    A subclass sets :attr:`sample_rate`, :attr:`size`, :attr:`total_layers` and :attr:`identity`,
    and implements :meth:`hidden_states` and :meth:`times`.

    Args:
        layer: Which layer's output is taken, counted from 0 (the input of the first transformer
            layer; -1 is the last); ``"all"``: every layer, for a learnt weighted sum.

    Attributes:
        sample_rate: Of the signals it takes, Hz.
        size: Numbers of an embedding.
        total_layers: Layers of the model, its input included.
        identity: What decides on the numbers: model, digest of its weights, treatment of the
            signal. Kept beside stored embeddings.
    """

    sample_rate: int = 16000
    size: int
    total_layers: int
    identity: dict[str, Any]

    def __init__(self, layer: int | str = ALL_LAYERS) -> None:
        if isinstance(layer, str) and layer != ALL_LAYERS:
            raise ValueError(f"layer must be a number or {ALL_LAYERS!r}; got {layer!r}")
        self.layer = layer

    @property
    def n_layers(self) -> int:
        """Layers that :meth:`embed` returns."""
        return self.total_layers if self.layer == ALL_LAYERS else 1

    def check_layer(self) -> None:
        """Refuse a layer that the model does not have; called at the end of a constructor."""
        if isinstance(self.layer, int) and not -self.total_layers <= self.layer < self.total_layers:
            raise ValueError(
                f"layer must be from {-self.total_layers} to {self.total_layers - 1}, as "
                f"{self.identity['model']} has {self.total_layers}; got {self.layer}"
            )

    @torch.no_grad()
    def embed(self, signal: Tensor) -> Tensor:
        """Return the embeddings ``(n_layers, frames, size)`` of a signal ``(samples,)``, float32.

        Raises:
            ValueError: The signal has another shape, is empty or not finite.
        """
        if signal.ndim != 1 or not len(signal) or not bool(torch.isfinite(signal).all()):
            raise ValueError(
                f"the signal must have shape (samples,), finite and not empty; got "
                f"{tuple(signal.shape)}"
            )
        states = self.hidden_states(signal.float())
        if isinstance(self.layer, int):
            states = states[self.layer][None]
        return states.float().cpu()

    @abstractmethod
    def hidden_states(self, signal: Tensor) -> Tensor:
        """Return all layers ``(total_layers, frames, size)`` of a signal ``(samples,)``."""

    @abstractmethod
    def times(self, n_samples: int) -> Tensor:
        """Return the centre in seconds of what each frame of a signal is computed from locally.

        The vectors know more than that: the transformers see the whole signal.
        """

    def describe(self) -> dict[str, Any]:
        """Return :attr:`identity` with the layer: what stored embeddings depend on."""
        return {**self.identity, "layer": self.layer, "sample_rate": self.sample_rate}


EMBEDDERS: Registry[Any] = Registry("embedder")
_ROOMS = {"distilled_xlsr": "distilled", "hub": "hub"}


def build_embedder(name: str, **options: Any) -> SpeechEmbedder:
    """Build an embedder by name.

    Args:
        name: ``distilled_xlsr`` (comes with the package ``distillmos``, needs no download) or
            ``hub`` (WavLM, HuBERT, wav2vec 2.0 from a folder or the hub; needs ``path``).
        **options: Of its constructor.

    Raises:
        ValueError: The name is unknown.
        ModuleNotFoundError: The package it needs is not installed; the message says how to.
    """
    for room in _ROOMS.values():
        importlib.import_module(f"{__package__}.{room}")
    embedder = EMBEDDERS.build(name, **options)
    assert isinstance(embedder, SpeechEmbedder)
    return embedder


def weights_digest(model: nn.Module) -> str:
    """Return 16 hexadecimal digits that depend on every parameter and buffer of ``model``."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
