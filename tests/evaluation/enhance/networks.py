"""One small network of each family, with fixed weights."""

from __future__ import annotations

import torch
from torch import nn

from asteroid.models import DCCRN, CNUNet, ConvTasNet, DCUnet, FasNetTAC

RATE = 16_000


def build(name: str, seed: int = 0) -> nn.Module:
    """Return a network in evaluation mode."""
    torch.manual_seed(seed)
    network = {
        "FasNetTAC": lambda: FasNetTAC(
            2, n_layers=1, enc_dim=8, feature_dim=8, hidden_dim=8, tac_hidden_dim=8, window_ms=16
        ),
        "DCCRN": lambda: DCCRN("E", channels=(4, 8, 8), hidden=8),
        "DCCRN causal": lambda: DCCRN("E", channels=(4, 8, 8), hidden=8, causal=True),
        "DCUnet": lambda: DCUnet("DCUnet-10"),
        "CNUNet": lambda: CNUNet(channels=4, inner_channels=2),
        "ConvTasNet": lambda: ConvTasNet(
            2, n_filters=16, n_blocks=2, n_repeats=1, bn_chan=8, sample_rate=RATE
        ),
    }[name]()
    return network.eval()


NAMES = ("FasNetTAC", "DCCRN", "DCCRN causal", "DCUnet", "CNUNet", "ConvTasNet")
