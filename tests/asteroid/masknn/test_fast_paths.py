"""Fast paths compute what the plain formulas do, gradients included; SELOSS_FAST=0 is without."""

from __future__ import annotations

import pytest
import torch

from asteroid.masknn.beamform.dual_path import DualPathBlock
from asteroid.masknn.complex import three_products, whitening_fast
from asteroid.models import DCCRN, CNUNet, DCUnet, FasNetTAC
from asteroid.utils.fast_path import on_fast_path

ROUND_OFF = 1e-12  # relative to the largest value; sums of some hundred terms in float64
NETWORK_ROUND_OFF = 1e-9  # likewise, through the layers of a network
TINY = {"channels": 4, "inner_channels": 2, "depths": (2, 1), "win_length": 64, "hop_length": 32}
NETWORKS = {
    "CNUNet": lambda: CNUNet(n_fft=64, **TINY),
    "DCCRN": lambda: DCCRN(channels=(4, 8, 32, 32), hidden=8),
    "DCCRN, whitening": lambda: DCCRN("C", channels=(4, 8), hidden=8, norm="whitening"),
    "DCUnet": lambda: DCUnet("DCUnet-10", width=0.5),
    "DCUnet, whitening": lambda: DCUnet("DCUnet-10", norm="whitening", width=0.125),
    "FaSNet-TAC": lambda: FasNetTAC(2, 4, 4, 6, 1, tac_hidden_dim=9),
}


def noise(*shape, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def assert_close(fast, plain, round_off=ROUND_OFF):
    for mine, other in zip(fast, plain, strict=True):
        assert mine.shape == other.shape
        assert (mine - other).abs().max() <= round_off * other.abs().max().clamp_min(1)


def differentiate(function, inputs, weights):
    output = function()
    gradients = torch.autograd.grad((output * weights).sum(), inputs)
    return [output.detach(), *gradients]


def both(monkeypatch, function, inputs, weights):
    fast = differentiate(function, inputs, weights)
    monkeypatch.setenv("SELOSS_FAST", "0")
    return fast, differentiate(function, inputs, weights)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_the_same_without_fast_paths(name, training, monkeypatch):
    torch.manual_seed(0)
    network = NETWORKS[name]().double().train(training)
    x = noise(2, 3 if name.startswith("FaSNet") else 1, 1500)
    inputs, weights = list(network.parameters()), noise(2, 1, 1500, seed=2)
    assert_close(*both(monkeypatch, lambda: network(x), inputs, weights), NETWORK_ROUND_OFF)


@pytest.mark.parametrize(
    ("name", "module", "function"),
    [
        ("DCUnet", three_products, "_ThreeProducts"),
        ("DCUnet, whitening", whitening_fast, "_Whiten"),
    ],
)
def test_the_switch_switches_each_fast_path(name, module, function, monkeypatch):
    """Whatever takes the path now fails, so a network that does not fail takes another."""
    monkeypatch.setattr(module, function, None)
    network, x = NETWORKS[name](), noise(1, 1, 800, dtype=torch.float32)
    with pytest.raises(AttributeError, match="apply"):
        network(x)
    monkeypatch.setenv("SELOSS_FAST", "0")
    assert network(x).isfinite().all()


@pytest.mark.parametrize(
    "options",
    [{}, {"bidirectional": False}, {"rnn_type": "GRU"}, {"norm_type": "cLN"}],
)
def test_dual_path_block(options, monkeypatch):
    torch.manual_seed(0)
    module = DualPathBlock(4, 6, **options).double()
    x = noise(3, 5, 7, 4).requires_grad_()
    inputs = [x, *module.parameters()]
    assert_close(*both(monkeypatch, lambda: module(x), inputs, noise(*x.shape, seed=2)))


def test_dropout_still_drops():
    torch.manual_seed(0)
    module = DualPathBlock(4, 6, dropout=0.5)
    x = noise(2, 5, 7, 4, dtype=torch.float32)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


def test_fast_paths_are_for_cpus_in_full_precision(monkeypatch):
    x = noise(3)
    assert on_fast_path(x)
    assert not on_fast_path(x, x.float())
    assert not on_fast_path(x.bfloat16())
    assert not on_fast_path(x.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not on_fast_path(x)
    monkeypatch.setenv("SELOSS_FAST", "0")
    assert not on_fast_path(x)


def test_a_traced_graph_holds_no_fast_path():
    seen = []
    torch.jit.trace(lambda x: (seen.append(on_fast_path(x)), 2 * x)[1], noise(3), check_trace=False)
    assert seen
    assert not seen[-1]
