"""The compiled engine of streams: it computes what the network does, frame by frame."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from asteroid.masknn.stream import kernels as frame_kernels
from asteroid.masknn.stream import machine as frame_machine
from asteroid.masknn.stream import writer as frame_writer
from asteroid.masknn.stream.machine import FrameMachine
from asteroid.masknn.stream.program import FrameProgram, Map, Multiply
from asteroid.masknn.stream.writer import FrameWriter, Source
from asteroid.models import CNUNet, NUNetTLS

TINY = {"channels": 4, "inner_channels": 2, "win_length": 64, "hop_length": 32, "n_fft": 64}
NETWORKS = {
    "both": {"depths": (3, 2)},
    "mask": {"depths": (2,), "branch": "mask"},
    "spectrum": {"depths": (1, 3, 2), "branch": "spectrum"},
    "frame": {"depths": (3, 2), "norm": "frame"},
    "wide": {"depths": (1, 1), "channels": 6, "inner_channels": 8},
}
# float32 against float64, relative to the largest value of a map
ROUND_OFF = 2e-5


def noise(*shape, seed=1, scale=0.1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def build(name, **options):
    """Return a network none of whose parameters is at its start: no bias 0, no slope alike."""
    torch.manual_seed(0)
    network = CNUNet(**{**TINY, **NETWORKS[name], **options}).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("fewest", [frame_writer.FEWEST_PRODUCTS, 0])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_map_is_that_of_the_modules_in_float64(monkeypatch, name, fewest):
    monkeypatch.setattr(frame_writer, "FEWEST_PRODUCTS", fewest)  # 0: three products everywhere
    network = build(name)
    x = noise(2, 2, network.n_fft // 2, 80, scale=1.0)  # every ring of frames turns over
    machine = FrameMachine(network.frame_program(), batch=2)
    got = machine(x)
    with torch.no_grad():
        expected = network.double()._outputs(x.double(), None, None)
    assert set(got) == set(expected)
    for key, value in expected.items():
        assert got[key].shape == value.shape
        assert (got[key] - value).abs().max() < ROUND_OFF * value.abs().max(), key


@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize("hops", [1, 3])
def test_both_engines_give_the_whole_utterance(engine, hops):
    network = build("both")
    signal = noise(2, 36 * hops * network.hop_length)
    stream = network.stream(batch=2, engine=engine)
    assert stream.engine == engine
    assert stream.latency_samples(1) == network.latency_samples
    assert stream.latency_samples(hops) == stream.delay_samples + hops * network.hop_length
    pieces = [stream.step(piece) for piece in signal.split(hops * network.hop_length, dim=1)]
    streamed = torch.cat([*pieces, stream.flush()], dim=1)[:, stream.delay_samples :]
    with torch.no_grad():
        whole = network(signal)[:, 0]
    error = (streamed[:, : whole.shape[1]] - whole).abs().max()
    assert error < 1e-4 * whole.abs().max()  # the networks' power of 5 behind float32


@pytest.mark.slow
def test_the_full_network_compiled_is_the_full_network():
    torch.manual_seed(0)
    network, signal = CNUNet().eval(), noise(1, 16000)
    stream = network.stream()
    assert stream.engine == "compiled"
    pieces = [stream.step(piece) for piece in signal[:, :15872].split(256, dim=1)]
    streamed = torch.cat(pieces, dim=1)[:, stream.delay_samples :]
    with torch.no_grad():
        whole = network(signal)[:, 0]
    assert (streamed - whole[:, : streamed.shape[1]]).abs().max() < 1e-4 * whole.abs().max()


def test_signals_side_by_side_do_not_meet():
    network = build("both")
    alone, both = network.stream(1), network.stream(2)
    for seed in range(40):
        samples = noise(2, network.hop_length, seed=seed)
        together, expected = both.step(samples)[1:], alone.step(samples[1:])
        assert (together - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_restart_forgets_everything():
    stream = build("both").stream()
    first = [stream.step(noise(1, 32, seed=seed)) for seed in range(40)]
    stream.state.restart()
    stream._recent, stream._overlap = (torch.zeros(1, stream.delay_samples) for _ in range(2))
    again = [stream.step(noise(1, 32, seed=seed)) for seed in range(40)]
    assert all(map(torch.equal, first, again))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_not_hidden(value):
    network = build("both")
    stream, samples = network.stream(2), noise(2, network.hop_length)
    stream.step(samples)
    broken = samples.clone()
    broken[0, 3] = value
    for _ in range(3):
        finite = stream.step(broken).isfinite().all(dim=1)
        assert finite.tolist() == [False, True]


def test_what_a_stream_returns_can_be_trained_on():
    samples = build("both").stream().step(noise(1, 32))
    weight = torch.ones(1, requires_grad=True)
    (weight * samples).square().sum().backward()
    assert weight.grad is not None


def test_the_engine_is_chosen_and_refused(monkeypatch):
    network = build("both")
    assert network.stream().engine == "compiled"
    assert network.stream(engine="torch").engine == "torch"
    others = {
        "NUNetTLS cannot be compiled": NUNetTLS(**TINY, depths=(3, 2)),
        "embedding_dim=3": build("both", embedding_dim=3),
        r"float32 on CPU; this network is torch\.float64": build("both").double(),
    }
    for message, other in others.items():
        assert other.stream().engine == "torch"
        with pytest.raises(ValueError, match=message):
            other.stream(engine="compiled")
    with pytest.raises(ValueError, match="auto, compiled, torch; got 'fast'"):
        network.stream(engine="fast")
    monkeypatch.setattr(frame_machine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install numba"):
        network.stream(engine="compiled")
    assert network.stream().engine == "torch"


@pytest.mark.parametrize("fewest", [0, 10**9])  # three products, four products
@pytest.mark.parametrize("norm", [None, "frame"])
@pytest.mark.parametrize(
    ("stride", "dilation", "taps", "repeats"),
    [(1, 1, 3, 1), (2, 1, 3, 1), (1, 2, 3, 1), (2, 1, 1, 1), (1, 1, 3, 2)],
)
def test_a_written_convolution_is_that_of_torch(
    monkeypatch, fewest, norm, stride, dilation, taps, repeats
):
    monkeypatch.setattr(frame_writer, "FEWEST_PRODUCTS", fewest)
    writer = FrameWriter()
    source = writer.reserve(8, 6, frames=2)
    weights = [torch.complex(*noise(2, 10, 3, taps, seed=seed, scale=1.0)) for seed in (2, 3)]
    bias = torch.complex(*noise(2, 10, seed=4, scale=1.0))
    gain, shift, slope = (noise(20 // repeats, seed=seed, scale=1.0) for seed in (5, 6, 7))
    sources = [Source(source, delay, w.real, w.imag) for delay, w in enumerate(weights)]
    product = writer.convolve(sources, stride, dilation, repeats)
    place = writer.reserve(product.rows * repeats, 20 // repeats)
    grouped = torch.stack([bias.real, bias.imag]).unflatten(1, (repeats, -1)).transpose(0, 1)
    options = {"norm": norm, "eps": 1e-5, "affine": (gain, shift), "slope": slope}
    writer.finish(product, place, grouped, **options)
    program = writer.finished(source, {"y": place})
    x = noise(1, 6, 8, 3, scale=1.0)
    got = FrameMachine(program)(x)["y"]

    now = torch.complex(*x.chunk(2, dim=1))
    padding = dilation * (taps // 2)
    y = bias[:, None, None] + sum(
        F.conv2d(each, w[..., None], None, (stride, 1), (padding, 0), (dilation, 1))
        for each, w in zip((now, F.pad(now, (1, 0))[..., :-1]), weights, strict=True)
    )
    # groups of channels become rows beside each other
    y = y.unflatten(1, (repeats, -1)).permute(0, 2, 3, 1, 4).flatten(2, 3)
    expected = torch.cat([y.real, y.imag], dim=1)
    if norm is None:
        expected = expected * gain[:, None, None] + shift[:, None, None]
    else:
        frames = expected.permute(0, 3, 1, 2).flatten(0, 1)
        normalised = F.group_norm(frames, 2, gain, shift).unflatten(0, (1, -1))
        expected = normalised.permute(0, 2, 3, 1)
    assert (got - F.prelu(expected, slope)).abs().max() < 1e-5
    products = 8 // stride * 6 * taps * 10 * (3 if fewest == 0 else 4)
    written = [each for each in program.operations() if isinstance(each, Multiply)]
    assert sum(each.rows * each.width * each.n_out for each in written) == products


@pytest.mark.slow
def test_without_a_folder_for_its_code_a_stream_is_compiled_all_the_same(monkeypatch):
    network = build("mask")
    expected = network.stream(engine="compiled").step(noise(1, 32))

    def refuse(**options):
        raise RuntimeError("cannot cache function 'run': no locator available")

    monkeypatch.setattr(frame_kernels, "njit", refuse)
    monkeypatch.setattr(frame_kernels, "run", frame_kernels._build_run(1))
    assert torch.equal(network.stream(engine="compiled").step(noise(1, 32)), expected)


def test_a_saved_program_is_the_program(tmp_path):
    program = build("both").frame_program()
    program.save(tmp_path / "network.npz")
    assert [each.name for each in tmp_path.iterdir()] == ["network.npz"]
    with np.load(tmp_path / "network.npz") as file:
        sizes = json.loads(str(file["sizes"]))
        source, results = sizes.pop("source"), sizes.pop("results")
        again = FrameProgram(
            code=file["code"],
            weights=file["weights"],
            source=Map(**source),
            results={name: Map(**place) for name, place in results.items()},
            **sizes,
        )
    x = noise(1, 2, 32, 40)
    expected = FrameMachine(program)(x)
    for name, got in FrameMachine(again)(x).items():
        assert torch.equal(got, expected[name])


def test_a_machine_takes_one_frame_of_every_signal():
    machine = FrameMachine(build("both").frame_program(), batch=2)
    results = machine.step(np.zeros((2, 32, 2), np.float32))
    assert {name: each.shape for name, each in results.items()} == {
        "mask": (2, 32, 2),
        "spectrum": (2, 32, 2),
        "latent": (2, 8, 8),
    }
