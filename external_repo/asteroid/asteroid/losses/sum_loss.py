"""Weighted sums of losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from asteroid.utils.registry import check_choice

from .catalogue import build_part

__all__ = ["SumLoss", "build_training_loss"]


class _Terms(Protocol):
    """A training configuration's loss, such as :class:`seloss.train.options.recipe.LossConfig`."""

    @property
    def balance(self) -> bool: ...

    @property
    def balance_by(self) -> str: ...

    @property
    def balance_items(self) -> int: ...

    def terms(self) -> Sequence[Mapping[str, Any]]: ...


def build_training_loss(config: _Terms, sample_rate: float) -> nn.Module:
    """Build what a training configuration asks for: one value per utterance, lower is better.

    Args:
        config: Has ``terms()``, the parts as :class:`SumLoss` takes them, and how to balance them.
        sample_rate: Hz.

    Returns:
        The loss itself if there is one with weight 1, otherwise a :class:`SumLoss`.

    Raises:
        ValueError: Unknown name, an argument the loss does not have, or a bad value.
    """
    terms = config.terms()
    if len(terms) == 1 and terms[0].get("weight", 1) == 1:
        options = {key: terms[0][key] for key in terms[0] if key not in ("weight", "label")}
        return build_part(options.pop("name"), options, sample_rate)
    return SumLoss(
        terms,
        sample_rate=sample_rate,
        balance_by=config.balance_by if config.balance else None,
        balance_items=config.balance_items,
        reduction="none",
    )


