"""Summary of a profile: the time of a training step by phase, and what limits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PHASES", "Operators", "Setting", "StepTimes", "read_operators", "summarise"]

PHASES = ("data wait", "forward", "loss", "backward", "optimiser", "rest")
WAITING, BUSY = 0.05, 0.8  # from this share on it waits for data; below that for the processor


@dataclass
class StepTimes:
    """Times of some consecutive steps.

    Attributes:
        seconds: In each phase, all steps together.
        steps: How many.
        warm: How many were left out before them.
        processor_s: Processor time of this process.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    steps: int = 0
    warm: int = 0
    processor_s: float = 0.0

    @property
    def total_s(self) -> float:
        """All phases together."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Operators:
    """Times of operators, from the trace.

    Attributes:
        seconds: Of each operator, without those that it calls; on the GPU if there is one.
        gpu_share: Share of the traced time in which the GPU worked; None: there is none.
    """

    seconds: Mapping[str, float]
    gpu_share: float | None = None


@dataclass(frozen=True)
class Setting:
    """Circumstances of the measurement.

    Attributes:
        device: ``cpu`` or ``cuda``.
        threads: Of torch.
        mixtures: Of a step, in all processes.
        num_workers: Processes that read data.
        memory_bytes: The most that was in use: of the GPU, or of this process.
    """

    device: str
    threads: int
    mixtures: int
    num_workers: int
    memory_bytes: int


def read_operators(averages: Iterable[Any], traced_s: float, device: str) -> Operators:
    """Return times of operators from what ``torch.profiler`` recorded.

    Args:
        averages: Its ``key_averages()``.
        traced_s: How long it recorded.
        device: ``cpu`` or ``cuda``; on the latter the times of kernels count.
    """
    on_gpu = device == "cuda"
    seconds: dict[str, float] = {}
    busy = 0.0
    for row in averages:
        if row.is_user_annotation:
            continue
        micros = row.self_device_time_total if on_gpu else row.self_cpu_time_total
        if on_gpu and row.device_type.name != "CPU":
            busy += micros / 1e6  # a kernel, whose time its operator has, too
        elif micros > 0:
            seconds[row.key] = seconds.get(row.key, 0.0) + micros / 1e6
    share = min(busy / traced_s, 1.0) if on_gpu and traced_s > 0 else None
    return Operators(seconds, share)


def summarise(times: StepTimes, operators: Operators | None, setting: Setting) -> list[str]:
    """Return the ten lines."""
    step_ms = 1e3 * times.total_s / times.steps
    rate = setting.mixtures / (step_ms / 1e3)
    lines = [
        f"a step of {setting.mixtures} mixture(s) takes {step_ms:.1f} ms ({rate:.2f} mixtures/s): "
        f"mean of {times.steps} steps after {times.warm} of warm-up, {setting.device}"
    ]
    for phase in PHASES:
        share = times.seconds[phase] / times.total_s
        lines.append(f"  {phase:<10} {step_ms * share:9.1f} ms  {100 * share:5.1f} %")
    lines += [_top(operators), _use(times, operators, setting)]
    return [*lines, f"it waits for {_waits_for(times, operators, setting)}"]


def _top(operators: Operators | None) -> str:
    if operators is None or not operators.seconds:
        return "top operators: not traced, training ended before"
    total = sum(operators.seconds.values())
    ranked = sorted(operators.seconds.items(), key=lambda item: -item[1])[:5]
    shares = ", ".join(
        f"{name if len(name) <= 40 else name[:37] + '...'} {100 * s / total:.0f} %"
        for name, s in ranked
    )
    return f"top operators: {shares}"


def _use(times: StepTimes, operators: Operators | None, setting: Setting) -> str:
    gib = setting.memory_bytes / 2**30
    busy = times.processor_s / times.total_s
    text = f"memory: at most {gib:.2f} GiB; processor: {busy:.1f} of {setting.threads} thread(s)"
    if operators is not None and operators.gpu_share is not None:
        text += f"; GPU: busy {100 * operators.gpu_share:.0f} % of the time while traced"
    return text


def _waits_for(times: StepTimes, operators: Operators | None, setting: Setting) -> str:
    shares = {phase: seconds / times.total_s for phase, seconds in times.seconds.items()}
    if shares["data wait"] >= WAITING:
        readers = f"{setting.num_workers} now" if setting.num_workers else "none now"
        return (
            f"data, {100 * shares['data wait']:.0f} % of its time: give more --num_workers "
            f"({readers}), or put the data on a faster disk"
        )
    gpu = None if operators is None else operators.gpu_share
    if gpu is not None and gpu < BUSY:
        return (
            f"the processor, while the GPU is idle {100 * (1 - gpu):.0f} % of the time: try a "
            "larger --batch_size, or --compile"
        )
    busy = times.processor_s / times.total_s
    if setting.device == "cpu" and busy < BUSY:
        return (
            f"the processor, which computes for it {100 * busy:.0f} % of the time: other programs "
            "take the rest, or something in the step sleeps"
        )
    longest = max((p for p in PHASES if p != "rest"), key=lambda phase: shares[phase])
    return f"nothing but its own computation, most of it {longest} ({100 * shares[longest]:.0f} %)"
