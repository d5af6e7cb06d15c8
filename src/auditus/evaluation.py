"""Evaluation of a batch by a list of metrics in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from .metric import Scores
from .metrics import PUBLISHED, get_metrics
from .ratios import check_variant

__all__ = ["Auditus", "evaluate"]


class Auditus:
    """Evaluates batches with a fixed list of metrics.

    Args:
        metrics: Names out of ``auditus.METRICS``; by default those of the published evaluation.
        sample_rate: Of the signals, in Hz.
        variant: "default", or "published" for the original's numbers of the SI and FW ratios,
            mistakes included.

    Raises:
        ValueError: An unknown metric or variant; the message lists the known ones.

    Example:
        >>> import torch
        >>> speech, noise = torch.randn(2, 4, 16000, generator=torch.Generator().manual_seed(0))
        >>> evaluator = Auditus(["si_sdr", "si_sir"], sample_rate=16000)
        >>> scores = evaluator(speech + 0.1 * noise, speech, noise)
        >>> [round(value) for value in scores["si_sdr"].values.tolist()]
        [20, 20, 20, 20]
    """

    def __init__(
        self, metrics: Iterable[str] = PUBLISHED, *, sample_rate: int, variant: str = "default"
    ) -> None:
        if sample_rate <= 0:
            raise ValueError(f"sample_rate must be positive, in Hz; got {sample_rate}")
        self.metrics = get_metrics(metrics)
        self.sample_rate = sample_rate
        self.options: Mapping[str, Any] = {"variant": variant} if check_variant(variant) else {}

    @property
    def needs_noise(self) -> bool:
        """Whether one of the metrics needs the noise."""
        return any(metric.needs_noise for metric in self.metrics)

    def __call__(
        self,
        estimate: Tensor,
        target: Tensor | None = None,
        noise: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
    ) -> dict[str, Scores]:
        """Evaluate a batch: metric name -> one value per utterance, and why where it is NaN.

        Args:
            estimate: ``(batch, time)``; or ``(batch, 2, time)``, left ear first, of which a metric
                of one channel reads the left.
            target: Of the estimate's shape.
            noise: Likewise; only some metrics need it.
            lengths: ``(batch,)`` samples that count in each row.

        Raises:
            ValueError: A needed signal is missing, shapes do not fit.
        """
        scores = {}
        # Of two ears a metric of one channel reads the left one.
        signals = (estimate, target, noise)
        left = [x[:, 0] if x is not None and x.ndim == 3 else x for x in signals]
        for metric in self.metrics:
            scores[metric.name] = metric.measure(
                *(left if metric.channels == 1 else signals),  # type: ignore[arg-type]
                sample_rate=self.sample_rate,
                lengths=lengths,
                **(self.options if metric.published else {}),
            )
        return scores


def evaluate(
    estimate: Tensor,
    target: Tensor,
    noise: Tensor | None = None,
    *,
    sample_rate: int,
    metrics: Iterable[str] = PUBLISHED,
    lengths: Tensor | None = None,
    variant: str = "default",
) -> dict[str, Tensor]:
    """Evaluate a batch once: metric name -> ``(batch,)``; ``Auditus`` also says why one is NaN."""
    evaluator = Auditus(metrics, sample_rate=sample_rate, variant=variant)
    scores = evaluator(estimate, target, noise, lengths=lengths)
    return {name: score.values for name, score in scores.items()}
