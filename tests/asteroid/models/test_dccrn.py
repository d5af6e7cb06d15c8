"""DCCRN: the published sizes, Asteroid's numbers, and how far it looks ahead."""

from __future__ import annotations

import io

import pytest
import torch

from asteroid.losses import build_loss
from asteroid.models import DCCRN, BaseModel, DCCRNet, get
from evaluation.enhance.network import enhance_mixture
from seloss.data.formats.batch import Batch
from seloss.train import EnhancementSystem
from tests.asteroid.models.masked import count, noise, settle, train

TINY = {
    "channels": (4, 8, 8),
    "hidden": 8,
    "n_fft": 64,
    "window_length": 50,
    "hop_length": 12,
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 3_671_053),
        ({"masking": "C"}, 3_671_053),
        ({"masking": "R"}, 3_671_053),
        ({"causal": True}, 3_671_053),
        ({"channels": (16, 32, 64, 128, 256, 256)}, 2_693_773),
        ({"recurrent": "real"}, 4_719_629),
        ({"norm": "whitening"}, 3_671_917),
        ({"variant": "asteroid"}, 3_669_336),
    ],
)
def test_parameter_counts_are_the_published(options, expected):
    assert count(DCCRN(**options)) == expected


def test_encoder_recurrent_layer_and_decoder_have_the_published_shares():
    masker = DCCRN().masker
    assert count(masker.encoders[:-1]) == 873_702
    assert count(masker.encoders[-1]) == 1_053_696
    assert count(masker.decoders) + count(masker.output_layer) == 1_743_655


def test_layers_halve_the_frequencies_and_keep_the_frames():
    network, seen = DCCRN(), []
    for encoder in network.masker.encoders:
        encoder.register_forward_hook(lambda _, maps, y: seen.append(tuple(y.shape[1:])))
    with torch.no_grad():
        network(noise(1, 4000))
    channels, rows = (32, 64, 128, 256, 256, 256, 256), (128, 64, 32, 16, 8, 4, 4)
    assert seen == [(c, f, 43) for c, f in zip(channels, rows, strict=True)]


def test_weights_of_asteroids_dccrnet_give_the_same_output_and_gradients():
    torch.manual_seed(0)
    theirs, ours = DCCRNet("DCCRN-CL").double(), DCCRN(variant="asteroid").double()
    ours.load_asteroid(theirs.state_dict())
    signal = noise(2, 2000, dtype=torch.float64)
    outputs = []
    for network in (ours, theirs):
        outputs.append(network(signal))
        outputs[-1].square().sum().backward()
    # Asteroid's filters are rounded to float32, and an offset of 1e-8 is in its magnitudes
    assert (outputs[0] - outputs[1]).abs().max() < 1e-6 * outputs[1].abs().max()
    gradients = dict(theirs.named_parameters())
    largest = max(p.grad.abs().max() for p in gradients.values())
    for name, mine in ours.named_parameters():
        assert (mine.grad - gradients[name].grad).abs().max() < 1e-5 * largest, name
    state = theirs.state_dict()
    for name, buffer in ours.state_dict().items():
        assert (buffer - state[name]).abs().max() < 1e-6, name


def test_asteroids_packages_load_into_asteroids_class(tmp_path):
    network = DCCRNet("mini")
    torch.save(network.serialize(), tmp_path / "package.pth")
    loaded = BaseModel.from_pretrained(str(tmp_path / "package.pth"))
    assert type(loaded) is DCCRNet
    signal = noise(1, 3000)
    assert torch.equal(loaded.eval()(signal), network.eval()(signal))


