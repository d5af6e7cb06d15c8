"""Blocks and streams against the network on the whole signal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluation.enhance.blocks import BlockEnhancer, StreamEnhancer, build_enhancer
from evaluation.enhance.network import enhance, n_inputs
from tests.data import make_mixture
from tests.evaluation.enhance.networks import NAMES, RATE, build

# How far the answer on blocks is from the whole one, in dB below it. Where nothing but neighbouring
# frames counts it is rounding; FaSNet and ConvTasNet normalise over all of a block, so their
# answers differ a little everywhere, not only at seams.
TOLERANCE_DB = {
    **{"FasNetTAC": 30, "DCCRN": 90, "DCCRN causal": 90, "DCUnet": 90, "CNUNet": 80},
    "ConvTasNet": 30,
}
SEAM_DB = 6


def mixture(seconds: float, channels: int = 2) -> Tensor:
    return torch.from_numpy(make_mixture(seconds, n_mics=channels, seed=3)[0])


def through(enhancer: BlockEnhancer | StreamEnhancer, signal: Tensor, piece: int = 7001) -> Tensor:
    parts = [enhancer.push(part) for part in signal.split(piece, dim=1)]
    return torch.cat([*parts, enhancer.finish()], dim=1)


def below_db(signal: Tensor, error: Tensor) -> float:
    return float(10 * torch.log10(signal.square().mean() / error.square().mean()))


@pytest.mark.parametrize("name", NAMES)
def test_blocks_answer_as_the_whole_and_have_no_seams(name: str) -> None:
    network, signal = build(name), mixture(9.0)
    whole = enhance(network, signal)
    enhancer = build_enhancer(network, 2, RATE, block_s=3.0, context_s=1.0)
    found = through(enhancer, signal)
    assert found.shape == (2 if n_inputs(network) == 1 else 1, signal.shape[1])
    error = found[0] - whole
    assert below_db(whole, error) > TOLERANCE_DB[name]
    if isinstance(enhancer, BlockEnhancer):
        block = enhancer._block
        assert signal.shape[1] > 2 * block  # or there is no seam
        for seam in range(block, signal.shape[1] - block // 2, block):
            near = error[seam - 800 : seam + 800]
            away = error[seam - block // 4 : seam + block // 4]
            # a click would stand out of the error around it, by level and by jumps
            quiet = 1e-10 * float(whole.square().mean())
            assert float(near.square().mean()) < 10 ** (SEAM_DB / 10) * (
                float(away.square().mean()) + quiet
            )


@pytest.mark.parametrize("name", ["FasNetTAC", "DCUnet", "CNUNet"])
def test_a_short_signal_is_enhanced_whole(name: str) -> None:
    network, signal = build(name), mixture(0.7)
    found = through(build_enhancer(network, 2, RATE, 3.0, 1.0), signal)
    whole = enhance(network, signal)
    assert torch.allclose(found[0], whole, atol=1e-4 * float(whole.abs().max()))


class Same(nn.Module):
    """Answers with its input: what comes out must be what went in, whatever the blocks."""

    in_channels = 1

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.longest = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        self.longest = max(self.longest, x.shape[-1])
        return (self.weight * x)[:, None]


@pytest.mark.parametrize("length", [1, 99, 100, 101, 130, 131, 200, 230, 231, 1000, 1013])
@pytest.mark.parametrize(("context", "fade"), [(30, 8), (0, 0), (100, 100)])
@pytest.mark.parametrize("piece", [1000, 37])
def test_every_sample_comes_out_once(length: int, context: int, fade: int, piece: int) -> None:
    network = Same()
    draw = np.random.default_rng(length)
    signal = torch.from_numpy(draw.standard_normal((2, length)).astype(np.float32))
    found = through(BlockEnhancer(network, 2, 100, context, fade), signal, piece)
    assert found.shape == signal.shape
    assert torch.allclose(found, signal, atol=1e-6)
    assert network.longest <= 100 + 2 * context


def test_sizes_and_channels_are_checked() -> None:
    with pytest.raises(ValueError, match="longer than its context; got 10, 11"):
        BlockEnhancer(Same(), 1, 10, 11, 0)
    two = Same()
    two.in_channels = 2
    with pytest.raises(ValueError, match="takes 2 channels; there are 3"):
        build_enhancer(two, 3, RATE, 1.0, 0.1)
