"""DCUnet against the values of two public implementations, and what those cannot do."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch

from asteroid.losses import build_loss
from asteroid.masknn.complex.mask import apply_mask
from asteroid.models import BaseModel, DCUNet, DCUnet, get
from asteroid.models.deep_complex_unet import ARCHITECTURES, FORMS
from evaluation.enhance.network import enhance_mixture
from seloss.data.formats.batch import Batch
from seloss.train import EnhancementSystem
from tests.asteroid.models.masked import count, noise, settle, train

REFERENCE = json.loads((Path(__file__).parents[2] / "reference/dcunet.json").read_text())[
    "networks"
]
TINY = {"width": 0.1, "n_fft": 64, "hop_length": 16}
N_SAMPLES = 49152


def set_weights(network):
    """The integer rule of the reference file's values."""
    for name, parameter in network.named_parameters():
        if parameter.ndim == 4:
            k = torch.arange(parameter.numel())
            value = ((k * k + 5 * k + 4099 * ("im_module" in name)) % 10007).double() / 5003 - 1
            value *= (3 / (parameter.numel() / parameter.shape[0])) ** 0.5
            parameter.data = value.view(parameter.shape).to(parameter)
        elif "norm" not in name:
            parameter.data.zero_()


def reference_signal():
    n = torch.arange(N_SAMPLES, dtype=torch.float64)
    tones = 0.1 * torch.sin(2 * torch.pi * 440 * n / 16000) + 0.05 * torch.sin(
        2 * torch.pi * 1330 * n / 16000 + 0.5
    )
    return (tones + 0.02 * torch.sin(2e-5 * n * n))[None]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameter_counts_are_the_published(name):
    expected = REFERENCE[name]["parameters"]
    assert count(DCUnet(name)) == expected["without_bias"]
    with_bias = DCUnet(name, bias=True)
    assert count(with_bias) == expected["with_bias"]
    layers = [*with_bias.masker.encoders, *with_bias.masker.decoders]
    layers += with_bias.masker.output_layer
    counts = [count(layer) for layer in layers]
    assert counts == [n for _, n in REFERENCE[name]["layer_parameters_with_bias"]]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("form", ["cRMRn", "RMRn"])
