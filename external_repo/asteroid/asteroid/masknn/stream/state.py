"""Memory of a causal network from one piece of a signal to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from .machine import FrameMachine

__all__ = ["StreamState", "with_past"]


class StreamState:
    """Memories of the modules of one network, for one stream (or a batch that starts together).

    A module that needs past frames takes an optional state in its ``forward``: without one the
    input is a whole utterance and its past is zeros; with one, the past is what the state holds,
    and the state is brought up to date. The same lines compute both, so that they cannot differ.

    Args:
        machine: Runs most of the network in place of its modules, with a memory of its own.

    Example:
        >>> layer, state = nn.Identity(), StreamState()
        >>> for frame in torch.arange(1.0, 4.0).view(3, 1, 1):
        ...     print(with_past(frame, 2, layer, state).tolist())
        [[0.0, 0.0, 1.0]]
        [[0.0, 1.0, 2.0]]
        [[1.0, 2.0, 3.0]]
    """

    def __init__(self, machine: FrameMachine | None = None) -> None:
        self.machine = machine
        self._memories: dict[tuple[nn.Module, str], Tensor] = {}

    def get(self, owner: nn.Module, name: str = "past") -> Tensor | None:
        """Return what ``owner`` remembers under ``name``; None at the start of a stream."""
        return self._memories.get((owner, name))

    def set(self, owner: nn.Module, value: Tensor, name: str = "past") -> None:
        """Remember ``value`` for ``owner`` under ``name``."""
        self._memories[owner, name] = value.detach()

    def restart(self) -> None:
        """Go back to the start of a stream: every memory starts as zeros."""
        if self.machine is not None:
            self.machine.restart()
        for key, value in self._memories.items():
            self._memories[key] = torch.zeros_like(value)

    def values(self) -> list[Tensor]:
        """Return all memories, in the order in which they were first set."""
        return list(self._memories.values())

    def swap(self, values: Sequence[Tensor]) -> None:
        """Put ``values`` in the place of what :meth:`values` returns."""
        self._memories = dict(zip(self._memories, values, strict=True))

    def n_values(self) -> int:
        """Return how many numbers are remembered."""
        more = 0 if self.machine is None else self.machine.n_values()
        return more + sum(value.numel() for value in self._memories.values())


def with_past(
    x: Tensor, frames: int, owner: nn.Module, state: StreamState | None, name: str = "past"
) -> Tensor:
    """Put the last ``frames`` frames before ``x`` ``(..., frames)``: zeros where there are none.

    Args:
        x: Features, time last.
        frames: How many past frames are needed.
        owner: The module that needs them.
        state: Where they are kept between calls; None if ``x`` starts the signal and ends it.
        name: Tells several memories of one module apart.
    """
    if frames == 0:
        return x
    past = None if state is None else state.get(owner, name)
    extended = F.pad(x, (frames, 0)) if past is None else torch.cat([past, x], dim=-1)
    if state is not None:
        state.set(owner, extended[..., extended.shape[-1] - frames :], name)
    return extended
