"""Base of the losses: signals in, one value per utterance or their mean out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from asteroid.dsp.lengths import check_lengths, zero_padding
from asteroid.utils.registry import check_choice

__all__ = ["Signals", "SpeechLoss", "mean_over_time", "select_signals"]

_VARIANTS = ("default", "published")
_REDUCTIONS = ("mean", "none")


class Signals(NamedTuple):
    """Signals that a loss compares.

    Attributes:
        estimate: The speech estimated, ``(batch, samples)``.
        target: The speech, ``(batch, samples)``, without gradient.
        noise: ``(batch, samples)``, without gradient; None if the targets hold none.
        lengths: Valid samples of each utterance, ``(batch,)``; None if all are.
    """

    estimate: Tensor
    target: Tensor
    noise: Tensor | None
    lengths: Tensor | None

    @property
    def counts(self) -> Tensor:
        """Number of samples of each utterance, ``(batch,)``, long."""
        if self.lengths is not None:
            return self.lengths
        batch, n_samples = self.estimate.shape
        return torch.full((batch,), n_samples, device=self.estimate.device)


class SpeechLoss(nn.Module):
    """Base of the losses: a loss of one's own implements :meth:`per_utterance`.

    Args:
        variant: ``"default"``, or ``"published"`` where a loss has a published computation that
            differs on purpose.
        reduction: ``"mean"``, or ``"none"`` for one value per utterance.

    Raises:
        ValueError: An argument is not one of its choices.

    Example:
        >>> class LoudestError(SpeechLoss):
        ...     def per_utterance(self, signals):
        ...         return (signals.estimate - signals.target).abs().amax(-1)
        >>> LoudestError()(torch.tensor([[0.5, 0.0]]), torch.tensor([[0.25, 0.125]]))
        tensor(0.2500)
    """

    def __init__(self, *, variant: str = "default", reduction: str = "mean") -> None:
        super().__init__()
        check_choice("variant", variant, _VARIANTS)
        check_choice("reduction", reduction, _REDUCTIONS)
        self.variant, self.reduction = variant, reduction

    def forward(
        self, est_targets: Tensor, targets: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        """Compute the loss, lower is better.

        Args:
            est_targets: ``(batch, n_src, samples)``, of which source 0, the speech, counts; or
                the speech alone, ``(batch, samples)``.
            targets: ``(batch, n_src, samples)`` with source 0 = speech and, for losses that look
                at it, source 1 = noise; or the speech alone, ``(batch, samples)``.
            lengths: Valid samples of each utterance, ``(batch,)``; what lies behind never counts.

        Returns:
            A scalar, or ``(batch,)`` with ``reduction="none"``.

        Raises:
            ValueError: Shapes do not fit, or the loss needs a noise that is not there.
        """
        # bf16 and half have too few digits for a ratio of energies, and no FFT on some devices.
        with torch.autocast(est_targets.device.type, enabled=False):
            values = self.per_utterance(self.prepare(select_signals(est_targets, targets, lengths)))
            return values.mean() if self.reduction == "mean" else values

    def prepare(self, signals: Signals) -> Signals:
        """Return the signals as :meth:`per_utterance` takes them; here with silent padding."""
        if signals.lengths is None:
            return signals
        estimate, target, noise = (
            None if signal is None else zero_padding(signal, signals.lengths)
            for signal in signals[:3]
        )
        assert estimate is not None
        assert target is not None
        return Signals(estimate, target, noise, signals.lengths)

    def per_utterance(self, signals: Signals) -> Tensor:
        """Return one value per utterance, ``(batch,)``."""
        raise NotImplementedError(f"{type(self).__name__} must implement per_utterance")


def select_signals(est_targets: Tensor, targets: Tensor, lengths: Tensor | None) -> Signals:
    """Take speech and noise out of the batches, in at least float32; see `SpeechLoss.forward`."""
    shapes = f"{tuple(est_targets.shape)} and {tuple(targets.shape)}"
    if est_targets.ndim not in (2, 3) or targets.ndim not in (2, 3):
        raise ValueError(
            "est_targets and targets must be (batch, n_src, samples) or (batch, samples); "
            f"got {shapes}"
        )
    estimate = est_targets if est_targets.ndim == 2 else est_targets[:, 0]
    references = targets[:, None] if targets.ndim == 2 else targets[:, :2]
    if estimate.shape != references[:, 0].shape or 0 in references.shape:
        raise ValueError(
            f"est_targets and targets must agree in batch and samples, none of them 0; got {shapes}"
        )
    if lengths is not None:
        lengths = check_lengths(lengths, *estimate.shape).to(estimate.device)
    dtype = torch.promote_types(torch.promote_types(estimate.dtype, targets.dtype), torch.float32)
    references = references.detach().to(dtype)
    noise = references[:, 1] if references.shape[1] > 1 else None
    return Signals(estimate.to(dtype), references[:, 0], noise, lengths)


def mean_over_time(values: Tensor, counts: Tensor) -> Tensor:
    """Return the mean of the first ``counts[b]`` values of each row, ``(batch,)``.

    Args:
        values: ``(batch, time)``.
        counts: How many of them are valid, ``(batch,)``.
    """
    inside = torch.arange(values.shape[-1], device=values.device) < counts[:, None]
    return torch.where(inside, values, values.new_zeros(())).sum(-1) / counts
