"""One small network of every kind that the recipes train."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from asteroid.models import DCCRN, CNUNet, DCUnet, FasNetTAC, NUNetTLS

_FRAMES = {"n_fft": 64, "win_length": 64, "hop_length": 32}
_NESTED = {"channels": 4, "inner_channels": 2, **_FRAMES}
_FASNET = {"enc_dim": 8, "feature_dim": 8, "hidden_dim": 8, "n_layers": 1, "window_ms": 16}

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "FaSNet-TAC": lambda: FasNetTAC(2, **_FASNET),
    "DCCRN": lambda: DCCRN(channels=(4, 4, 8), hidden=8, n_layers=1),
    "DCCRN, causal": lambda: DCCRN(channels=(4, 4, 8), hidden=8, n_layers=1, causal=True),
    "DCUnet": lambda: DCUnet("DCUnet-10", width=0.05, n_fft=256, hop_length=64),
    "CNUNet": lambda: CNUNet(depths=(2, 2), **_NESTED),
    "NUNet-TLS": lambda: NUNetTLS(depths=(3, 2), **_NESTED),
}


def build(name: str) -> nn.Module:
    """Return the network, the same each time."""
    torch.manual_seed(0)
    return NETWORKS[name]()


def inputs(name: str, n_samples: int = 4000) -> tuple[Tensor, ...]:
    """Return the network's arguments: noise, for FaSNet with unequal numbers of microphones."""
    draw = torch.Generator().manual_seed(1)
    if name != "FaSNet-TAC":
        return (0.1 * torch.randn(2, 1, n_samples, generator=draw),)
    return 0.1 * torch.randn(2, 2, n_samples, generator=draw), torch.tensor([2, 1])
