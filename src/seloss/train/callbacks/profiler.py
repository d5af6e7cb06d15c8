"""Profiler of some training steps: a trace to look at and a summary to read."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.profilers import Profiler

from asteroid.utils.files import atomic_path, write_text
from asteroid.utils.system import peak_memory_bytes

from .profile_summary import Operators, Setting, StepTimes, read_operators, summarise

__all__ = ["SUMMARY_FILE", "TRACE_FILE", "StepProfiler"]

_LOG = logging.getLogger(__name__)
SUMMARY_FILE, TRACE_FILE = "summary.txt", "trace.json.gz"
WARM, CLOCKED, TRACED = 3, 5, 2
_NEXT = "train_dataloader_next"
_PAUSES = (".on_validation_start", ".on_train_epoch_end", "save_checkpoint")
_PHASE_OF = {
    _NEXT: "data wait",
    "batch_to_device": "data wait",
    "forward": "forward",
    "loss": "loss",
    "backward": "backward",
    "optimizer_step": "optimiser",
    "training_step": "rest",
}


class StepProfiler(Profiler):
    """Time the phases of some steps, then trace the operators of others, and write both down.

    The first steps, which allocate and compile, are left out, and what is between two epochs.
    Phases are timed without the tracer, which slows down small operators; on a GPU by its own
    clock, so that ``data wait`` is time in which it had nothing to do.

    Args:
        folder: Gets ``summary.txt`` and ``trace.json.gz``.
        device: ``cpu`` or ``cuda``.
        mixtures: Of a step, in all processes, for the summary.
        num_workers: Processes that read data, for the summary.
    """

    def __init__(self, folder: Path, device: str, mixtures: int, num_workers: int) -> None:
        super().__init__()
        self.folder, self.device = folder, device
        self.mixtures, self.num_workers = mixtures, num_workers
        self.times = StepTimes(warm=WARM)
        self.is_done = False
        self._stack: list[tuple[str, str, Any]] = []
        self._marks: list[tuple[Any, str]] = []
        self._step = -1  # number of the step that has begun, from 0
        self._is_inside = False  # a step; else between two epochs
        self._processor = 0.0
        self._tracer: torch.profiler.profile | None = None
        self._traced = 0
        self._traced_from = 0.0

    def start(self, action_name: str) -> None:
        """Begin an action of Lightning's, or one that the system names."""
        if self.is_done:
            return
        if action_name.endswith(_NEXT):
            self._begin_step()
        elif self._is_inside and action_name.endswith(_PAUSES):
            self._end_step()
            self._is_inside = False
            if self._tracer is not None:
                self._finish()  # or it would trace what is between two epochs
        above = self._stack[-1][1] if self._stack else "rest"
        name = action_name.rpartition(".")[2]
        phase = "rest" if action_name.startswith("[Callback]") else _PHASE_OF.get(name, above)
        shown = None
        if self._tracer is not None and name in _PHASE_OF:
            shown = torch.profiler.record_function(f"step: {phase}")
            shown.__enter__()
        self._mark()
        self._stack.append((action_name, phase, shown))

    def stop(self, action_name: str) -> None:
        """End an action."""
        if self.is_done or action_name not in [name for name, _, _ in self._stack]:
            return
        self._mark()
        ended = ""
        while ended != action_name:
            ended, _, shown = self._stack.pop()
            if shown is not None and self._tracer is not None:
                shown.__exit__(None, None, None)

    def describe(self) -> None:
        """Write down what was measured if training ends early."""
        if self.is_done:
            return
        self._end_step()
        if self.times.steps:
            self._finish()
        else:
            self.is_done = True
            _LOG.warning("--profile: training ended before step %d, the first measured", WARM + 1)

    def _begin_step(self) -> None:
        self._end_step()
        if self.is_done:
            return
        self._is_inside = True
        self._step += 1
        # Clocked and traced are different steps: the tracer slows small operators down.
        if WARM <= self._step < WARM + CLOCKED:
            self._processor = time.process_time()
            self._marks = [(self._now(), "rest")]
        elif self._step >= WARM + CLOCKED and self._tracer is None:
            self._trace()

    def _end_step(self) -> None:
        """Add up the step that was clocked, or count the one that was traced."""
        if not self._is_inside:
            return
        if self._marks:
            self._mark()
            self._add_up()
        elif self._tracer is not None:
            self._traced += 1
            if self._traced == TRACED:
                self._finish()

    def _mark(self) -> None:
        """Note when the phase that is running was left."""
        if self._marks:
            self._marks.append((self._now(), self._stack[-1][1] if self._stack else "rest"))

    def _now(self) -> Any:
        if self.device != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _add_up(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()
        before, _ = self._marks[0]
        for now, phase in self._marks[1:]:
            passed = before.elapsed_time(now) / 1e3 if self.device == "cuda" else now - before
            self.times.seconds[phase] += passed
            before = now
        self._marks = []
        self.times.steps += 1
        self.times.processor_s += time.process_time() - self._processor

    def _trace(self) -> None:
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self.device == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        self._tracer = torch.profiler.profile(activities=activities, acc_events=True)
        self._tracer.start()
        self._traced_from = time.perf_counter()

    def _finish(self) -> None:
        """Write both files and measure no more; a full disk is no reason to stop training."""
        self.is_done = True
        operators = None
        try:
            if self._tracer is not None:
                operators = self._stop_trace(self._tracer)
            lines = summarise(self.times, operators, self._setting())
            write_text(self.folder / SUMMARY_FILE, "\n".join(lines) + "\n")
        except OSError as error:
            _LOG.warning("--profile: cannot write to %s: %s", self.folder, error)
            return
        for line in [*lines, f"written to {self.folder}; {TRACE_FILE} opens in ui.perfetto.dev"]:
            _LOG.info("profile: %s", line)

    def _stop_trace(self, tracer: torch.profiler.profile) -> Operators:
        for _, _, shown in reversed(self._stack):
            if shown is not None:
                shown.__exit__(None, None, None)
        tracer.stop()  # waits for the GPU
        traced_s = time.perf_counter() - self._traced_from
        self._tracer = None
        with atomic_path(self.folder / TRACE_FILE) as temporary:
            tracer.export_chrome_trace(str(temporary))
        return read_operators(tracer.key_averages(), traced_s, self.device)

    def _setting(self) -> Setting:
        memory = peak_memory_bytes()
        if self.device == "cuda":
            memory = torch.cuda.max_memory_allocated()
        return Setting(
            self.device, torch.get_num_threads(), self.mixtures, self.num_workers, memory
        )
