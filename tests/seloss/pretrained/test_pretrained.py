"""Networks by name and file, refusals of damaged ones, enhancement of arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from asteroid.models import DCCRN
from seloss.pretrained import catalogue, enhance, load_model, model_names, write_weights
from seloss.pretrained import enhance_array as enhancement
from seloss.pretrained.__main__ import describe
from seloss.pretrained.weights_file import WeightsError, read_weights
from seloss.train.fit.initial_weights import load_initial_weights

MOST_BYTES = 2_000_000


def small() -> DCCRN:
    torch.manual_seed(0)
    sizes = {"channels": (4, 8), "hidden": 8, "n_layers": 1, "hop_length": 200}
    return DCCRN(**sizes, causal=True).eval()


@pytest.fixture
def file(tmp_path):
    write_weights(tmp_path / "small.safetensors", small().serialize())
    return tmp_path / "small.safetensors"


def test_a_network_comes_back_from_its_file_as_it_was(file):
    network, loaded = small(), load_model(file)
    assert not loaded.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    x = torch.randn(1, 1, 3000)
    with torch.no_grad():
        assert torch.equal(network(x), loaded(x))
    other = small()
    torch.nn.init.zeros_(next(other.parameters()))
    load_initial_weights(other, file)
    assert torch.equal(next(other.parameters()), next(network.parameters()))


def test_an_unknown_name_lists_the_known_ones(monkeypatch, file):
    monkeypatch.setattr(catalogue, "FOLDER", file.parent)
    assert model_names() == ["small"]
    with pytest.raises(ValueError, match=r"no model smal \(did you mean small\?\); .* are small;"):
        load_model("smal")
    with pytest.raises(ValueError, match=r"no model nowhere/x.safetensors"):
        load_model("nowhere/x.safetensors")


@pytest.mark.parametrize("damage", ["cut", "flip", "text"])
def test_a_damaged_file_is_refused_by_name(file, damage):
    content = bytearray(file.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[-3] ^= 0x10
    else:
        content = bytearray(b"hello")
    file.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match=r"small\.safetensors is damaged"):
        load_model(file)


def test_a_foreign_file_is_refused_by_name(tmp_path, file):
    save_file({"weight": torch.ones(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match=r"foreign\.safetensors does not say which network"):
        load_model(tmp_path / "foreign.safetensors")
    package = read_weights(file)
    wrong = {**package, "model_args": {**package["model_args"], "hidden": 16}}
    write_weights(file, wrong)
    with pytest.raises(WeightsError, match=r"does not fit the network it names, DCCRN"):
        load_model(file)


@pytest.mark.parametrize("rate", [16000, 44100, 8000])
@pytest.mark.parametrize("shape", [(9001,), (2, 5000)])
def test_an_array_keeps_shape_and_rate(rate, shape):
    signal = np.random.default_rng(0).standard_normal(shape) * 0.1
    enhanced = enhance(signal, rate, model=small())
    assert enhanced.shape == shape
    assert enhanced.dtype == np.float32
    assert np.isfinite(enhanced).all()


def test_channels_are_enhanced_each_by_itself_and_at_its_rate_as_the_network_does():
    signal = torch.randn(2, 4000) * 0.1
    network = small()
    with torch.no_grad():
        expected = torch.cat([network(one[None, None])[0] for one in signal])
    np.testing.assert_allclose(enhance(signal, 16000, model=network), expected, atol=1e-6)


@pytest.mark.parametrize("limit_db", [0.0, 20.0])
def test_the_limit_mixes_the_signal_back(limit_db):
    signal = 0.1 * np.random.default_rng(2).standard_normal((2, 9000))
    estimate, share = enhance(signal, 44100, model=small()), 10 ** (-limit_db / 20)
    limited = enhance(signal, 44100, model=small(), attenuation_limit_db=limit_db)
    np.testing.assert_allclose(limited, (1 - share) * estimate + share * signal, atol=1e-7)
    assert limited.dtype == np.float32
    with pytest.raises(ValueError, match="attenuation_limit_db must be 0 or more; got -1"):
        enhance(signal, 44100, model=small(), attenuation_limit_db=-1)


def test_blocks_give_what_the_whole_gives(monkeypatch):
    """Frames fall on other samples in a block, but a memory of some seconds is past."""
    signal = np.random.default_rng(1).standard_normal(16000 * 4) * 0.1
    whole = enhance(signal, 16000, model=small())
    monkeypatch.setattr(enhancement, "BLOCK_S", 1.0)
    monkeypatch.setattr(enhancement, "PAST_S", 0.5)
    pieces = enhance(signal, 16000, model=small())
    assert pieces.shape == whole.shape
    assert np.abs(pieces - whole).max() < 1e-3 * np.abs(whole).max()


@pytest.mark.parametrize(
    ("signal", "rate", "error", "message"),
    [
        (np.zeros(10, np.int16), 16000, TypeError, "floating point, full scale 1; got int16"),
        (np.zeros(0), 16000, ValueError, r"must be \(samples,\)"),
        (np.zeros((1, 1, 5)), 16000, ValueError, r"got \(1, 1, 5\)"),
        (np.array([0.0, np.nan]), 16000, ValueError, "not finite"),
        (np.zeros(10), 0, ValueError, "sample_rate must be positive; got 0"),
    ],
)
def test_wrong_arrays_are_refused(signal, rate, error, message):
    with pytest.raises(error, match=message):
        enhance(signal, rate, model=small())


@pytest.mark.parametrize("name", model_names())
def test_a_network_of_the_package_is_small_streams_and_removes_noise(name):
    assert (catalogue.FOLDER / f"{name}.safetensors").stat().st_size < MOST_BYTES
    network = load_model(name)
    assert network.latency_samples / network.sample_rate <= 0.04
    assert name in describe()
    assert catalogue.model_card(name).startswith(f"# {name}")
    noise = 0.05 * np.random.default_rng(0).standard_normal(32000)
    assert np.std(enhance(noise, 16000, model=name)) < 0.3 * np.std(noise)