def test_real_twins_have_about_as_many_parameters_as_the_complex_network(name, form):
    twin, expected = count(DCUnet(name, form=form, bias=True)), REFERENCE[name]["parameters"]
    assert twin == expected.get(form, twin)
    assert abs(twin / expected["with_bias"] - 1) < 0.03


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [
        ("DCUnet-10", torch.float64, 1e-8),
        ("DCUnet-16", torch.float32, 1e-5),
        ("DCUnet-20", torch.float32, 1e-5),
        pytest.param("Large-DCUnet-20", torch.float32, 1e-5, marks=pytest.mark.slow),
        pytest.param("DCUnet-16", torch.float64, 1e-8, marks=pytest.mark.slow),
        pytest.param("DCUnet-20", torch.float64, 1e-8, marks=pytest.mark.slow),
        pytest.param("Large-DCUnet-20", torch.float64, 1e-8, marks=pytest.mark.slow),
    ],
)
def test_layers_and_outputs_are_those_of_the_public_implementations(name, dtype, tolerance):
    expected, network = REFERENCE[name], DCUnet(name).double()
    set_weights(network)
    network = network.to(dtype).eval()
    seen = []
    masker = network.masker
    for layer in [*masker.encoders, *masker.decoders, *masker.output_layer]:
        layer.register_forward_hook(lambda _, maps, y: seen.append((maps, y)))
    with torch.no_grad():
        spectrum = network.stft(reference_signal().to(dtype))
        output = network.mask_output(spectrum)
    assert output.shape == (1, 2, 513, 193)
    for (maps, y), (layer, shape_in, shape_out) in zip(seen, expected["layers"], strict=True):
        assert [sum(m.shape[1] for m in maps) // 2, *maps[0].shape[2:]] == shape_in, layer
        assert [y.shape[1] // 2, *y.shape[2:]] == shape_out, layer
    for (_, y), (layer, re, im) in zip(seen, expected["stage_l2"], strict=False):
        for part, l2 in zip(y.double().chunk(2, dim=1), (re, im), strict=True):
            assert abs(part.norm().item() / l2 - 1) < tolerance, layer
    for kind, wave in expected["waves"].items():
        ours = network.stft.inverse(apply_mask(spectrum, output, kind), N_SAMPLES)[0].double()
        largest = ours.abs().max()
        assert abs(ours.norm().item() / wave["l2"] - 1) < tolerance
        first = torch.tensor(wave["first8"], dtype=torch.float64)
        assert (ours[:8] - first).abs().max() / largest < tolerance
        middle = torch.tensor(wave["mid8"], dtype=torch.float64)
        at = N_SAMPLES // 2
        assert (ours[at : at + 8] - middle).abs().max() / largest < tolerance


@pytest.mark.parametrize("bound", ["tanh", "sigmoid", None])
def test_weights_of_asteroids_dcunet_give_the_same_output_and_gradients(bound):
    torch.manual_seed(0)  # some weights make a magnitude near 0, where the offset is felt
    theirs = DCUNet("DCUNet-10", fix_length_mode="pad", mask_bound=bound).double()
    ours = DCUnet("DCUnet-10", mask=bound or "unbounded", edges="asteroid").double()
    ours.load_asteroid(theirs.state_dict())
    signal = noise(2, 4000, dtype=torch.float64)
    outputs = []
    for network in (ours, theirs):
        outputs.append(network(signal))
        outputs[-1].square().sum().backward()
    # Asteroid's filters are rounded to float32, and an offset of 1e-8 is in its magnitudes
    tolerance = 1e-6 * outputs[1].abs().max()
    assert (outputs[0] - outputs[1]).abs().max() < tolerance
    largest = max(p.grad.abs().max() for p in theirs.parameters())
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (mine.grad - other.grad).abs().max() < 1e-5 * largest
    statistics = ours.state_dict().keys() - dict(ours.named_parameters())
    assert statistics
    for name in statistics:
        difference = ours.state_dict()[name] - theirs.state_dict()[name]
        assert difference.abs().max() < 1e-6, name


def test_asteroids_packages_load_into_asteroids_class(tmp_path):
    network = DCUNet("DCUNet-10", fix_length_mode="pad")
    torch.save(network.serialize(), tmp_path / "package.pth")
    loaded = BaseModel.from_pretrained(str(tmp_path / "package.pth"))
    assert type(loaded) is DCUNet
    signal = noise(1, 3000)
    assert torch.equal(loaded.eval()(signal), network.eval()(signal))


@pytest.mark.parametrize("form", FORMS)
def test_any_length_comes_out_as_long(form):
    network = DCUnet("DCUnet-10", form=form, **TINY).eval()
    for n_samples in [1, 2, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1000]:
        with torch.no_grad():
            y = network(noise(2, 1, n_samples))
        assert y.shape == (2, 1, n_samples)
        assert y.isfinite().all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_depth_takes_any_length(name):
    network = DCUnet(name, width=0.04, n_fft=512, hop_length=256, n_src=2)
    assert network(noise(2, 3, 777)).shape == (2, 2, 777)


def test_shapes_of_mixtures():
    network = DCUnet("DCUnet-10", **TINY).eval()
    mixture = noise(2, 3, 500)
    expected = network(mixture)
    assert torch.equal(network(mixture[:, 0]), expected)  # the first microphone is the one
    assert network(mixture[0, 0]).shape == (1, 500)
    torch.testing.assert_close(network(mixture[0, 0]), expected[0])
    changed = mixture.clone()
    changed[:, 1:] = 9
    assert torch.equal(network(changed), expected)


@pytest.mark.parametrize("mixture", [torch.zeros(2, 0), torch.zeros(1, 1, 1, 5), torch.tensor(1.0)])
def test_mixtures_without_samples_or_of_other_shapes_are_refused(mixture):
    with pytest.raises(ValueError, match="none empty; got"):
        DCUnet("DCUnet-10", **TINY)(mixture)


def test_mixtures_of_integers_are_refused():
    with pytest.raises(TypeError, match=r"floating-point tensor; got torch\.int64"):
        DCUnet("DCUnet-10", **TINY)(torch.zeros(2, 100, dtype=torch.long))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "DCUnet-12"}, "DCUnet-10, DCUnet-16, DCUnet-20, Large-DCUnet-20; got"),
        ({"mask": "relu"}, "mask must be one of"),
        ({"norm": "layer"}, "kind must be one of parts, whitening"),
        ({"form": "RMCn"}, "form must be one of cRMCn, cRMRn, RMRn"),
        ({"mask": "magnitude"}, "go together"),
        ({"form": "RMRn", "mask": "tanh"}, "go together"),
        ({"n_fft": 48}, "n_fft must be a multiple of 64 for DCUnet-10; got 48"),
        ({"n_src": 0}, "n_src must be at least 1"),
        ({"width": 0}, "width must be positive"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DCUnet(**{**TINY, **options})


@pytest.mark.parametrize(
    "options",
    [
        {"norm": "whitening", "mask": "sigmoid", "n_src": 2},
        {"form": "cRMRn", "mask": "unbounded", "bias": True},
        {"form": "RMRn", "sample_rate": 8000},
        {"architecture": "dcunet-16", "n_fft": 512, "hop_length": 128, "edges": "asteroid"},
    ],
)
def test_a_saved_network_comes_back(options):
    network = settle(DCUnet(**{**TINY, **options}))
    package = io.BytesIO()
    torch.save(network.serialize(), package)
    package.seek(0)
    loaded = BaseModel.from_pretrained(torch.load(package, weights_only=True))
    assert type(loaded) is DCUnet is get("DCUnet")
    assert loaded.get_model_args() == network.get_model_args()
    assert loaded.sample_rate == options.get("sample_rate", 16000)
    signal = noise(2, 600)
    assert torch.equal(loaded.eval()(signal), network(signal))


@pytest.mark.parametrize("norm", ["parts", "whitening"])
@pytest.mark.parametrize("mask", ["tanh", "sigmoid", "unbounded"])
def test_it_learns_from_a_random_start(norm, mask):
    torch.manual_seed(0)
    losses = train(DCUnet("DCUnet-10", mask, norm, width=0.15, n_fft=256, hop_length=64))
    assert min(losses[-3:]) < 0.8 * losses[0]


@pytest.mark.parametrize("form", ["cRMRn", "RMRn"])
def test_real_twins_learn_too(form):
    torch.manual_seed(0)
    losses = train(DCUnet("DCUnet-10", form=form, width=0.1, n_fft=256, hop_length=64))
    assert min(losses[-3:]) < 0.9 * losses[0]


@pytest.mark.parametrize("norm", ["parts", "whitening"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("level", [0.0, 1e-30, 1e4])
def test_silence_and_extreme_levels_give_finite_outputs_and_gradients(form, norm, level):
    network = DCUnet("DCUnet-10", form=form, norm=norm, **TINY)
    signal = (level * noise(2, 900)).requires_grad_()
    y = network(signal)
    y.sum().backward()
    assert y.isfinite().all()
    assert signal.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    if level == 0:
        assert (y == 0).all()


@pytest.mark.parametrize("norm", ["parts", "whitening"])
def test_bfloat16_autocast_stays_near_float32(norm):
    torch.manual_seed(0)
    network, signal = DCUnet("DCUnet-10", norm=norm, **TINY), noise(2, 3000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = network(signal)
    low.square().sum().backward()
    assert low.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in network.parameters())
    exact = network(signal)
    assert (low - exact).norm() / exact.norm() < 0.05  # ten layers of 8 bits


def test_a_network_in_float64_computes_in_float64():
    network = settle(DCUnet("DCUnet-10", **TINY).double())
    signal = noise(1, 500, dtype=torch.float64)
    assert network(signal).dtype == torch.float64
    assert (network(signal) - network.float()(signal).double()).abs().max() < 1e-6


def test_the_engine_trains_it_and_inference_runs_it():
    system = EnhancementSystem(DCUnet("DCUnet-10", **TINY), build_loss("neg_sisdr"))
    sources = noise(2, 2, 700)
    batch = Batch(
        noise(2, 3, 700), sources, torch.tensor([3, 3]), torch.tensor([700, 600]), ("a", "b")
    )
    system.loss_values(system(batch.mixture, batch.n_mics), batch)["loss"].mean().backward()
    assert all(p.grad.isfinite().all() for p in system.network.parameters())
    assert enhance_mixture(system.network.eval(), batch.mixture[0]).shape == (700,)


def test_autocast_really_convolves_in_bfloat16():
    network, seen = DCUnet("DCUnet-10", **TINY), []
    for encoder in network.masker.encoders:
        encoder.register_forward_hook(lambda _, maps, y: seen.append(y.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(noise(1, 500))
    assert set(seen) == {torch.bfloat16}
