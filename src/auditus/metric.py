"""Metric: a function on clean rows of signals, with its metadata and its conditions.

A metric is written as a *core*: a function of ``Rows`` (signals of one length, finite, float64, not
silent) that returns ``Scores``. ``Metric`` puts around it what all metrics share: shapes are
checked, padding is cut off, rows on which the metric is not defined become NaN with the reason, and
the caller's tensors are never touched.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import torch
from torch import Tensor

from .checks import Prepared, checked, groups, prepared

__all__ = ["Metric", "Rows", "Scores", "mean_where", "metric"]


@dataclass(frozen=True)
class Scores:
    """One value per utterance and, where it is NaN, why.

    Attributes:
        values: ``(batch,)``, float64, NaN where the metric is not defined.
        reasons: One string per utterance, empty where the value is defined.
    """

    values: Tensor
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, values: Tensor) -> Scores:
        """Wrap the values of a core that has nothing particular to say about its NaN."""
        reasons = (
            "not defined for these signals" if value != value else "" for value in values.tolist()
        )
        return cls(values, tuple(reasons))

    def only(self, defined: Tensor, reason: str) -> Scores:
        """Keep the values where ``defined`` ``(batch,)`` is true; elsewhere NaN for this reason."""
        kept = zip(self.reasons, defined.tolist(), strict=True)
        reasons = tuple(old or ("" if fine else reason) for old, fine in kept)
        return Scores(torch.where(defined, self.values, torch.nan), reasons)


@dataclass(frozen=True)
class Rows:
    """Signals of one length, ready to be scored: ``(rows, time)``, float64, finite."""

    signals: Mapping[str, Tensor]
    sample_rate: int

    @property
    def estimate(self) -> Tensor:
        """The signals that are scored."""
        return self.signals["estimate"]

    @property
    def target(self) -> Tensor:
        """The clean speech."""
        return self.signals["target"]

    @property
    def noise(self) -> Tensor:
        """Everything else that the mixture held."""
        return self.signals["noise"]


Core = Callable[..., Scores]


def mean_where(values: Tensor, counts: Tensor) -> Tensor:
    """Average over the last axis where ``counts`` is true; NaN where it never is."""
    return torch.where(counts, values, 0.0).sum(-1) / counts.sum(-1)


@dataclass(frozen=True)
class Metric:
    """A metric: call it with signals for its values, or ``measure`` for values and reasons.

    Attributes:
        name: The key in the registry, as ``si_sdr``.
        label: The published name, as ``SI-SDR``.
        core: The function of ``Rows`` that computes it.
        source: Paper or standard, and the implementation that is called.
        unit: "dB", or "" for a value without a unit.
        bounds: Lowest and highest possible value.
        higher_is_better: False for a distance.
        needs: The signals it reads, out of estimate, target, noise.
        sounding: The signals that must not be silent (or constant); by default all it reads.
        min_seconds: Below this duration it is not defined.
        sample_rates: The rates in Hz it is defined at; empty: any.
        channels: 1, or 2 for a binaural one, whose signals are ``(batch, 2, time)``, left first.
    """

    name: str
    label: str
    core: Core = field(repr=False)
    _: KW_ONLY
    source: str
    unit: str = "dB"
    bounds: tuple[float, float] = (-torch.inf, torch.inf)
    higher_is_better: bool = True
    needs: tuple[str, ...] = ("estimate", "target")
    sounding: tuple[str, ...] = ()
    min_seconds: float = 0.0
    sample_rates: tuple[int, ...] = ()
    channels: int = 1

    def __post_init__(self) -> None:
        """Complete the signals that must not be silent."""
        object.__setattr__(self, "sounding", self.sounding or self.needs)

    @property
    def published(self) -> bool:
        """Whether it has a ``variant`` that gives the numbers of the published evaluation."""
        return "variant" in inspect.signature(self.core).parameters

    @property
    def title(self) -> str:
        """Label and unit, as for an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def needs_target(self) -> bool:
        """Whether the clean speech must be known."""
        return "target" in self.needs

    @property
    def needs_noise(self) -> bool:
        """Whether the noise must be known."""
        return "noise" in self.needs

    def __call__(
        self,
        estimate: Tensor,
        target: Tensor | None = None,
        noise: Tensor | None = None,
        *,
        sample_rate: int,
        lengths: Tensor | None = None,
        **options: object,
    ) -> Tensor:
        """Return the values alone; see ``measure``."""
        return self.measure(
            estimate, target, noise, sample_rate=sample_rate, lengths=lengths, **options
        ).values

    def measure(
        self,
        estimate: Tensor,
        target: Tensor | None = None,
        noise: Tensor | None = None,
        *,
        sample_rate: int,
        lengths: Tensor | None = None,
        **options: object,
    ) -> Scores:
        """Score each utterance of a batch by itself.

        Args:
            estimate: ``(batch, time)``, or ``(batch, 2, time)`` for a binaural metric; any real
                dtype and device.
            target: Of the estimate's shape; may be None for a metric that does not need it.
            noise: Likewise.
            sample_rate: In Hz.
            lengths: ``(batch,)`` samples that count in each row; None: all. What lies behind is as
                if it were not there.
            **options: Options of this metric, as ``variant``.

        Returns:
            Values ``(batch,)`` in float64 on the estimate's device, and reasons.

        Raises:
            ValueError: A signal is missing, shapes do not fit, a length is out of range.
            TypeError: A signal is not a real tensor.
        """
        given = {"estimate": estimate, "target": target, "noise": noise}
        signals = {
            name: checked(self.name, name, given[name], estimate, self.channels)
            for name in self.needs
        }
        batch = estimate.shape[0]
        values = torch.full((batch,), torch.nan, dtype=torch.float64)
        reasons = [""] * batch
        # Rows of one length together: nothing behind a row's end can reach its score.
        with torch.no_grad():
            for length, rows in groups(lengths, estimate):
                scores = self._measure_rows(signals, length, rows, sample_rate, options)
                values[rows] = scores.values
                for row, reason in zip(rows.tolist(), scores.reasons, strict=True):
                    reasons[row] = reason
        # MPS has no float64.
        on_device = values if estimate.device.type == "mps" else values.to(estimate.device)
        return Scores(on_device, tuple(reasons))

    def bind(self, sample_rate: int, **options: object) -> Callable[..., Tensor]:
        """Return a callable ``(estimate, target, noise, lengths) -> (batch,)`` for trainers."""

        def score(
            estimate: Tensor,
            target: Tensor,
            noise: Tensor | None = None,
            lengths: Tensor | None = None,
        ) -> Tensor:
            return self(
                estimate, target, noise, sample_rate=sample_rate, lengths=lengths, **options
            )

        return score

    def _measure_rows(
        self,
        signals: Mapping[str, Tensor],
        length: int,
        rows: Tensor,
        sample_rate: int,
        options: Mapping[str, object],
    ) -> Scores:
        """Score the rows that share one length; the result is on the CPU."""
        which = tuple(rows.tolist())
        cut = {name: prepared(signal, length, which) for name, signal in signals.items()}
        reasons = self._conditions(cut, length, len(which), sample_rate)
        values = torch.full((len(reasons),), torch.nan, dtype=torch.float64)
        sound = [row for row, reason in enumerate(reasons) if not reason]
        if sound:
            clean = {name: part.signal for name, part in cut.items()}
            if len(sound) < len(reasons):
                clean = {
                    name: signal[torch.tensor(sound, device=signal.device)]
                    for name, signal in clean.items()
                }
            scores = self.core(Rows(clean, sample_rate), **options)
            values[sound] = scores.values.cpu()
            for row, reason in zip(sound, scores.reasons, strict=True):
                reasons[row] = reason
        return Scores(values, tuple(reasons))

    def _conditions(
        self, cut: Mapping[str, Prepared], length: int, n_rows: int, sample_rate: int
    ) -> list[str]:
        """Say for each row why the metric is not defined on it, "" where it is."""
        if self.sample_rates and sample_rate not in self.sample_rates:
            rates = " or ".join(str(rate) for rate in self.sample_rates)
            return [f"defined at {rates} Hz; the signals are at {sample_rate} Hz"] * n_rows
        if length == 0:
            return ["no samples"] * n_rows
        if length < self.min_seconds * sample_rate:
            return [f"shorter than {self.min_seconds:g} s: {length / sample_rate:.3f} s"] * n_rows
        reasons = [""] * n_rows
        for name, part in cut.items():
            for row, (finite, silent) in enumerate(zip(part.finite, part.silent, strict=True)):
                if not finite:
                    reasons[row] = reasons[row] or f"the {name} holds values that are not finite"
                elif silent and name in self.sounding:
                    reasons[row] = reasons[row] or f"the {name} is silent"
        return reasons


def metric(name: str, label: str, **attributes: Any) -> Callable[[Core], Metric]:
    """Make a metric of the core that follows; the arguments are the attributes of ``Metric``."""

    def build(core: Core) -> Metric:
        built = Metric(name, label, core, **attributes)
        object.__setattr__(built, "__doc__", core.__doc__)  # it is frozen
        return built

    return build
