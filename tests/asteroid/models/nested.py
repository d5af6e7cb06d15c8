"""The rule by which the reference values were made, and the signal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import nn

REFERENCE = json.loads(
    (Path(__file__).parents[2] / "reference" / "nested_unets.json").read_text(encoding="utf-8")
)
KERNELS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)


def ruled_weights(shape: torch.Size, p: int) -> torch.Tensor:
    """The published integer rule: weights that need no file."""
    count = math.prod(shape)
    k = torch.arange(count, dtype=torch.int64)
    values = ((k * k + 5 * k + 4099 * p) % 10007).double() / 5003 - 1
    return (values * math.sqrt(3 / (count / shape[0]))).view(shape)


def fill_by_rule(network: nn.Module) -> None:
    for name, module in network.named_modules():
        if isinstance(module, KERNELS):
            imaginary = "im_module" in name or "_im" in name or name.endswith("mix.1")
            p = int(imaginary) + 2 * ("decoders.spectrum" in name)
            module.weight.data = ruled_weights(module.weight.shape, p)
            assert module.bias is not None
            module.bias.data.zero_()


def ruled_signal(count: int = 16000) -> torch.Tensor:
    n = torch.arange(count, dtype=torch.float64)
    tones = 0.1 * torch.sin(2 * math.pi * 440 * n / 16000)
    tones = tones + 0.05 * torch.sin(2 * math.pi * 1330 * n / 16000 + 0.5)
    return tones + 0.02 * torch.sin(2e-5 * n * n)


def distance(values: torch.Tensor, reference: dict) -> float:
    """Largest deviation of level, first and middle values, relative to the root mean square."""
    assert list(values.shape) == reference["shape"]
    flat, middle = values.flatten(), values.numel() // 2
    rms = reference["l2"] / math.sqrt(values.numel())
    pairs = [(flat[:8], reference["first8"]), (flat[middle : middle + 8], reference["mid8"])]
    errors = [(a - torch.tensor(b, dtype=a.dtype)).abs().max().item() / rms for a, b in pairs]
    return max(*errors, abs(values.norm().item() / reference["l2"] - 1))