class SumLoss(nn.Module):
    """Sum of losses, each with its weight.

    A part with weight 0 is computed, so that it can be watched, but without a gradient, which costs
    next to nothing.

    Args:
        parts: One mapping per part: ``name``, optionally ``weight`` (1), optionally ``label``, by
            which it is logged (its name; a second one of the same name is called ``name_2``), and
            the loss's own options.
        sample_rate: Hz, for the losses that depend on it.
        balance_by: ``"range"`` or ``"gradient"``: the weights are shares that
            :meth:`balance_weights` is to turn into weights; None: they are the weights.
        balance_items: Over how many utterances.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: No parts, an unknown name or option, or a weight that is no number or negative.

    Example:
        >>> loss = SumLoss([{"name": "si_snr"}, {"name": "mse", "weight": 100}])
        >>> speech = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
        >>> loss(speech + 0.1 * torch.tensor([[1.0, 1.0, -1.0, -1.0]]), speech).round()
        tensor(-19.)
    """

    def __init__(
        self,
        parts: Sequence[Mapping[str, object]],
        *,
        sample_rate: float = 16000,
        balance_by: str | None = None,
        balance_items: int = 16,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        check_choice("reduction", reduction, ("mean", "none"))
        if balance_by is not None:
            check_choice("balance_by", balance_by, ("range", "gradient"))
        if not parts:
            raise ValueError("a sum of losses needs at least one part")
        self.reduction, self.balance_by, self.balance_items = reduction, balance_by, balance_items
        self._given: list[dict[str, object]] = []
        self.losses = nn.ModuleDict()
        self.weights: dict[str, float] = {}
        for part in parts:
            options = dict(part)
            name, weight = str(options.pop("name")), options.pop("weight", 1.0)
            label = _unused(str(options.pop("label", name.rpartition(":")[2])), self.weights)
            self.losses[label] = build_part(name, options, sample_rate)
            self.weights[label] = _check_weight(label, weight)
            self._given.append({"name": name, "label": label, **options})

    def forward(
        self, est_targets: Tensor, targets: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        """Return the weighted sum; arguments as for :class:`asteroid.losses.SpeechLoss`."""
        total = self.total(self.parts(est_targets, targets, lengths))
        return total.mean() if self.reduction == "mean" else total

    def parts(
        self, est_targets: Tensor, targets: Tensor, lengths: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the parts without their weights by label, each ``(batch,)``."""
        values = {}
        for label, loss in self.losses.items():
            counts = self.weights[label] != 0
            with torch.set_grad_enabled(counts and torch.is_grad_enabled()):
                values[label] = loss(
                    est_targets if counts else est_targets.detach(), targets, lengths
                )
        return values

    def total(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of ``parts``, ``(batch,)``."""
        weighted = [self.weights[label] * value for label, value in parts.items()]
        return torch.stack(torch.broadcast_tensors(*weighted)).sum(0)

    def described(self) -> list[dict[str, object]]:
        """Return the parts with their present weights, as the constructor takes them."""
        return [{**part, "weight": self.weights[str(part["label"])]} for part in self._given]

    def balance_weights(
        self, signals: Iterable[tuple[Tensor, Tensor, Tensor | None]]
    ) -> dict[str, float]:
        """Choose weights so that the weighted parts' sizes are in the ratio of the weights given.

        A part's size is the root mean square over utterances of its values (``"range"``) or over
        batches of its gradient's norm (``"gradient"``). The first part keeps its weight.

        Args:
            signals: Estimates, targets and lengths of some batches.

        Returns:
            The sizes by label.

        Raises:
            ValueError: A part has size 0, so no weight makes it count.
        """
        squares: dict[str, list[float]] = {label: [] for label in self.weights}
        for est_targets, targets, lengths in signals:
            if self.balance_by == "gradient":
                for label, norm in self.gradient_norms(est_targets, targets, lengths).items():
                    squares[label].append(norm**2)
            else:
                with torch.no_grad():
                    parts = self.parts(est_targets, targets, lengths)
                for label, values in parts.items():
                    squares[label] += values.double().square().reshape(-1).tolist()
        sizes = {
            label: math.sqrt(sum(of_part) / len(of_part)) for label, of_part in squares.items()
        }
        counting = [label for label, weight in self.weights.items() if weight]
        silent = [label for label in counting if not 0 < sizes[label] < math.inf]
        if silent:
            raise ValueError(f"cannot balance {', '.join(silent)}: its size is 0 or not finite")
        for label in counting:
            self.weights[label] *= sizes[counting[0]] / sizes[label]
        return sizes

    def gradient_shares(
        self, est_targets: Tensor, targets: Tensor, lengths: Tensor | None = None
    ) -> dict[str, float]:
        """Return each part's share of the gradient that reaches the estimate, from 0 to 1.

        A share is the part's weighted gradient's 2-norm over the batch, divided by the sum of all
        parts' norms. The network is not gone through: it costs about as much as the losses do.
        """
        norms = self.gradient_norms(est_targets, targets, lengths)
        weighted = {label: self.weights[label] * norm for label, norm in norms.items()}
        whole = sum(weighted.values())
        return {label: norm / whole if whole else 0.0 for label, norm in weighted.items()}

    def gradient_norms(
        self, est_targets: Tensor, targets: Tensor, lengths: Tensor | None = None
    ) -> dict[str, float]:
        """Return the 2-norm of each part's gradient for the estimate, without its weight."""
        norms = {}
        with torch.enable_grad():
            estimate = est_targets.detach().requires_grad_()
            for label, loss in self.losses.items():
                value = loss(estimate, targets, lengths).mean()
                (gradient,) = torch.autograd.grad(value, estimate)
                norms[label] = float(gradient.double().norm())
        return norms


def _unused(label: str, taken: Mapping[str, float]) -> str:
    """Return the label, with a number behind it if it is taken."""
    if not label.isidentifier():
        raise ValueError(f"a part's label must be made of letters, digits and _; got {label!r}")
    names: Iterator[str] = (f"{label}_{number}" for number in range(2, len(taken) + 3))
    return label if label not in taken else next(n for n in names if n not in taken)


def _check_weight(label: str, weight: object) -> float:
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise ValueError(f"the weight of {label} must be a number; got {weight!r}")
    if not 0 <= weight < math.inf:
        raise ValueError(f"the weight of {label} must be 0 or more; got {weight}")
    return float(weight)
