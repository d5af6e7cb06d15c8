"""Guard that ends training at the first loss or gradient that is not finite, naming its source."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch

__all__ = ["NonFiniteError", "StepGuard", "check_losses", "check_norm", "gradient_norm"]


class NonFiniteError(RuntimeError):
    """A loss or a gradient was NaN or infinite; the message names the utterances.

    Attributes:
        ids: Identifiers of the utterances concerned, as in the manifest.
    """

    def __init__(self, what: str, ids: Sequence[str], where: str) -> None:
        self.ids = tuple(ids)
        names = ", ".join(self.ids) or "unknown"
        super().__init__(
            f"{what} is not finite at {where} for {names}. Training stopped before the weights "
            "were touched; the last checkpoint is good. Look at these utterances (silent or "
            "clipped target?), or lower the learning rate, and start the same command again."
        )


def check_losses(losses: torch.Tensor, ids: Sequence[str], where: str) -> None:
    """Raise if one of the losses is not finite.

    Args:
        losses: One per utterance ``(batch,)``, or their mean ``()``, which names the whole batch.
        ids: The utterances of the batch.
        where: The place in the run, for the message.

    Raises:
        NonFiniteError: Naming the utterances whose loss is not finite.
    """
    finite = torch.isfinite(losses.detach())
    if bool(finite.all()):
        return
    guilty = ids
    if losses.ndim == 1:
        guilty = [name for name, good in zip(ids, finite.tolist(), strict=True) if not good]
    raise NonFiniteError("the loss", guilty, where)


def gradient_norm(parameters: Iterable[torch.nn.Parameter]) -> torch.Tensor:
    """Return the 2-norm ``()`` of all gradients."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def check_norm(norms: Sequence[float], ids: Sequence[str], where: str) -> None:
    """Raise NonFiniteError, naming the utterances of the step, if a norm is not finite."""
    if not all(map(math.isfinite, norms)):
        raise NonFiniteError("the gradient", ids, where)


class StepGuard:
    """Keeps weights from steps with numbers that are not finite before the host knows of them.

    From the first such number on, fused optimisers leave out their steps on the device itself, by
    the flag that PyTorch has for gradients of 16 bits.
    """

    def __init__(self) -> None:
        self._found: torch.Tensor | None = None

    def note(self, numbers: torch.Tensor) -> None:
        """Look at numbers ``(n,)`` of a step without reading them."""
        found = (~torch.isfinite(numbers)).any().float()
        self._found = found if self._found is None else torch.maximum(self._found, found)

    def apply(self, optimizer: torch.optim.Optimizer) -> bool:
        """Let the optimiser's next step know; return whether its kernel can."""
        optimizer.found_inf = self._found  # type: ignore[attr-defined]
        return bool(optimizer.defaults.get("fused"))
