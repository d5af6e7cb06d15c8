"""Blocks and streams against the network on the whole signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from torch import Tensor, nn

from asteroid.masknn.norms import FeatsGlobLN, GlobLN
from evaluation.enhance.blocks import BlockEnhancer, StreamEnhancer, build_enhancer
from evaluation.enhance.network import enhance_mixture, n_inputs
from evaluation.enhance.one_file import Settings, enhance_file
from seloss.pretrained import enhance_array
from seloss.pretrained.whole_norm import freeze_statistics, with_whole_norms
from tests.data import make_mixture
from tests.evaluation.enhance.networks import NAMES, RATE, build

# How far the answer on blocks is from the whole one, in dB below it. Where nothing but neighbouring
# frames counts it is rounding; FaSNet's recurrent layers reach beyond the context, and statistics
# over time count the context of each block once more.
TOLERANCE_DB = {
    **{"FasNetTAC": 40, "DCCRN": 90, "DCCRN causal": 90, "DCUnet": 90, "CNUNet": 80},
    "ConvTasNet": 40,
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
    whole = enhance_mixture(network, signal)
    measured = with_whole_norms(network)
    assert (measured is None) == (name not in ("FasNetTAC", "ConvTasNet"))
    if measured is not None:
        through(build_enhancer(measured, 2, RATE, block_s=3.0, context_s=1.0), signal)
        freeze_statistics(measured)
        network = measured
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


class Normed(nn.Module):
    """Nothing but a normalisation over time."""

    in_channels = 1

    def __init__(self, kind: type[GlobLN | FeatsGlobLN]) -> None:
        super().__init__()
        self.norm = kind(1)
        with torch.no_grad():
            self.norm.gamma.fill_(0.7)
            self.norm.beta.fill_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return self.norm(x[:, None])


@pytest.mark.parametrize("kind", [GlobLN, FeatsGlobLN])
def test_blocks_normalised_by_the_whole_are_the_whole(kind: type[GlobLN | FeatsGlobLN]) -> None:
    """Without context nothing else differs, whatever the levels of block and channel."""
    signal = mixture(4.0) * torch.tensor([[1.0], [0.1]]) + 0.05
    signal[:, RATE : 2 * RATE] *= 0.01
    network = Normed(kind)
    whole = torch.stack([enhance_mixture(network, channel[None]) for channel in signal])
    measured = with_whole_norms(network)
    assert measured is not None
    for _ in range(2):
        found = through(BlockEnhancer(measured, 2, RATE, 0, 0), signal)
        freeze_statistics(measured)
    assert torch.allclose(found, whole, atol=1e-5)
    apart = through(BlockEnhancer(network, 2, RATE, 0, 0), signal)
    assert below_db(whole, apart - whole) < 10  # each block by its own: what was done before


@pytest.mark.parametrize("name", ["FasNetTAC", "ConvTasNet"])
def test_a_file_of_changing_level_keeps_the_level_of_the_whole(name: str, tmp_path: Path) -> None:
    """Levels jumped by up to 2.7 dB at the seams of blocks."""
    network, signal = build(name), mixture(12.0)
    for second in range(12):
        signal[:, second * RATE : (second + 1) * RATE] *= 10 ** (-(second % 5) / 5)
    sf.write(tmp_path / "in.wav", signal.T.numpy(), RATE, subtype="FLOAT")
    whole = enhance_mixture(network, signal)
    progress: list[float] = []
    settings = Settings(level="network", block_s=3.0, context_s=1.0)
    paths = tmp_path / "in.wav", tmp_path / "out.wav"
    enhance_file(network, *paths, settings, progress.append)
    assert sum(progress) == pytest.approx(1)
    found = torch.from_numpy(sf.read(paths[1], dtype="float32", always_2d=True)[0][:, 0])
    assert below_db(whole, found - whole) > 35
    levels = [
        float(10 * torch.log10(part.square().mean() / ours.square().mean()))
        for part, ours in zip(whole.split(RATE), found.split(RATE), strict=True)
    ]
    assert max(abs(level) for level in levels) < 0.1


def test_an_array_in_blocks_is_normalised_by_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enhance_array, "BLOCK_S", 3.0)
    monkeypatch.setattr(enhance_array, "PAST_S", 1.0)
    network, signal = build("ConvTasNet"), mixture(9.0)
    signal[:, : 4 * RATE] *= 0.1
    found = torch.from_numpy(enhance_array.enhance(signal, RATE, model=network))
    for channel, ours in zip(signal, found, strict=True):
        whole = enhance_mixture(network, channel[None])
        assert below_db(whole, ours - whole) > 40


@pytest.mark.parametrize("name", ["FasNetTAC", "DCUnet", "CNUNet"])
def test_a_short_signal_is_enhanced_whole(name: str) -> None:
    network, signal = build(name), mixture(0.7)
    found = through(build_enhancer(network, 2, RATE, 3.0, 1.0), signal)
    whole = enhance_mixture(network, signal)
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
