"""Enhancement of an array in memory, in one line."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import nn

from .catalogue import DEFAULT, load_model
from .whole_norm import freeze_statistics, select_channel, with_whole_norms

__all__ = ["enhance"]

_LOG = logging.getLogger(__name__)
#: Longer signals are enhanced in blocks of so many seconds, each after so many of its past, which
#: the network's memory needs to be where it would have been.
BLOCK_S, PAST_S = 60.0, 4.0
#: Over how long neighbouring blocks are faded into each other, seconds.
FADE_S = 0.016


@lru_cache(maxsize=4)
def _loaded(name: str) -> nn.Module:
    return load_model(name)


def enhance(
    signal: NDArray[Any] | torch.Tensor,
    sample_rate: int,
    *,
    model: str | Path | nn.Module = DEFAULT,
    attenuation_limit_db: float | None = None,
) -> NDArray[np.float32]:
    """Return speech with less noise.

    Args:
        signal: ``(samples,)`` or ``(channels, samples)``, floating point, full scale 1; each
            channel is enhanced by itself.
        sample_rate: Hz. A signal of another rate than the network's is resampled there and back:
            nothing above half the lower rate is left.
        model: One of `model_names`, a ``.safetensors`` file, or a network of one microphone.
        attenuation_limit_db: Most that noise is lowered: so much of the signal is left below the
            estimate. None: no limit.

    Returns:
        The same shape and rate, float32.

    Raises:
        TypeError: ``signal`` is not of floating point.
        ValueError: It is empty, has other dimensions or values that are not finite; the rate is not
            positive, or the limit negative; there is no such model.

    Example:
        >>> import numpy as np
        >>> noisy = 0.1 * np.random.default_rng(0).standard_normal(48000)
        >>> clean = enhance(noisy, 48000)
        >>> clean.shape, bool(clean.std() < 0.2 * noisy.std())
        ((48000,), True)
    """
    array = np.asarray(signal.detach().cpu() if isinstance(signal, torch.Tensor) else signal)
    _check(array, sample_rate)
    if attenuation_limit_db is not None and not attenuation_limit_db >= 0:
        raise ValueError(f"attenuation_limit_db must be 0 or more; got {attenuation_limit_db}")
    network = model if isinstance(model, nn.Module) else _loaded(str(model))
    own_rate = int(getattr(network, "sample_rate", sample_rate))
    channels = array.reshape(-1, array.shape[-1]).astype(np.float32)
    if own_rate != sample_rate:
        _LOG.info("resampled from %d Hz to the network's %d Hz and back", sample_rate, own_rate)
        channels = _resampled(channels, sample_rate, own_rate)
    with torch.inference_mode():
        enhanced = _in_blocks(network, torch.from_numpy(np.ascontiguousarray(channels)), own_rate)
    result = enhanced.numpy()
    if own_rate != sample_rate:
        result = _resampled(result, own_rate, sample_rate)
    # Rates whose ratio is no whole number may cost a sample on the way there and back.
    result = np.pad(result, ((0, 0), (0, max(0, array.shape[-1] - result.shape[-1]))))
    estimate = np.ascontiguousarray(result[:, : array.shape[-1]].reshape(array.shape))
    if attenuation_limit_db is None:
        return estimate
    share = 10 ** (-attenuation_limit_db / 20)
    return ((1 - share) * estimate + share * array).astype(np.float32)


def _check(array: NDArray[Any], sample_rate: float) -> None:
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"signal must be of floating point, full scale 1; got {array.dtype}")
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(f"signal must be (samples,) or (channels, samples); got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("signal has values that are not finite")
    if not sample_rate > 0:
        raise ValueError(f"sample_rate must be positive; got {sample_rate}")


def _resampled(channels: NDArray[np.float32], rate: float, to: float) -> NDArray[np.float32]:
    resampled = soxr.resample(channels.T, rate, to, quality="VHQ")
    return np.asarray(resampled.T, dtype=np.float32)


def _in_blocks(network: nn.Module, channels: torch.Tensor, sample_rate: int) -> torch.Tensor:
    """Return ``(channels, samples)`` enhanced, with memory for a block only."""
    block, past, fade = (round(s * sample_rate) for s in (BLOCK_S, PAST_S, FADE_S))
    n_samples = channels.shape[-1]
    if n_samples <= block + past:
        return _run(network, channels)
    measured = with_whole_norms(network)
    if measured is not None:  # it normalises over time: first by what the whole is
        for start in range(0, n_samples, block):
            _run(measured, channels[:, max(0, start - past) : start + block + past])
        freeze_statistics(measured)
        network = measured
    result = torch.zeros_like(channels)
    ramp = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(fade) + 0.5) / fade)
    for start in range(0, n_samples, block):
        first = max(0, start - past)
        # A network may look ahead, too: what is behind the block is seen and then dropped.
        part = _run(network, channels[:, first : start + block + past])[:, start - first :]
        part = part[:, : block + fade]
        if start:
            before = result[:, start : start + part.shape[-1]]
            width = min(fade, part.shape[-1])
            part[:, :width] = torch.lerp(before[:, :width], part[:, :width], ramp[:width])
        result[:, start : start + part.shape[-1]] = part
    return result


def _run(network: nn.Module, channels: torch.Tensor) -> torch.Tensor:
    answers = []
    for number, samples in enumerate(channels):
        select_channel(network, number)
        answers.append(network(samples[None, None])[0, :1])
    return torch.cat(answers).float().clone()
