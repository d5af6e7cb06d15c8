"""Enhancement of a signal as it arrives: through a pipe, or from microphone to loudspeaker.

Only networks with a stream of their own (causal ones) do that. The level is the network's: the gain
that fits a whole file to its mixture is not known before its end.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import threading
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asteroid.utils.optional import needed_for
from evaluation.work.cli import positive_int

from .audio import Resampler
from .blocks import StreamEnhancer

__all__ = ["Times", "add_live_options", "enhance_arriving", "enhance_live", "enhance_pipe"]

_FULL_SCALE = 2**15
_READ_BYTES = 1 << 16

logger = logging.getLogger(__name__)


@dataclass
class Times:
    """What a stream took.

    Attributes:
        latency_ms: From a sample to the one that answers it: window and frame, without the device.
        audio_s: Duration of the signal.
        busy_s: Time spent on it.
        worst_ms: Longest time for one block.
        glitches: Blocks of which the device lost or repeated samples.
        clipped: Samples that did not fit.
    """

    latency_ms: float
    audio_s: float = 0.0
    busy_s: float = 0.0
    worst_ms: float = 0.0
    glitches: int = 0
    clipped: int = 0

    def add(self, audio_s: float, busy_s: float) -> None:
        """Count a block."""
        self.audio_s += audio_s
        self.busy_s += busy_s
        self.worst_ms = max(self.worst_ms, 1000 * busy_s)

    def __str__(self) -> str:
        factor = self.busy_s / self.audio_s if self.audio_s else 0.0
        clipped = f", {self.clipped} samples clipped" if self.clipped else ""
        return (
            f"{self.audio_s:.1f} s of audio in {self.busy_s:.1f} s, real-time factor {factor:.3f}, "
            f"latency {self.latency_ms:.1f} ms, longest block {self.worst_ms:.1f} ms{clipped}"
        )


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of signals that are enhanced as they arrive."""
    add = parser.add_argument
    add("--live", action="store_true", help="from microphone to loudspeaker; Ctrl-C ends")
    add("--seconds", type=float, metavar="S", help="of --live (default: until Ctrl-C)")
    add("--audio_devices", nargs=2, metavar=("IN", "OUT"), help="of --live, names or numbers")
    add("--pcm_rate", type=positive_int, default=16000, metavar="HZ", help="of - (16000)")
    add("--pcm_channels", type=positive_int, default=1, metavar="N", help="of - (1)")


def enhance_arriving(network: nn.Module, args: argparse.Namespace) -> None:
    """Do what the options of :func:`add_live_options` say, and log what it took."""
    limit = {"attenuation_limit_db": args.attenuation_limit_db}
    if args.live:
        devices = args.audio_devices and tuple(
            int(name) if name.isdigit() else name for name in args.audio_devices
        )
        times = enhance_live(network, devices=devices, seconds=args.seconds, **limit)
        logger.info("%s; %d glitches", times, times.glitches)
    else:
        layout = {"sample_rate": args.pcm_rate, "channels": args.pcm_channels}
        times = enhance_pipe(network, sys.stdin.buffer, sys.stdout.buffer, **layout, **limit)
        logger.info("%s", times)


