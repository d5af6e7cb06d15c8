"""What a launcher and the training it started tell each other: variables and small files."""

from __future__ import annotations

import os

__all__ = ["REQUEUE_FILE", "STOP_FILE", "Preempted", "is_several", "process_rank"]

STOP_FILE = "STOP"
"""In the experiment's folder: the run is to save and leave."""
REQUEUE_FILE = "REQUEUE"
"""There too: the run has left and is to be started again; holds the numbers of
its last step and of the one it began after."""


class Preempted(Exception):  # noqa: N818 - not an error
    """Training was asked to stop, has saved everything, and is to be started again.

    Attributes:
        step: The optimiser steps it has behind it.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(f"stopped after step {step} as asked; the same command goes on from there")


def process_rank() -> int:
    """Return this process's rank in a distributed run, as its launcher says; 0 without one."""
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # of torchrun, of Lightning, of srun
    return int(next((os.environ[name] for name in names if name in os.environ), 0))


def is_several() -> bool:
    """Return whether torchrun or srun started other processes of this run too."""
    names = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
    return any(int(os.environ.get(name, 1)) > 1 for name in names)
