"""A network over a signal that comes piece by piece: what goes in, comes out, later.

Networks with a stream of their own (causal ones) carry their memory from piece to piece and answer
as for the whole signal. Others are run on blocks with context on both sides; neighbouring answers
are cross-faded by raised cosines. Those that normalise over all they see run twice: the first time
to gather mean and variance of the whole. A signal that fits into one block with its context is
enhanced whole, exactly as `evaluation.infer` does.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seloss.pretrained.whole_norm import select_channel

from .network import enhance_mixture, n_inputs

__all__ = ["BlockEnhancer", "Enhancer", "StreamEnhancer", "build_enhancer"]

# Half of the cross-fade between two blocks, in seconds: longer than a pitch period, shorter than
# a syllable.
FADE_S = 0.016
# What a stream takes at a time, in seconds; bounds its memory.
STEP_S = 2.0
# A multiple of the strides of encoders in use, in samples.
OTHER_GRID = 1600


class Enhancer(Protocol):
    """Takes `(channels, n)` again and again; returns what has become ready, `(outputs, m)`."""

    def push(self, piece: Tensor) -> Tensor:
        """Take a piece, return what is ready."""
        ...

    def finish(self) -> Tensor:
        """Return the rest: as much came out as went in."""
        ...


def build_enhancer(
    network: nn.Module, n_channels: int, sample_rate: int, block_s: float, context_s: float
) -> Enhancer:
    """Choose how a network goes over a long signal.

    Args:
        network: in evaluation mode; one of a single channel is run on each channel by itself.
        n_channels: of the signal.
        sample_rate: of the network, in Hz.
        block_s: length of blocks.
        context_s: on either side of them.

    Raises:
        ValueError: the network takes another number of channels.
    """
    channels = n_inputs(network)
    if channels not in (None, 1, n_channels):
        raise ValueError(f"the network takes {channels} channels; there are {n_channels}")
    streams = getattr(network, "streams", False)
    if streams and channels == 1 and not getattr(network, "embedding_dim", None):
        return StreamEnhancer(network, n_channels, sample_rate)
    grid = _grid(network)
    block, context = (
        -(-round(seconds * sample_rate) // grid) * grid for seconds in (block_s, context_s)
    )
    return BlockEnhancer(network, n_channels, block, context, round(FADE_S * sample_rate))


def _grid(network: nn.Module) -> int:
    """Return the shift in samples that shifts a network's answer by as much, no more and no less.

    Frames must fall on the same samples in every block, and in networks that halve the frame rate
    on the same pairs of frames: six halvings are more than any of ours has.
    """
    hop = getattr(getattr(network, "stft", None), "hop_length", None)
    if hop:
        return int(hop) * 2**6
    windows, chunks = getattr(network, "stride", None), getattr(network, "hop_size", None)
    if windows and chunks:  # dual-path: windows in chunks
        return int(windows) * int(chunks)
    return OTHER_GRID


class BlockEnhancer:
    """A network on blocks with context; see the module.

    Args:
        network: see `build_enhancer`.
        n_channels: of the signal.
        block: samples from one block to the next.
        context: samples on either side of a block that the network sees as well.
        fade: half of a cross-fade, in samples, not longer than the context.

    Raises:
        ValueError: a size is out of range.
    """

    def __init__(
        self, network: nn.Module, n_channels: int, block: int, context: int, fade: int
    ) -> None:
        if not (block >= 1 and 0 <= context <= block):
            raise ValueError(f"expected a block longer than its context; got {block}, {context}")
        self._network, self._block, self._context = network, block, context
        self._fade = min(fade, context, block // 2)
        self._apart = n_inputs(network) == 1
        self._signal = torch.zeros(n_channels, 0)
        self._before = 0  # samples of the kept signal that lie before the present block
        self._tail: Tensor | None = None  # faded end of the block before

    def push(self, piece: Tensor) -> Tensor:
        """Take `(channels, n)`, return the blocks that are complete."""
        self._signal = torch.cat([self._signal, piece], dim=1)
        ready = []
        while self._signal.shape[1] > self._before + self._block + self._context:
            ready.append(self._run(last=False))
        return torch.cat(ready, dim=1) if ready else self._empty()

    def finish(self) -> Tensor:
        """Return the last block."""
        return self._run(last=True) if self._signal.shape[1] else self._empty()

    def _run(self, *, last: bool) -> Tensor:
        """Enhance the present block and go on to the next one."""
        start, end = self._before, self._before + self._block
        if last:
            answer = self._answer(self._signal)
            return self._joined(answer[:, max(0, start - self._fade) :])
        answer = self._answer(self._signal[:, : end + self._context])
        body = self._joined(answer[:, max(0, start - self._fade) : end - self._fade])
        fade = _fade_out(2 * self._fade)
        self._tail = answer[:, end - self._fade : end + self._fade] * fade
        kept = max(0, end - self._context)
        self._signal, self._before = self._signal[:, kept:].clone(), end - kept
        return body

    def _joined(self, answer: Tensor) -> Tensor:
        """Add the end of the block before to the start of this one, faded in."""
        if self._tail is None:
            return answer
        width = self._tail.shape[1]
        fade_in = 1 - _fade_out(width)
        return torch.cat([self._tail + answer[:, :width] * fade_in, answer[:, width:]], dim=1)

    def _answer(self, signal: Tensor) -> Tensor:
        if self._apart:
            answers = []
            for channel, samples in enumerate(signal):
                select_channel(self._network, channel)
                answers.append(enhance_mixture(self._network, samples[None]))
            return torch.stack(answers)
        return enhance_mixture(self._network, signal)[None]

    def _empty(self) -> Tensor:
        return torch.zeros(self._signal.shape[0] if self._apart else 1, 0)


class StreamEnhancer:
    """A causal network with its memory; see the module.

    Args:
        network: with `stream(batch)` as `asteroid.models.framed.FramedModel` has it.
        n_channels: each is enhanced by itself.
        sample_rate: in Hz.
        step_s: what the stream takes at a time, in seconds, at least a frame.
    """

    def __init__(
        self, network: nn.Module, n_channels: int, sample_rate: int, step_s: float = STEP_S
    ) -> None:
        self._stream = network.stream(n_channels)  # type: ignore[operator]
        self._device = next(network.parameters()).device
        hop = self._stream.hop_length
        self._step = max(1, round(step_s * sample_rate) // hop) * hop
        self._waiting = torch.zeros(n_channels, 0)
        self._late = int(self._stream.delay_samples)
        self._taken = self._given = 0

    def push(self, piece: Tensor) -> Tensor:
        """Take `(channels, n)`, return what is ready."""
        self._taken += piece.shape[1]
        self._waiting = torch.cat([self._waiting, piece], dim=1)
        ready = [self._waiting[:, :0]]
        while self._waiting.shape[1] >= self._step:
            ready.append(self._run(self._waiting[:, : self._step]))
            self._waiting = self._waiting[:, self._step :]
        return torch.cat(ready, dim=1)

    def finish(self) -> Tensor:
        """Return the rest."""
        hop = self._stream.hop_length
        missing = -self._waiting.shape[1] % hop
        padded = torch.nn.functional.pad(self._waiting, (0, missing))
        ready = [self._run(padded)] if padded.shape[1] else []
        ready.append(self._on_time(self._stream.flush()))
        answer = torch.cat(ready, dim=1)
        left = self._taken - (self._given - answer.shape[1])
        return answer[:, :left]

    def _run(self, samples: Tensor) -> Tensor:
        return self._on_time(self._stream.step(samples.to(self._device)))

    def _on_time(self, answer: Tensor) -> Tensor:
        """Take the delay away from the start; refuse what is not finite."""
        dropped = min(self._late, answer.shape[1])
        self._late -= dropped
        answer = answer[:, dropped:].float().cpu()
        if not bool(torch.isfinite(answer).all()):
            raise ValueError("the network gave values that are not finite")
        self._given += answer.shape[1]
        return answer


def _fade_out(width: int) -> Tensor:
    """Return half a raised cosine from 1 to 0; with its complement it sums to 1."""
    phase: NDArray[np.float64] = (np.arange(width) + 0.5) / max(1, width)
    return torch.from_numpy((0.5 + 0.5 * np.cos(np.pi * phase)).astype(np.float32))