@pytest.mark.parametrize("recurrent", ["complex", "real"])
@pytest.mark.parametrize("norm", ["parts", "whitening"])
@pytest.mark.parametrize("causal", [True, False])
def test_a_sample_depends_on_nothing_beyond_the_latency(recurrent, norm, causal):
    network = settle(DCCRN(**TINY, recurrent=recurrent, norm=norm, causal=causal).double())
    assert network.latency_samples == 50 + (0 if causal else 3 * 12)
    signal = noise(1, 1500, dtype=torch.float64)
    reach = []
    for start in range(600, 630):  # every phase of the hop
        later = signal.clone()
        later[:, start:] = noise(1, 1500 - start, seed=3, dtype=torch.float64)
        with torch.no_grad():
            change = (network(signal) - network(later)).abs()[0, 0]
        assert change[: start - network.latency_samples + 1].max() == 0
        reach.append(start - int(change.nonzero()[0]))
    assert max(reach) >= network.latency_samples - 2  # the bound is tight: Hann starts with a zero


def test_the_published_sizes_look_ahead_by_what_they_say():
    network = settle(DCCRN(channels=(4,) * 6, hidden=4).double(), 2000)
    assert (network.latency_samples, DCCRN(**TINY, causal=True).latency_samples) == (1000, 50)
    signal = noise(1, 4000, dtype=torch.float64)
    later = signal.clone()
    later[:, 2500:] += 1
    with torch.no_grad():
        change = (network(signal) - network(later)).abs()[0, 0]
    assert change[: 2500 - 999].max() == 0
    assert change[2500 - 900 :].max() > 0


@pytest.mark.parametrize("variant", ["published", "asteroid"])
def test_any_length_comes_out_as_long(variant):
    network = DCCRN(**TINY, variant=variant).eval()
    shortest = 1 if variant == "published" else 50 + 3 * 12  # frames that the layers use up
    for n_samples in [1, 2, 11, 12, 13, 49, 50, 51, 86, 333, 1000]:
        if n_samples < shortest:
            continue
        with torch.no_grad():
            y = network(noise(2, 1, n_samples))
        assert y.shape == (2, 1, n_samples)
        assert y.isfinite().all()


def test_shapes_of_mixtures():
    network = DCCRN(**TINY, n_src=2).eval()
    mixture = noise(2, 3, 500)
    expected = network(mixture)
    assert expected.shape == (2, 2, 500)
    assert torch.equal(network(mixture[:, 0]), expected)  # the first microphone is the one
    torch.testing.assert_close(network(mixture[0, 0]), expected[0])


