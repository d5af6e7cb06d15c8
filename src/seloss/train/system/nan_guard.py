"""Guard that ends training at the first loss or gradient that is not finite, naming its source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

__all__ = ["NonFiniteError", "check_gradients", "check_losses"]


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


def check_gradients(
    parameters: Iterable[torch.nn.Parameter], ids: Sequence[str], where: str
) -> torch.Tensor:
    """Return the 2-norm ``()`` of all gradients.

    Raises:
        NonFiniteError: If it is not finite; naming the utterances of the step.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if not bool(torch.isfinite(norm)):
        raise NonFiniteError("the gradient", ids, where)
    return norm
