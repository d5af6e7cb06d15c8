"""Enhancement of a signal that arrives piece by piece."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from asteroid.masknn.stream.fused_conv import fuse
from asteroid.masknn.stream.machine import FrameMachine, have_compiler
from asteroid.masknn.stream.state import StreamState
from asteroid.utils.registry import check_choice

__all__ = ["WaveStream"]

ENGINES = ("auto", "compiled", "torch")


class WaveStream:
    """A causal network with memory: the pieces it returns are those of the whole utterance.

    Each :meth:`step` takes one or more hops of samples and returns as many, which are
    ``delay_samples`` old: with the piece that has to be collected first, that is the latency
    (:meth:`latency_samples`). :meth:`flush` returns the rest.

    Two engines compute the same to rounding. ``torch`` runs the modules, on any device; one frame
    of a nested U-Net is thousands of calls that each cost more than their arithmetic, so larger
    pieces are faster, at the price of latency. ``compiled`` writes the network out as operations on
    flat arrays, which run in one compiled call a frame: for CNUNet in float32 on CPU, without
    embeddings, on one thread, equally fast whatever the size of the pieces. numba compiles it when
    it is first used on a machine, which takes some seconds.

    Args:
        network: A causal :class:`.framed.FramedModel`; a copy of it is taken, which later training
            does not change.
        batch: Signals that run side by side.
        engine: ``torch``, ``compiled``, or ``auto``: compiled where that is possible.

    Attributes:
        engine: ``torch`` or ``compiled``.

    Raises:
        ModuleNotFoundError: ``compiled`` is asked for and numba is not installed.
        ValueError: The network is not causal, or the engine unknown or not for this network.

    Example:
        >>> from asteroid.models import CNUNet
        >>> network = CNUNet(channels=4, inner_channels=2).eval()
        >>> signal, stream = torch.randn(1, 1024), network.stream()
        >>> pieces = [stream.step(piece) for piece in signal.split(stream.hop_length, dim=1)]
        >>> streamed = torch.cat([*pieces, stream.flush()], dim=1)[:, stream.delay_samples :]
        >>> whole = network(signal).detach()[:, 0]
        >>> bool((streamed - whole).abs().max() < 1e-4 * whole.abs().max())
        True
    """

    def __init__(self, network: Any, batch: int = 1, engine: str = "auto") -> None:
        if network.latency_samples is None:
            raise ValueError(
                f"this {type(network).__name__} is not causal (as_published=True), so it cannot "
                f"run on a stream; build it with as_published=False"
            )
        machine = build_machine(network, batch, engine)
        self.engine = "torch" if machine is None else "compiled"
        self.network: Any = fuse(network) if machine is None else copy.deepcopy(network).eval()
        self.hop_length: int = network.hop_length
        self.delay_samples: int = network.stft.delay
        weight = next(network.parameters())
        zeros = torch.zeros(batch, self.delay_samples, dtype=torch.float32, device=weight.device)
        self._recent = zeros.to(torch.promote_types(weight.dtype, torch.float32))
        self._overlap = torch.zeros_like(self._recent)
        self.state = StreamState(machine)

    def latency_samples(self, hops: int = 1) -> int:
        """Return the age of the oldest sample that a step of so many hops completes."""
        return self.delay_samples + hops * self.hop_length

    def step(self, samples: Tensor, embeddings: Tensor | None = None) -> Tensor:
        """Return the enhanced samples that became complete, as many as went in.

        Args:
            samples: ``(batch, n)``, ``n`` a multiple of ``hop_length``.
            embeddings: ``(batch, n / hop_length, size)`` for networks that take them.

        Raises:
            ValueError: The samples have another shape.
        """
        if samples.ndim != 2 or samples.shape[0] != self._recent.shape[0]:
            raise ValueError(
                f"samples must have shape ({self._recent.shape[0]}, n); got {tuple(samples.shape)}"
            )
        if samples.shape[1] == 0 or samples.shape[1] % self.hop_length:
            raise ValueError(
                f"a step takes a multiple of {self.hop_length} samples; got {samples.shape[1]}"
            )
        with torch.inference_mode():
            enhanced = self._step(samples, embeddings)
        return enhanced.clone()  # outside: a tensor like any other

    def _step(self, samples: Tensor, embeddings: Tensor | None) -> Tensor:
        signal = torch.cat([self._recent, samples.to(self._recent)], dim=1)
        self._recent = signal[:, signal.shape[1] - self.delay_samples :]
        spectrum = self.network.stft.transform(signal)
        enhanced, _ = self.network.enhance(spectrum, self.state, embeddings)
        return self._add(self.network.stft.frames(enhanced))

    def flush(self) -> Tensor:
        """Return the last ``delay_samples`` samples, up to a hop more, by letting zeros follow."""
        n_steps = -(-self.delay_samples // self.hop_length)
        if n_steps == 0:
            return self._recent
        zeros = self._recent.new_zeros(self._recent.shape[0], n_steps * self.hop_length)
        return self.step(zeros)

    def _add(self, frames: Tensor) -> Tensor:
        """Add frames to what earlier ones left; return the samples that no later one reaches."""
        batch, n_frames, length = frames.shape
        n_done = n_frames * self.hop_length
        total = frames.new_zeros(batch, n_done + length - self.hop_length)
        total[:, : self.delay_samples] = self._overlap
        # Frames overlap, so they are added one after the other.
        for index in range(n_frames):
            start = index * self.hop_length
            total[:, start : start + length] += frames[:, index]
        self._overlap = total[:, n_done:]
        done: Tensor = total[:, :n_done] / self.network.stft.repeated(frames)
        return done


def build_machine(network: Any, batch: int, engine: str) -> FrameMachine | None:
    """Return what runs a network frame by frame; None: its modules do.

    Raises:
        ModuleNotFoundError: ``compiled`` is asked for and numba is not installed.
        ValueError: The engine is unknown or not for this network.
    """
    check_choice("engine", engine, ENGINES)
    weight = next(network.parameters())
    fits = weight.device.type == "cpu" and weight.dtype == torch.float32
    if engine == "compiled" and not fits:
        raise ValueError(
            f"engine='compiled' is for float32 on CPU; this network is {weight.dtype} on "
            f"{weight.device}: use engine='torch'"
        )
    if engine == "torch" or not fits or (engine == "auto" and not have_compiler()):
        return None
    try:
        program = network.frame_program()
    except ValueError:
        if engine == "compiled":
            raise
        return None
    return FrameMachine(program, batch)