def enhance_pipe(
    network: nn.Module,
    source: BinaryIO,
    sink: BinaryIO,
    *,
    sample_rate: int,
    channels: int = 1,
    attenuation_limit_db: float | None = None,
) -> Times:
    """Enhance raw PCM (16 bit, little-endian, channels interleaved) as it arrives.

    As many samples come out as went in, none of them late: the first ones wait for the network.

    Args:
        network: Causal, of one microphone, with ``sample_rate``; each channel goes by itself.
        source: Read until its end.
        sink: Written and flushed as soon as there is something.
        sample_rate: Of both, Hz.
        channels: Of both.
        attenuation_limit_db: Most that noise is lowered; None: no limit.

    Raises:
        ValueError: The network has no stream; or the source ends within a sample.
    """
    line = _Pipe(network, sample_rate, channels, _share(attenuation_limit_db))
    times = Times(_latency_ms(network))
    read = getattr(source, "read1", source.read)
    frame_bytes, rest, n_in, n_out = 2 * channels, b"", 0, 0

    def write(samples: Tensor) -> int:
        whole = np.rint(_FULL_SCALE * samples.numpy().T)
        times.clipped += int(((whole < -_FULL_SCALE) | (whole >= _FULL_SCALE)).sum())
        sink.write(np.clip(whole, -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2").tobytes())
        sink.flush()
        return len(whole)

    while piece := read(_READ_BYTES):
        start = time.perf_counter()
        piece = rest + piece
        n_frames = len(piece) // frame_bytes
        rest = piece[n_frames * frame_bytes :]
        block = np.frombuffer(piece, "<i2", n_frames * channels).reshape(-1, channels)
        n_in += n_frames
        n_out += write(line.push(torch.from_numpy(block.T.astype(np.float32) / _FULL_SCALE)))
        times.add(n_frames / sample_rate, time.perf_counter() - start)
    # two resamplings may lose or add a sample at the end
    last = line.finish()[:, : n_in - n_out]
    write(torch.nn.functional.pad(last, (0, n_in - n_out - last.shape[1])))
    if rest:
        raise ValueError(
            f"the input ends within a sample: {len(rest)} bytes are left of {frame_bytes}; it must "
            f"be raw 16-bit PCM of {channels} channels"
        )
    return times


class _Pipe:
    """A stream between resamplers, with a share of the mixture in its answer."""

    def __init__(self, network: nn.Module, sample_rate: int, channels: int, share: float) -> None:
        rate = _rate_of(network)
        _warm_up(network)
        self._enhancer = StreamEnhancer(network, channels, rate, step_s=0.0)
        self._to_network = Resampler(sample_rate, rate, channels)
        self._back = Resampler(rate, sample_rate, channels)
        self._resamples, self._share = sample_rate != rate, share
        self._waiting = torch.zeros(channels, 0)  # the mixture whose estimate is not there yet

    def push(self, block: Tensor) -> Tensor:
        """Take `(channels, n)`, return what is ready."""
        mixture = self._to_network.push(block)
        return self._back.push(self._mixed(mixture, self._enhancer.push(mixture)))

    def finish(self) -> Tensor:
        """Return the rest."""
        mixture = self._waiting[:, :0]
        if self._resamples:
            mixture = self._to_network.push(mixture, last=True)
        ready = torch.cat([self._enhancer.push(mixture), self._enhancer.finish()], dim=1)
        return self._back.push(self._mixed(mixture, ready), last=True)

    def _mixed(self, mixture: Tensor, estimate: Tensor) -> Tensor:
        waiting, n_ready = torch.cat([self._waiting, mixture], dim=1), estimate.shape[1]
        self._waiting = waiting[:, n_ready:]
        return (1 - self._share) * estimate + self._share * waiting[:, :n_ready]


def enhance_live(
    network: nn.Module,
    *,
    devices: tuple[str | int, str | int] | None = None,
    seconds: float | None = None,
    attenuation_limit_db: float | None = None,
) -> Times:
    """Enhance from microphone to loudspeaker until Ctrl-C, or for some seconds.

    Args:
        network: Causal, of one microphone, with ``sample_rate``.
        devices: Input and output, names or numbers of sounddevice's; None: the system's.
        seconds: How long; None: until Ctrl-C.
        attenuation_limit_db: Most that noise is lowered; None: no limit.

    Raises:
        ModuleNotFoundError: sounddevice is not installed; names the command.
        RuntimeError: There is no such device, or none at all.
        ValueError: The network has no stream.
    """
    rate = _rate_of(network)
    _warm_up(network)
    line = _Line(network, rate, _share(attenuation_limit_db), seconds)
    sounddevice = _sounddevice()
    layout = {"samplerate": rate, "blocksize": line.hop, "channels": 1, "dtype": "float32"}
    try:
        with sounddevice.Stream(
            **layout, latency="low", device=devices, callback=line.callback
        ) as stream:
            entry_s, exit_s = stream.latency
            logger.info(
                "from microphone to loudspeaker at %d Hz: latency %.1f ms, of it the device's "
                "%.1f ms; Ctrl-C ends",
                *(rate, line.times.latency_ms + 1000 * (entry_s + exit_s)),
                1000 * (entry_s + exit_s),
            )
            line.done.wait()
    except KeyboardInterrupt:
        logger.info("")
    except sounddevice.PortAudioError as error:
        raise RuntimeError(f"no sound device for 1 channel at {rate} Hz: {error}") from error
    if line.failure is not None:
        raise line.failure
    return line.times


class _Line:
    """What happens to each block of a sound device, in the device's own thread."""

    def __init__(self, network: nn.Module, rate: int, share: float, seconds: float | None) -> None:
        self._stream: Any = network.stream(1)  # type: ignore[operator]
        self._rate, self._share = rate, share
        self._left = None if seconds is None else round(seconds * rate)
        self._recent = torch.zeros(1, self._stream.delay_samples)
        self.hop = int(self._stream.hop_length)
        self.times, self.done = Times(_latency_ms(network)), threading.Event()
        self.failure: Exception | None = None

    def callback(
        self, indata: NDArray[np.float32], outdata: NDArray[np.float32], frames: int, *rest: Any
    ) -> None:
        """Answer a block ``(frames, 1)``; sounddevice gives times and flags, too."""
        start = time.perf_counter()
        self.times.glitches += bool(rest[-1])
        outdata[:] = 0
        if self.done.is_set():
            return
        try:
            samples = torch.from_numpy(indata[:, :1].T.copy())
            mixture = torch.cat([self._recent, samples], dim=1)
            self._recent = mixture[:, frames:]
            estimate = (1 - self._share) * self._stream.step(samples)
            mixed = (estimate + self._share * mixture[:, :frames]).numpy()[0]
        except (ValueError, RuntimeError) as error:
            # raised in this thread, it would only be printed
            self.failure = error
            self.done.set()
            return
        self.times.clipped += int((np.abs(mixed) > 1).sum())
        outdata[:, 0] = np.clip(mixed, -1, 1)
        self.times.add(frames / self._rate, time.perf_counter() - start)
        if self._left is not None:
            self._left -= frames
            if self._left <= 0:
                self.done.set()


def _sounddevice() -> ModuleType:
    """Import sounddevice.

    Raises:
        ModuleNotFoundError: It is not installed; names the command.
        RuntimeError: It finds no PortAudio.
    """
    try:
        with needed_for("--live"):
            return importlib.import_module("sounddevice")
    except OSError as error:
        raise RuntimeError(
            f"--live needs PortAudio (Debian and Ubuntu: apt install libportaudio2): {error}"
        ) from error


def _warm_up(network: nn.Module) -> None:
    """Let the first frames, for which libraries prepare themselves, not be those of a signal."""
    stream: Any = network.stream(1)  # type: ignore[operator]
    for _ in range(3):
        stream.step(torch.zeros(1, stream.hop_length))


def _rate_of(network: nn.Module) -> int:
    """Return a network's rate in Hz.

    Raises:
        ValueError: It cannot run on a stream.
    """
    if not getattr(network, "streams", False):
        raise ValueError(
            f"{type(network).__name__} does not run as the signal arrives: it takes a causal "
            "network, such as the default"
        )
    return round(float(network.sample_rate))  # type: ignore[arg-type]


def _latency_ms(network: nn.Module) -> float:
    return 1000 * float(network.latency_samples) / _rate_of(network)  # type: ignore[arg-type]


def _share(attenuation_limit_db: float | None) -> float:
    """Return how much of the mixture stays."""
    return 0.0 if attenuation_limit_db is None else 10 ** (-attenuation_limit_db / 20)