def test_the_configurations_differ_by_their_masks_alone():
    networks = {name: DCCRN(name, **TINY).eval() for name in "ECR"}
    for network in networks.values():
        network.load_state_dict(networks["E"].state_dict())
    signal = noise(1, 700)
    spectrum = networks["E"].stft(signal)
    output = networks["E"].mask_output(spectrum)
    z, mask = torch.complex(*spectrum.unbind(1)), torch.complex(*output.unbind(1))
    masked = {
        "E": torch.polar(mask.abs().tanh() * z.abs(), mask.angle() + z.angle()),
        "C": mask * z,
        "R": torch.complex(mask.real * z.real, mask.imag * z.imag),
    }
    for name, expected in masked.items():
        wave = networks[name].stft.inverse(torch.stack([expected.real, expected.imag], 1), 700)
        torch.testing.assert_close(networks[name](signal)[:, 0], wave, rtol=1e-4, atol=1e-6)
    assert (output[:, :, 0] == 0).all()  # the bin at 0 Hz is not used


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masking": "CL"}, "masking must be one of E, C, R; got 'CL'"),
        ({"recurrent": "gru"}, "recurrent must be one of complex, real"),
        ({"variant": "paper"}, "variant must be one of published, asteroid"),
        ({"variant": "asteroid", "causal": True}, "causal needs variant 'published'"),
        ({"channels": (4, 7)}, "channels must be even"),
        ({"channels": ()}, "channels must be even and positive"),
        ({"hidden": 3}, "hidden must be even"),
        ({"n_fft": 72}, "n_fft must be a multiple of 16 for 3 encoders; got 72"),
        ({"norm": "layer"}, "kind must be one of parts, whitening"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DCCRN(**{**TINY, **options})


@pytest.mark.parametrize(
    "options",
    [
        {"masking": "C", "norm": "whitening", "causal": True},
        {"masking": "R", "recurrent": "real", "n_src": 2, "sample_rate": 8000},
        {"variant": "asteroid", "n_layers": 1},
    ],
)
def test_a_saved_network_comes_back(options):
    network = settle(DCCRN(**{**TINY, **options}))
    package = io.BytesIO()
    torch.save(network.serialize(), package)
    package.seek(0)
    loaded = BaseModel.from_pretrained(torch.load(package, weights_only=True))
    assert type(loaded) is DCCRN is get("DCCRN")
    assert loaded.get_model_args() == network.get_model_args()
    signal = noise(2, 600)
    assert torch.equal(loaded.eval()(signal), network(signal))


@pytest.mark.parametrize("masking", ["E", "C", "R"])
@pytest.mark.parametrize("norm", ["parts", "whitening"])
def test_it_learns_from_a_random_start(masking, norm):
    torch.manual_seed(0)
    sizes = {"channels": (8, 16, 16), "hidden": 16, "n_fft": 256, "window_length": 256}
    losses = train(DCCRN(masking, norm=norm, hop_length=64, **sizes))
    assert min(losses[-3:]) < 0.8 * losses[0]


@pytest.mark.parametrize("norm", ["parts", "whitening"])
@pytest.mark.parametrize("level", [0.0, 1e-30, 1e4])
def test_silence_and_extreme_levels_give_finite_outputs_and_gradients(norm, level):
    network = DCCRN(norm=norm, **TINY)
    signal = (level * noise(2, 900)).requires_grad_()
    y = network(signal)
    y.sum().backward()
    assert y.isfinite().all()
    assert signal.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    if level == 0:
        assert (y == 0).all()


@pytest.mark.parametrize("norm", ["parts", "whitening"])
@pytest.mark.parametrize("recurrent", ["complex", "real"])
def test_bfloat16_autocast_stays_near_float32(norm, recurrent):
    torch.manual_seed(0)
    network, signal = DCCRN(norm=norm, recurrent=recurrent, **TINY), noise(2, 3000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = network(signal)
    low.square().sum().backward()
    assert low.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in network.parameters())
    exact = network(signal)
    assert (low - exact).norm() / exact.norm() < 0.05  # seven layers of 8 bits


def test_the_engine_trains_it_and_inference_runs_it():
    system = EnhancementSystem(DCCRN(**TINY), build_loss("neg_sisdr"))
    sources = noise(2, 2, 700)
    batch = Batch(
        noise(2, 3, 700), sources, torch.tensor([3, 3]), torch.tensor([700, 600]), ("a", "b")
    )
    system.loss_values(system(batch.mixture, batch.n_mics), batch)["loss"].mean().backward()
    assert all(p.grad.isfinite().all() for p in system.network.parameters())
    assert enhance_mixture(system.network.eval(), batch.mixture[0]).shape == (700,)


def test_autocast_really_convolves_in_bfloat16():
    network, seen = DCCRN(**TINY), []
    for encoder in network.masker.encoders:
        encoder.register_forward_hook(lambda _, maps, y: seen.append(y.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(noise(1, 500))
    assert set(seen) == {torch.bfloat16}


@pytest.mark.parametrize("recurrent", ["complex", "real"])
def test_channels_lie_last_in_memory_from_end_to_end(recurrent):
    network, seen = DCCRN(recurrent=recurrent, **TINY), []
    masker = network.masker
    for layer in [*masker.encoders, *masker.decoders, *masker.output_layer]:
        layer.register_forward_hook(lambda _, maps, y: seen.extend(maps))
    network(noise(2, 500))
    assert len(seen) == 4 + 2 + 2 + 2  # encoders and LSTM, two maps of each decoder
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in seen)
