"""Machine that runs a :class:`.FrameProgram` frame by frame, for signals side by side."""

from __future__ import annotations

import importlib.util

import numpy as np
import torch
from torch import Tensor

from asteroid.utils.optional import missing_package

from .program import FrameProgram, Map

__all__ = ["FrameMachine", "have_compiler"]


def have_compiler() -> bool:
    """Return whether what :class:`FrameMachine` needs is installed."""
    return all(importlib.util.find_spec(name) for name in ("numba", "scipy", "threadpoolctl"))


class FrameMachine:
    """A program with the memory of one or more signals; it runs on one thread.

    Args:
        program: What to run.
        batch: Signals that run side by side.

    Raises:
        ModuleNotFoundError: numba is not installed.
    """

    def __init__(self, program: FrameProgram, batch: int = 1) -> None:
        if not have_compiler():
            raise missing_package("a compiled stream", "numba")
        from threadpoolctl import ThreadpoolController

        from .kernels import run

        self.program, self._run = program, run
        self._memory = np.zeros((batch, program.memory), np.float32)
        self._totals = np.zeros((batch, program.totals))
        self._columns = np.zeros(program.columns, np.float32)
        self._products = np.zeros(program.products, np.float32)
        self._threads = ThreadpoolController().select(user_api="blas")
        self._frame = 0
        # Compiles, so that the first real frame is not late.
        self.step(np.zeros((batch, program.source.rows, program.source.channels), np.float32))
        self.restart()

    def restart(self) -> None:
        """Go back to the start of the signals."""
        self._frame = 0
        self._memory[:] = 0
        self._totals[:] = 0

    def n_values(self) -> int:
        """Return how many numbers are remembered."""
        return self._memory.size + self._totals.size

    def step(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Compute one frame of every signal.

        Args:
            frames: The source map of each, float32 ``(batch, rows, channels)``.

        Returns:
            The result maps by name, ``(batch, rows, channels)``.
        """
        program, source = self.program, self.program.source
        # Into the ring's slot of this frame; operations read it from there.
        self._now(source)[:] = frames.reshape(len(frames), -1)
        with self._threads.limit(limits=1):
            for memory, totals in zip(self._memory, self._totals, strict=True):
                work = (memory, totals, self._columns, self._products)
                self._run(program.code, self._frame, program.weights, *work)
        results = {}
        for name, place in program.results.items():
            results[name] = self._now(place).copy().reshape(-1, place.rows, place.channels)
        self._frame += 1
        return results

    def _now(self, place: Map) -> np.ndarray:
        """Return the numbers of the present frame of a map, ``(batch, numbers)``."""
        start = place.offset + self._frame % place.frames * place.size
        return self._memory[:, start : start + place.size]

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Compute ``(batch, channels, rows, frames)``, frame after frame, to maps of that form."""
        pieces = [self.step(np.ascontiguousarray(each)) for each in x.permute(3, 0, 2, 1).numpy()]
        return {
            name: torch.from_numpy(np.stack([piece[name] for piece in pieces])).permute(1, 3, 2, 0)
            for name in self.program.results
        }
