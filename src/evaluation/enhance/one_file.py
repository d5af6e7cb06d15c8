"""Enhancement of one file, in two passes of bounded memory, or three.

The signal goes through the resampler, the network and the resampler back into a file of floats;
level and peak are known then, and another pass writes the result at one gain. For a network that
normalises over time, and a file of several blocks, a pass before these gathers the statistics of
the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from asteroid.utils.files import atomic_path
from seloss.data.formats.audio import native_name, write_error
from seloss.pretrained.whole_norm import freeze_statistics, with_whole_norms

from . import audio
from .audio import Clip, Resampler
from .blocks import build_enhancer
from .network import n_inputs

__all__ = ["LEVELS", "Done", "Settings", "enhance_file"]

LEVELS = ("mixture", "network")


@dataclass(frozen=True)
class Settings:
    """Settings of enhancement.

    Attributes:
        level: `mixture`: one gain for the file, which fits the estimate to the mixture's reference
            channel in the least-squares sense (a network trained on a scale-invariant loss answers
            at any level, and in either polarity); `network`: as the network answers.
        depth: word length, a key of `audio.DEPTHS`; None: the input's.
        channel: of several, the one to enhance with a single-channel network (from 1 on), or the
            reference microphone of others; None: all, and the first.
        block_s: length of blocks.
        context_s: what the network sees on either side.
        attenuation_limit_db: most that noise is lowered: so much of the mixture is left below the
            estimate, at the file's rate and bandwidth; None: no limit.
    """

    level: str = "mixture"
    depth: str | None = None
    channel: int | None = None
    block_s: float = 20.0
    context_s: float = 2.0
    attenuation_limit_db: float | None = None


@dataclass(frozen=True)
class Done:
    """Result of enhancing a file.

    Attributes:
        clip: the input.
        took_s: the time of network and resampling.
        gain_db: applied to the network's answer.
        notes: what the user should know.
    """

    clip: Clip
    took_s: float
    gain_db: float
    notes: list[str] = field(default_factory=list)


def enhance_file(
    network: nn.Module,
    source: Path,
    target: Path,
    settings: Settings | None = None,
    advance: Callable[[float], object] = lambda part: None,
) -> Done:
    """Enhance a file.

    Args:
        network: in evaluation mode, with `sample_rate`.
        source: audio of any rate and number of channels.
        target: where to; its suffix says the format.
        settings: see there.
        advance: called with the part of the file that was done, again and again; they sum to 1.

    Raises:
        FileNotFoundError: there is no source.
        ValueError: the source is no sound audio, or has not the channels; the target's format
            cannot hold the samples; the network failed.
        OSError: the target could not be written, as on a full disk.
    """
    settings = settings or Settings()
    clip = audio.open_clip(source)
    channels = _channels(network, clip, settings.channel)
    n_outputs = len(channels) if n_inputs(network) == 1 else 1
    form = audio.choose_format(target, clip, n_outputs, settings.depth)
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".enhance.", dir=target.parent) as folder:
        raw = Path(folder) / "answer.raw"
        start = time.perf_counter()
        try:
            first = _first_pass(network, clip, channels, raw, settings, advance)
        except soundfile.LibsndfileError as error:  # of reading, the reader makes a ValueError
            raise write_error(target, str(error)) from None
        took = time.perf_counter() - start
        gain = first.gain if settings.level == "mixture" else 1.0
        scale, peak, level = gain, first.peak, 1.0
        if settings.attenuation_limit_db is not None:
            share = 10 ** (-settings.attenuation_limit_db / 20)
            raw, peak = _mix_back(raw, clip, channels[: first.outputs], gain, share)
            scale, level = 1.0, gain
        scale, notes = _without_clipping(scale, peak, form.depth)
        notes = [*form.notes, *notes]
        if gain < 0:
            notes.append("the network's polarity was reversed; turned back")
        layout = {"sample_rate": clip.sample_rate, "channels": n_outputs}
        with atomic_path(target) as temporary:
            audio.copy_scaled(raw, target, temporary, form, **layout, gain=scale)
    gain_db = 20 * float(np.log10(abs(scale * level))) if scale * level else -np.inf
    return Done(clip, took, gain_db, notes)


@dataclass
class _LevelSums:
    """What the first pass gathers.

    Attributes:
        outputs: channels of the result.
        cross: of mixture times estimate.
        energy: of the estimate.
        peak: of the estimate, at the file's rate.
    """

    outputs: int
    cross: float = 0.0
    energy: float = 0.0
    peak: float = 0.0

    @property
    def gain(self) -> float:
        """The least-squares gain; 1 for silence (or an answer unrelated to the mixture)."""
        return self.cross / self.energy if self.energy > 0 and self.cross != 0 else 1.0


def _first_pass(
    network: nn.Module,
    clip: Clip,
    channels: Sequence[int],
    raw: Path,
    settings: Settings,
    advance: Callable[[float], object],
) -> _LevelSums:
    rate = round(float(getattr(network, "sample_rate", clip.sample_rate)))
    apart = n_inputs(network) == 1
    sums = _LevelSums(outputs=len(channels) if apart else 1)
    back = Resampler(rate, clip.sample_rate, sums.outputs)
    sizes = (len(channels), rate, settings.block_s, settings.context_s)
    measured = with_whole_norms(network) if clip.seconds > sum(sizes[2:]) else None
    n_passes = 1 if measured is None else 2

    def advance_pass(part: float) -> None:
        advance(part / n_passes)

    if measured is not None:
        gathering = build_enhancer(measured, *sizes)
        for piece, _ in _resampled(clip, channels, rate, advance_pass):
            gathering.push(piece)
        gathering.finish()
        freeze_statistics(measured)
        network = measured
    enhancer = build_enhancer(network, *sizes)
    waiting: list[Tensor] = []  # the mixture whose estimate is not there yet
    left = clip.frames

    def take(mixture: Tensor, *, last: bool) -> Tensor:
        waiting.append(mixture if apart else mixture[:1])
        ready = enhancer.push(mixture)
        if last:
            ready = torch.cat([ready, enhancer.finish()], dim=1)
        _gather(sums, waiting, ready)
        return back.push(ready, last=last)

    layout = {"samplerate": clip.sample_rate, "channels": sums.outputs}
    with soundfile.SoundFile(
        native_name(raw), "w", format="RAW", subtype="FLOAT", **layout
    ) as sink:
        for piece, last in _resampled(clip, channels, rate, advance_pass):
            left -= _write(sink, take(piece, last=last), left, sums)
        # Two resamplings may lose or add a sample at the end.
        sink.write(np.zeros((left, sums.outputs), dtype=np.float32))
    return sums


def _resampled(
    clip: Clip, channels: Sequence[int], rate: int, advance: Callable[[float], object]
) -> Iterator[tuple[Tensor, bool]]:
    """Yield the chosen channels at another rate, `(channels, n)`, and whether it is the last."""
    resampler = Resampler(clip.sample_rate, rate, len(channels))
    for piece in audio.pieces(clip, list(channels)):
        yield resampler.push(piece), False
        advance(piece.shape[1] / clip.frames)
    yield resampler.push(torch.zeros(len(channels), 0), last=True), True


def _gather(sums: _LevelSums, waiting: list[Tensor], ready: Tensor) -> None:
    """Add what is ready to the sums, and forget its mixture."""
    n_ready = ready.shape[1]
    mixture = torch.cat(waiting, dim=1)
    waiting[:] = [mixture[:, n_ready:]]
    ready, mixture = ready.double(), mixture[:, :n_ready].double()
    sums.cross += float((ready * mixture).sum())
    sums.energy += float(ready.square().sum())


def _write(sink: soundfile.SoundFile, ready: Tensor, left: int, sums: _LevelSums) -> int:
    """Write up to `left` frames, return how many."""
    block = ready[:, :left].numpy().T
    sums.peak = max(sums.peak, float(np.abs(block).max(initial=0.0)))
    sink.write(block)
    return len(block)


def _mix_back(
    raw: Path, clip: Clip, channels: Sequence[int], gain: float, share: float
) -> tuple[Path, float]:
    """Write the estimate at its gain with a share of the mixture; return the file and its peak.

    With speech ``s`` and noise ``n`` an exact estimate becomes ``s + share * n``.
    """
    mixed, peak = raw.with_name("mixed.raw"), 0.0
    layout = {
        **{"samplerate": clip.sample_rate, "channels": len(channels)},
        **{"format": "RAW", "subtype": "FLOAT"},
    }
    with (
        soundfile.SoundFile(raw, **layout) as source,
        soundfile.SoundFile(mixed, "w", **layout) as sink,
    ):
        for piece in audio.pieces(clip, list(channels)):
            estimate = source.read(piece.shape[1], dtype="float32", always_2d=True)
            block = np.float32((1 - share) * gain) * estimate + share * piece.numpy().T
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            sink.write(block)
    return mixed, peak


def _channels(network: nn.Module, clip: Clip, channel: int | None) -> list[int]:
    """Return the channels to read, the reference first.

    Raises:
        ValueError: the file has not the channels.
    """
    if channel is not None and not 1 <= channel <= clip.channels:
        raise ValueError(f"there is no channel {channel}: the file has {clip.channels}")
    channels = n_inputs(network)
    everything = list(range(clip.channels))
    if channels == 1:
        return everything if channel is None else [channel - 1]
    if channels is not None and channels != clip.channels:
        raise ValueError(f"the network takes {channels} channels; the file has {clip.channels}")
    first = 0 if channel is None else channel - 1
    return [first, *(one for one in everything if one != first)]


def _without_clipping(gain: float, peak: float, depth: str) -> tuple[float, list[str]]:
    """Lower the gain where the result would not fit; say so."""
    reached = abs(gain) * peak
    if reached <= audio.CEILING:
        return gain, []
    over = 20 * np.log10(reached)
    if depth == "float":
        if reached <= 1:
            return gain, []
        return gain, [f"peaks {over:.1f} dB above full scale, kept in the file of floats"]
    lowered = 20 * np.log10(reached / audio.CEILING)
    return gain * audio.CEILING / reached, [
        f"lowered by {lowered:.1f} dB: it would have clipped (--depth float keeps the level)"
    ]
