"""Signals whose scores are known: orthogonal ones, and those of the recorded reference."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.data import make_mixture

RATE = 16000
REFERENCE: dict[str, Any] = json.loads(
    Path(__file__).parents[1].joinpath("reference", "metrics.json").read_text(encoding="utf-8")
)


def orthonormal(n_rows: int, n_signals: int, n_samples: int = 8000, seed: int = 0) -> Tensor:
    """Return `(n_signals, n_rows, n_samples)`, per row mean-free, of energy 1, orthogonal."""
    draw = torch.Generator().manual_seed(seed)
    raw = torch.randn(n_rows, n_samples, n_signals, generator=draw, dtype=torch.float64)
    raw = raw - raw.mean(1, keepdim=True)
    return torch.linalg.qr(raw).Q.permute(2, 0, 1).contiguous()


def speech_case(
    seconds: float = 1.0, rows: int = 2, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return estimate, speech, noise `(rows, time)`: less noise and a touch of another one."""
    mixtures = [make_mixture(seconds, n_mics=1, snr_db=2.0, seed=seed + row) for row in range(rows)]
    speech, noise = (
        torch.from_numpy(np.concatenate([signals[part] for signals in mixtures])) for part in (1, 2)
    )
    draw = torch.Generator().manual_seed(seed)
    artefact = 0.02 * speech.std() * torch.randn(speech.shape, generator=draw)
    return 0.7 * speech + 0.2 * noise + artefact, speech, noise


def reference_inputs(condition: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return estimate, speech, noise `(4, 64000)` of the reference: mid, low or high SNR."""
    draw = torch.Generator().manual_seed(1234)
    white = [torch.randn(4, 64000, generator=draw) for _ in range(3)]
    other = torch.randn(4, 64000, generator=torch.Generator().manual_seed(99))
    time = torch.arange(64000, dtype=torch.float64) / RATE
    envelope = (0.55 + 0.45 * torch.sin(2 * math.pi * 3 * time)).float()
    speech = 0.05 * envelope * _fir(white[0], (1.0, 0.9, 0.7, 0.4, 0.2))
    gain, share, rest = {
        "mid": (1.0, 0.25, white[2]),
        "low": (10.0, 0.025, other),
        "high": (0.1, 2.5, other),
    }[condition]
    noise = gain * 0.04 * _fir(white[1], (1.0, -0.7))
    return 0.8 * speech + share * noise + 0.01 * rest, speech, noise


def _fir(signal: Tensor, taps: tuple[float, ...]) -> Tensor:
    result = torch.zeros_like(signal)
    for delay, tap in enumerate(taps):
        result[:, delay:] += tap * signal[:, : signal.shape[-1] - delay]
    return result
