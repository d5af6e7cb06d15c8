"""Complex layers on real tensors against torch's complex arithmetic and Asteroid's layers."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from asteroid import complex_nn
from asteroid.masknn.complex import three_products
from asteroid.masknn.complex.conv import (
    ComplexConv2d,
    ComplexConvTranspose2d,
    ComplexLinear,
    concatenate,
)
from asteroid.masknn.complex.norm import ComplexBatchNorm2d, ComplexPReLU
from asteroid.masknn.complex.rnn import ComplexLSTM

ROUND_OFF_64 = 1e-12


def noise(*shape, seed=1, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def as_complex(x):
    return torch.complex(*x.chunk(2, dim=1))


def weights(layer):
    weight = torch.complex(layer.re_module.weight, layer.im_module.weight)
    re, im = layer.re_module.bias, layer.im_module.bias
    return weight, None if re is None else torch.complex(re - im, re + im)


@pytest.fixture(params=["block", "three products"])
def algorithm(request, monkeypatch):
    fewest = {"block": 10**9, "three products": 1}[request.param]
    monkeypatch.setattr(three_products, "FEWEST_CHANNELS", fewest)


GEOMETRIES = [
    {"kernel_size": (5, 3), "stride": (2, 1), "padding": (2, 1)},
    {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2},
    {"kernel_size": (1, 4), "groups": 2, "bias": False},
    {"kernel_size": (3, 2), "groups": 4},
]


@pytest.mark.usefixtures("algorithm")
@pytest.mark.parametrize("options", GEOMETRIES)
def test_convolution_equals_torchs_complex_one(options):
    layer = ComplexConv2d(4, 8, **options).double()
    x = noise(2, 8, 9, 11)
    geometry = {k: v for k, v in options.items() if k not in ("kernel_size", "bias")}
    expected = F.conv2d(as_complex(x), *weights(layer), **geometry)
    assert (as_complex(layer(x)) - expected).abs().max() < ROUND_OFF_64


@pytest.mark.usefixtures("algorithm")
@pytest.mark.parametrize("options", [*GEOMETRIES, {"kernel_size": 3, "stride": 2, "more": 1}])
def test_transposed_convolution_equals_torchs_complex_one(options):
    options = dict(options)
    if "more" in options:
        options["output_padding"] = options.pop("more")
    layer = ComplexConvTranspose2d(4, 8, **options).double()
    x = noise(2, 8, 9, 11)
    geometry = {k: v for k, v in options.items() if k not in ("kernel_size", "bias")}
    expected = F.conv_transpose2d(as_complex(x), *weights(layer), **geometry)
    assert (as_complex(layer(x)) - expected).abs().max() < ROUND_OFF_64


def test_linear_layer_equals_torchs_complex_one():
    layer, x = ComplexLinear(5, 3).double(), noise(4, 10)
    expected = F.linear(as_complex(x), *weights(layer))
    assert (as_complex(layer(x)) - expected).abs().max() < ROUND_OFF_64


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (ComplexConv2d, complex_nn.ComplexConv2d, {"kernel_size": 3, "stride": 2}),
        (ComplexConvTranspose2d, complex_nn.ComplexConvTranspose2d, {"kernel_size": (5, 2)}),
    ],
)
def test_parameters_have_asteroids_names_and_the_outputs_are_the_same(ours, theirs, options):
    layer, reference = ours(3, 4, **options).double(), theirs(3, 4, **options).double()
    layer.load_state_dict(reference.state_dict())
    x = noise(2, 6, 7, 8)
    expected = reference(as_complex(x))
    assert (as_complex(layer(x)) - expected).abs().max() < ROUND_OFF_64


def output_and_gradients(layer, last):
    """Return what a layer makes of two maps, channels last or not, and the gradients of all."""
    maps = [noise(2, 4, 6, 9), noise(2, 6, 6, 9, seed=2)]
    if last:
        maps = [each.to(memory_format=torch.channels_last) for each in maps]
    maps = [each.requires_grad_() for each in maps]
    layer.zero_grad()
    y = layer(*maps)
    y.pow(3).sum().backward()
    grads = [each.grad for each in maps] + [p.grad.clone() for p in layer.parameters()]
    return [y.detach(), *grads]


@pytest.mark.parametrize("kind", [ComplexConv2d, ComplexConvTranspose2d])
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"trim": (1, 0)}])
def test_three_products_have_the_gradients_of_the_block_weight(kind, options, monkeypatch):
    if kind is ComplexConv2d and "trim" in options:
        pytest.skip("a convolution trims nothing")
    layer = kind(5, 3, (5, 2), (2, 1), (2, 1), **options).double()
    results = []
    for fewest, last in itertools.product([1, 99], [False, True]):
        monkeypatch.setattr(three_products, "FEWEST_CHANNELS", fewest)
        results.append(output_and_gradients(layer, last))
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.usefixtures("algorithm")
@pytest.mark.parametrize("out_channels", [1, 8])
@pytest.mark.parametrize("kind", [ComplexConv2d, ComplexConvTranspose2d])
@pytest.mark.parametrize("bias", [False, True])
def test_several_maps_are_convolved_as_their_concatenation(kind, bias, out_channels):
    layer = kind(7, out_channels, (5, 3), (2, 1), (2, 1), bias=bias).double()
    maps = noise(2, 4, 6, 9), noise(2, 6, 6, 9, seed=2), noise(2, 4, 6, 9, seed=3)
    torchs = F.conv2d if kind is ComplexConv2d else F.conv_transpose2d
    whole = as_complex(concatenate(*maps))
    expected = torchs(whole, *weights(layer), stride=(2, 1), padding=(2, 1))
    assert (as_complex(layer(*maps)) - expected).abs().max() < ROUND_OFF_64


@pytest.mark.usefixtures("algorithm")
def test_gradients_of_a_convolution_are_right():
    layer = ComplexConv2d(2, 2, (2, 2)).double()
    parameters = list(layer.parameters())

    def output(x, *values):
        named = dict(zip([n for n, _ in layer.named_parameters()], values, strict=True))
        return torch.func.functional_call(layer, named, (x,))

    assert torch.autograd.gradcheck(output, (noise(1, 4, 3, 3).requires_grad_(), *parameters))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", [ComplexConv2d, ComplexConvTranspose2d])
def test_a_causal_layer_knows_no_later_frame(kind, stride):
    layer = kind(2, 2, (3, 3), (1, stride), (1, 1), causal=True).double()
    x = noise(1, 4, 5, 12)
    later = x.clone()
    later[..., 8:] += 1
    change = (layer(x) - layer(later)).abs().amax(dim=(0, 1, 2))
    first = 8 // stride if kind is ComplexConv2d else 8 * stride
    assert change[:first].max() == 0
    assert change[first] > 0
    assert len(change) == (12 // stride if kind is ComplexConv2d else 12 * stride)


def test_a_causal_transposed_kernel_must_fill_its_stride():
    with pytest.raises(ValueError, match="reach over its stride"):
        ComplexConvTranspose2d(1, 1, (3, 1), (1, 2), causal=True)


def test_concatenation_keeps_real_parts_in_front():
    a, b = noise(1, 4, 2, 2), noise(1, 6, 2, 2, seed=2)
    expected = torch.cat([as_complex(a), as_complex(b)], dim=1)
    assert torch.equal(as_complex(concatenate(a, b)), expected)


def test_norm_of_parts_equals_two_real_batch_norms_in_training_and_evaluation():
    norm = ComplexBatchNorm2d(3)
    reference = complex_nn.OnReIm(torch.nn.BatchNorm2d, 3)
    for part in (norm.re_module, norm.im_module):
        torch.nn.init.uniform_(part.weight, 0.5, 2)
        torch.nn.init.normal_(part.bias)
    reference.load_state_dict(norm.state_dict())
    for seed in range(3):
        x = noise(2, 6, 4, 5, seed=seed, dtype=torch.float32) * 3 + 1
        torch.testing.assert_close(as_complex(norm(x)), reference(as_complex(x)))
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(norm.state_dict()[name], value)
    norm.eval(), reference.eval()
    torch.testing.assert_close(as_complex(norm(x)), reference(as_complex(x)))


def covariances(y):
    channels = y.unflatten(1, (2, -1)).permute(2, 1, 0, 3, 4).flatten(2)
    return torch.stack([torch.cov(each, correction=0) for each in channels])


def correlated(scale=1.0, dtype=torch.float64):
    x = noise(4, 6, 8, 9, dtype=torch.float64)
    x[:, 3:] = 0.8 * x[:, :3] + 0.6 * x[:, 3:]
    return ((x + 2) * scale).to(dtype)


def test_whitening_leaves_uncorrelated_parts_where_the_norm_of_parts_does_not():
    half = torch.eye(2, dtype=torch.float64) / 2  # the learnt matrix starts as I / sqrt(2)
    whitened = covariances(ComplexBatchNorm2d(3, "whitening", eps=0).double()(correlated()))
    assert (whitened - half).abs().max() < 1e-7  # its first value is a float32
    by_part = covariances(ComplexBatchNorm2d(3).double()(correlated()))
    assert by_part[:, 0, 1].min() > 0.7


def test_whitening_uses_the_inverse_root_of_the_covariance():
    norm = ComplexBatchNorm2d(3, "whitening").double()
    x = correlated()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    parts = x.unflatten(1, (2, 3))
    y = norm(x).unflatten(1, (2, 3))
    for channel, covariance in enumerate(covariances(x)):
        values, vectors = torch.linalg.eigh(covariance + 1e-5 * torch.eye(2))
        root = vectors @ torch.diag(values.rsqrt()) @ vectors.T
        a, b, c = norm.weight[:, channel]
        matrix = torch.stack([torch.stack([a, b]), torch.stack([b, c])]) @ root
        rows = parts[:, :, channel].movedim(1, -1)
        rows = (rows - rows.mean(dim=(0, 1, 2))) @ matrix.T + norm.bias[:, channel]
        assert (rows - y[:, :, channel].movedim(1, -1)).abs().max() < 1e-10


def test_whitening_in_evaluation_converges_to_that_in_training():
    norm = ComplexBatchNorm2d(3, "whitening").double()
    x = correlated()
    for _ in range(300):
        trained = norm(x)
    difference = (norm.eval()(x) - trained).abs().max()
    assert difference < 0.01  # the running covariance is unbiased: n / (n - 1), n = 288
    assert norm.num_batches_tracked == 300


@pytest.mark.parametrize("kind", ["parts", "whitening"])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_the_norms_are_right(kind, training):
    norm = ComplexBatchNorm2d(2, kind).double().train(training)
    x = noise(2, 4, 2, 3).requires_grad_()
    parameters = list(norm.parameters())

    def output(x, *values):
        named = dict(zip([n for n, _ in norm.named_parameters()], values, strict=True))
        return torch.func.functional_call(norm, named, (x,))

    assert torch.autograd.gradcheck(output, (x, *parameters), atol=1e-4)


@pytest.mark.parametrize("kind", ["parts", "whitening"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(2, 6, 4, 4),
        lambda: torch.full((2, 6, 4, 4), 1e4),
        lambda: noise(2, 3, 4, 4, dtype=torch.float32).repeat(1, 2, 1, 1) * 1e4,  # im = re
        lambda: noise(2, 6, 4, 4, dtype=torch.float32) * 1e-20,
    ],
)
def test_norms_stay_finite_without_variance(kind, make):
    x = make().requires_grad_()
    norm = ComplexBatchNorm2d(3, kind)
    norm(x).square().sum().backward()
    assert norm(x).isfinite().all()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in norm.parameters())
    assert all(b.isfinite().all() for b in norm.buffers())


@pytest.mark.parametrize("kind", ["parts", "whitening"])
def test_norms_of_bfloat16_have_statistics_in_float32(kind):
    norm, x = ComplexBatchNorm2d(3, kind), correlated(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = norm(x.bfloat16())
    assert y.dtype == torch.bfloat16
    exact = ComplexBatchNorm2d(3, kind)(x.bfloat16().float())
    assert (y.float() - exact).abs().max() < 0.02  # the result's 8 bits, up to 4 in size


def test_an_unknown_kind_of_norm_is_refused():
    with pytest.raises(ValueError, match="parts, whitening; got 'both'"):
        ComplexBatchNorm2d(3, "both")


@pytest.mark.parametrize("shared", [False, True])
def test_prelu_bends_each_part(shared):
    prelu = ComplexPReLU(shared)
    slopes = [0.5, 0.5] if shared else [0.5, -0.25]
    with torch.no_grad():
        for parameter, slope in zip(prelu.parameters(), slopes, strict=False):
            parameter.fill_(slope)
    x = noise(2, 6, 3, 3, dtype=torch.float32)
    re, im = x.chunk(2, dim=1)
    bent = [torch.where(part > 0, part, s * part) for part, s in zip((re, im), slopes, strict=True)]
    torch.testing.assert_close(prelu(x), torch.cat(bent, dim=1))


def test_complex_lstm_equals_asteroids():
    ours = ComplexLSTM(6, 5, 2).double()
    theirs = complex_nn.ComplexSingleRNN("LSTM", 6, 5, n_layers=2).double()
    ours.load_state_dict(theirs.state_dict())
    x = noise(2, 7, 6, 2)
    expected = torch.view_as_real(theirs(torch.view_as_complex(x)))
    assert (ours(x.permute(1, 3, 0, 2)) - expected.permute(1, 3, 0, 2)).abs().max() < ROUND_OFF_64
