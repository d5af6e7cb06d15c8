"""Seed of a training step, which depends on its place in the run only."""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["seed_step"]


def seed_step(seed: int, epoch: int, batch: int, rank: int = 0) -> None:
    """Seed torch's generators for one training step.

    The same step of the same run draws the same numbers whether or not the run was interrupted
    before it, and whatever a validation, a logger or a data loader drew in between.
    """
    state = np.random.SeedSequence([seed, epoch, batch, rank]).generate_state(2, np.uint32)
    torch.manual_seed(int(state[0]) << 31 | int(state[1]))
