"""Systems for the two stages of training with speech embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asteroid.losses.compressed_spectrum import LatentLoss
from seloss.data.load.feature_dataset import FeatureBatch

from .enhancement import EnhancementSystem
from .epoch_means import EpochMeans

__all__ = ["EmbeddedSystem", "LatentSystem", "check_embedding_size", "freeze"]


class EmbeddedSystem(EnhancementSystem):
    """Stage 1: the network gets speech embeddings with the mixture.

    Args:
        network: Takes ``(mixture, embeddings)``, embeddings ``(batch, layers, size, frames)`` as
            the data set stores them; see :class:`~asteroid.models.cnunet.CNUNet`.
        loss: As for the ordinary system.
        **options: Of the ordinary system.
    """

    def __init__(self, network: nn.Module, loss: nn.Module, **options: Any) -> None:
        super().__init__(network, loss, **options)
        self._features: Tensor | None = None

    def forward(self, mixture: Tensor, n_mics: Tensor | None = None) -> Tensor:
        """Return the estimates for the batch that is being worked on."""
        return torch.as_tensor(self.run(mixture, self._features))

    def training_step(self, batch: FeatureBatch, batch_idx: int) -> Tensor:  # type: ignore[override]
        """Return the mean loss of ``batch``."""
        self._features = batch.features
        return super().training_step(batch, batch_idx)  # type: ignore[arg-type]

    def validation_step(self, batch: FeatureBatch, batch_idx: int) -> Tensor:  # type: ignore[override]
        """Add the losses and metrics of ``batch`` to the epoch's; return the estimates."""
        self._features = batch.features
        return super().validation_step(batch, batch_idx)  # type: ignore[arg-type]


class LatentSystem(EnhancementSystem):
    """Stage 2: the network's latent features are drawn to those stored in stage 1.

    ``loss`` is that of the ordinary system plus ``latent_weight`` times :class:`LatentLoss`; both
    are logged as ``loss_signal`` and ``loss_latent``.

    Args:
        network: Has ``analyse(mixture) -> (estimate, latent)``.
        loss: As for the ordinary system.
        latent_weight: ``c3``; 0.05 as published.
        **options: Of the ordinary system.
    """

    def __init__(
        self, network: nn.Module, loss: nn.Module, *, latent_weight: float = 0.05, **options: Any
    ) -> None:
        super().__init__(network, loss, **options)
        if latent_weight < 0:
            raise ValueError(f"latent_weight must not be negative; got {latent_weight}")
        self.latent_weight, self.latent_loss = latent_weight, LatentLoss()
        added = ["loss_signal", "loss_latent"]
        self._values |= {name: [] for name in added}
        self._means = EpochMeans([*self._means.names, *added])
        self._latent: Tensor | None = None

    def entry(self) -> Callable[..., Any]:
        """Return what of the network a step calls."""
        analyse: Callable[..., Any] = self.network.analyse  # type: ignore[assignment]
        return analyse

    def forward(self, mixture: Tensor, n_mics: Tensor | None = None) -> Tensor:
        """Return the estimates; the latent features are kept for the loss."""
        estimate, self._latent = self.run(mixture)
        return torch.as_tensor(estimate)

    def loss_values(self, estimate: Tensor, batch: Any) -> dict[str, Tensor]:
        """Return those of the ordinary system, ``loss_signal`` and ``loss_latent``."""
        values = super().loss_values(estimate, batch)
        assert self._latent is not None
        latent = self.latent_loss(self._latent, batch.features, batch.n_frames)
        self._latent = None
        total = values["loss"] + self.latent_weight * latent
        return values | {"loss": total, "loss_signal": values["loss"], "loss_latent": latent}


def check_embedding_size(network: nn.Module, size: int) -> None:
    """Refuse embeddings that a network was not built for.

    Raises:
        ValueError: Its ``embedding_dim`` is another.
    """
    expected = getattr(network, "embedding_dim", None)
    if expected != size:
        raise ValueError(
            f"the network was built for embeddings of size {expected}, the embedder gives {size}: "
            f"build it with embedding_dim={size}"
        )


def freeze(network: nn.Module, parts: Sequence[str]) -> int:
    """Keep parts of a network as they are; return how many parameters are frozen.

    Args:
        network: Of which all is trained otherwise.
        parts: Names such as ``encoder`` or ``decoders.mask``.

    Raises:
        ValueError: There is no such part, or nothing is left to train.
    """
    frozen = 0
    for part in parts:
        chosen = [p for n, p in network.named_parameters() if f"{n}.".startswith(f"{part}.")]
        if not chosen:
            children = ", ".join(name for name, _ in network.named_children())
            raise ValueError(f"the network has no part {part!r} to freeze; it has {children}")
        for parameter in chosen:
            parameter.requires_grad_(False)
            frozen += parameter.numel()
    if not any(p.requires_grad for p in network.parameters()):
        raise ValueError("every parameter is frozen: nothing is left to train")
    return frozen
