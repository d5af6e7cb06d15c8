"""What keeps little for the backward pass computes what autograd does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asteroid.dsp.context import context_windows
from asteroid.masknn.beamform import dual_path, single_prelu, transform_average
from asteroid.masknn.beamform import piecewise as lean
from asteroid.masknn.beamform.dual_path import DualPathBlock
from asteroid.masknn.beamform.filter_and_sum import filter_and_sum
from asteroid.masknn.beamform.filter_heads import beamform
from asteroid.masknn.beamform.packed_mics import PackedMics
from asteroid.masknn.beamform.transform_average import TransformAverageConcatenate

ROUND_OFF = 1e-12  # relative to the largest value; sums of some hundred terms in float64
COUNTS = [(3,), (2, 2), (3, 1, 2)]


def noise(*shape, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def assert_close(found, expected):
    for mine, other in zip(found, expected, strict=True):
        assert mine.shape == other.shape
        assert (mine - other).abs().max() <= ROUND_OFF * other.abs().max().clamp_min(1)


def differentiate(function, inputs, weights):
    output = function()
    return [output.detach(), *torch.autograd.grad((output * weights).sum(), inputs)]


@pytest.fixture
def plain(monkeypatch):
    """Return what makes every module take its plain path, that of a GPU."""

    def switch():
        for module in (dual_path, single_prelu, transform_average):
            monkeypatch.setattr(module, "is_lean", lambda *tensors: False)

    return switch


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(lean, "ROWS", 7)  # so that there are several, the last one shorter


def both(function, inputs, weights, plain):
    found = differentiate(function, inputs, weights)
    plain()
    return found, differentiate(function, inputs, weights)


@pytest.mark.parametrize("counts", COUNTS)
def test_transform_average_concatenate(counts, plain):
    torch.manual_seed(0)
    module = TransformAverageConcatenate(4, 9).double()
    for layer in (module.input_tf, module.avg_tf, module.concat_tf):
        nn.init.constant_(layer[1].weight, -0.4)  # a slope may be learnt to be negative
    x = noise(sum(counts), 5, 3, 4).requires_grad_()
    inputs = [x, *module.parameters()]
    mics = PackedMics(counts)
    assert_close(*both(lambda: module(x, mics), inputs, noise(*x.shape, seed=2), plain))


@pytest.mark.parametrize(
    "options",
    [{}, {"bidirectional": False}, {"rnn_type": "GRU"}, {"norm_type": "cLN"}],
)
def test_dual_path_block(options, plain):
    torch.manual_seed(0)
    module = DualPathBlock(4, 6, **options).double()
    x = noise(3, 5, 7, 4).requires_grad_()
    inputs = [x, *module.parameters()]
    assert_close(*both(lambda: module(x), inputs, noise(*x.shape, seed=2), plain))


def test_dropout_still_drops():
    torch.manual_seed(0)
    module = DualPathBlock(4, 6, dropout=0.5)
    x = noise(2, 5, 7, 4, dtype=torch.float32)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("heard", [(0, 1), (1,), ()])
def test_beamforming_equals_filters_made_as_a_whole(counts, heard):
    window, context, n_features = 4, 3, 5
    n_taps, mics = 2 * context + 1, PackedMics(counts)
    windows = context_windows(noise(sum(counts), 30), window, context)
    features = noise(*windows.shape[:2], 2, n_features).requires_grad_()
    heads = [noise(n_taps, n_features, seed=3), noise(n_taps, seed=4)]
    heads += [noise(n_taps, n_features, seed=5), noise(n_taps, seed=6)]
    for head in heads:
        head.requires_grad_()
    weights = torch.zeros(len(counts), 2, windows.shape[1], window, dtype=torch.float64)
    for source in heard:  # a loss may look at one of the sources only
        weights[:, source] = noise(*weights[:, source].shape, seed=7)

    def whole():
        taps = (features @ heads[0].T + heads[1]).tanh() * (
            features @ heads[2].T + heads[3]
        ).sigmoid()
        return filter_and_sum(windows, nn.functional.pad(taps, (0, window - 1)), window, mics)

    inputs = [features, *heads]
    found = differentiate(
        lambda: beamform(windows, features, tuple(heads), window, mics), inputs, weights
    )
    assert_close(found, differentiate(whole, inputs, weights))


@pytest.mark.parametrize("slope", [0.25, 0.0, -0.3, 1.7])
def test_prelu(slope):
    module = nn.PReLU(init=slope).double()
    x = noise(6, 50)
    x[0, :5] = 0
    x.requires_grad_()
    inputs, weights = [x, module.weight], noise(6, 50, seed=2)
    found = differentiate(lambda: single_prelu.single_prelu(x, module), inputs, weights)
    assert_close(found, differentiate(lambda: module(x), inputs, weights))


def test_a_second_backward_pass_over_a_kept_graph_gives_the_same():
    torch.manual_seed(0)
    module = TransformAverageConcatenate(4, 9).double()
    x = noise(3, 5, 3, 4).requires_grad_()
    loss = module(x, PackedMics([3])).square().sum()
    first, second = (torch.autograd.grad(loss, x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_nothing_is_lean_under_autocast_or_of_mixed_kinds():
    x = noise(3)
    assert lean.is_lean(x)
    assert not lean.is_lean(x, x.float())
    with torch.autocast("cpu", torch.bfloat16):
        assert not lean.is_lean(x)


@pytest.mark.parametrize(("length", "rows"), [(1, 1), (20, 2), (5, 100), (7, 7)])
def test_pieces_cover_every_place_once(length, rows):
    places = [place for piece in lean.pieces(length, rows) for place in range(length)[piece]]
    assert places == list(range(length))
