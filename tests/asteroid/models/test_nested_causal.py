"""What the causal nested U-Nets promise: no future, streams, levels, silence, any length."""

from __future__ import annotations

import pytest
import torch

from asteroid.dsp.framed_stft import FramedStft
from asteroid.masknn.complex.conv import ComplexConv2d
from asteroid.masknn.stream.fused_conv import FusedConv
from asteroid.models import BaseModel, CNUNet, NUNetTLS

TINY = {
    "channels": 4,
    "inner_channels": 2,
    "depths": (3, 2),
    "win_length": 64,
    "hop_length": 32,
    "n_fft": 64,
}
NETWORKS = {
    "nunet": lambda **o: NUNetTLS(**TINY, **o),
    "both": lambda **o: CNUNet(**TINY, **o),
    "mask": lambda **o: CNUNet(**TINY, branch="mask", **o),
    "spectrum": lambda **o: CNUNet(**TINY, branch="spectrum", **o),
    "frame": lambda **o: CNUNet(**TINY, norm="frame", **o),
    "fused": lambda **o: CNUNet(**TINY, embedding_dim=3, **o),
}
ROUND_OFF_32 = 1e-4  # of the largest value: float32 to the power of 5 through some 100 layers


def noise(*shape, seed=1, scale=0.1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def build(name, **options):
    torch.manual_seed(0)
    return NETWORKS[name](**options).eval()


def embeddings_for(network, signal):
    size = getattr(network, "embedding_dim", None)
    return (
        None if size is None else noise(signal.shape[0], network.n_frames(signal.shape[-1]), size)
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_no_future_sample_changes_the_past(name):
    network = build(name)
    hop, latency = network.hop_length, network.latency_samples
    assert latency == network.win_length
    changed_from = 70 * hop  # beyond the reach of the dense blocks
    signal = noise(1, 100 * hop + 7)
    other = signal.clone()
    other[:, changed_from:] = noise(*other[:, changed_from:].shape, seed=2, scale=10.0)
    given = embeddings_for(network, signal)
    with torch.no_grad():
        change = (network(signal, given) - network(other, given)).abs()[0, 0]
    assert change[: changed_from - latency + 1].max() == 0
    assert change[changed_from - latency + hop :][: latency - hop].max() > 0  # no looser than said


def test_as_published_looks_ahead_without_bound():
    network = CNUNet(**TINY, as_published=True).eval()
    signal = noise(1, 4000)
    other = torch.cat([signal[:, :3000], noise(1, 1000, seed=2, scale=1.0)], dim=1)
    with torch.no_grad():
        change = (network(signal) - network(other)).abs()[0, 0]
    assert change[:1000].max() > 0
    assert network.latency_samples is None
    with pytest.raises(ValueError, match="not causal"):
        network.stream()


@pytest.mark.parametrize("hops", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_stream_gives_what_the_whole_utterance_gives(name, hops):
    network = build(name)
    piece = hops * network.hop_length
    signal = noise(2, 36 * piece)
    given = embeddings_for(network, signal)
    with torch.no_grad():
        whole = network(signal, given)[:, 0]
    stream = network.stream(batch=2)
    pieces = []
    for i, samples in enumerate(signal.split(piece, dim=1)):
        now = None if given is None else given[:, i * hops : (i + 1) * hops]
        pieces.append(stream.step(samples, now))
    streamed = torch.cat(pieces, dim=1)[:, stream.delay_samples :]
    error = (streamed - whole[:, : streamed.shape[1]]).abs().max() / whole.abs().max()
    assert error < ROUND_OFF_32
    if given is None:
        rest = torch.cat([streamed, stream.flush()], dim=1)[:, : whole.shape[1]]
        assert rest.shape == whole.shape
        assert (rest - whole).abs().max() / whole.abs().max() < ROUND_OFF_32


def test_the_memory_of_a_stream_does_not_grow():
    network = build("both")
    stream, sizes = network.stream(), []
    for _ in range(4):
        stream.step(noise(1, network.hop_length))
        sizes.append(stream.state.n_values())
    assert len(set(sizes)) == 1


def test_a_stream_refuses_other_shapes():
    stream = build("both").stream()
    with pytest.raises(ValueError, match="multiple of 32 samples; got 100"):
        stream.step(noise(1, 100))
    with pytest.raises(ValueError, match=r"shape \(1, n\)"):
        stream.step(noise(2, 32))


@pytest.mark.parametrize("name", ["nunet", "both"])
def test_a_scaled_input_gives_a_scaled_output_and_silence_gives_silence(name):
    network, signal = build(name), noise(1, 4000)
    with torch.no_grad():
        whole = network(signal)
        assert ((network(10 * signal) / 10 - whole).norm() / whole.norm()) < 1e-3
        assert network(torch.zeros(1, 4000)).abs().max() < 1e-10


def test_the_published_spectrum_branch_has_one_level_whatever_its_input():
    network = build("spectrum", as_published=True)
    with torch.no_grad():
        loud, soft = network(noise(1, 4096)), network(noise(1, 4096, scale=0.001))
    assert 0.3 < (soft.norm() / loud.norm()).item() < 3  # the inputs differ by 40 dB


@pytest.mark.parametrize("length", [1, 31, 32, 33, 401])
@pytest.mark.parametrize("name", ["nunet", "both"])
def test_any_length_comes_back(name, length):
    network = build(name)
    with torch.no_grad():
        assert network(noise(2, length)).shape == (2, 1, length)
        assert network(noise(2, 3, length)).shape == (2, 1, length)
        assert network(noise(length)).shape == (1, length)
        assert torch.isfinite(network(noise(2, length))).all()


def test_only_the_first_channel_is_used():
    network, signal = build("both"), noise(1, 3, 900)
    with torch.no_grad():
        assert torch.equal(network(signal), network(signal[:, 0]))


@pytest.mark.parametrize("kind", ["silence", "sample", "half silent"])
@pytest.mark.parametrize("name", ["nunet", "both"])
def test_gradients_are_finite_at_the_edges(name, kind):
    network = build(name).train()
    signal = {"silence": torch.zeros(1, 600), "sample": noise(1, 1)}.get(kind)
    if signal is None:
        signal = torch.cat([torch.zeros(1, 600), noise(1, 600)], dim=1)
    network(signal).square().sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("name", ["nunet", "both"])
def test_autocast_to_bfloat16_keeps_the_signal_in_float32(name):
    network, signal = build(name), noise(1, 3000)
    with torch.no_grad():
        exact = network(signal)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(signal)
    assert rough.dtype == torch.float32
    assert torch.isfinite(rough).all()
    assert ((rough - exact).norm() / exact.norm()) < 0.3


@pytest.mark.parametrize("name", ["nunet", "both"])
def test_trains_from_a_random_start(name):
    network = build(name).train()
    clean = torch.sin(torch.arange(4000) * 0.05)[None]
    noisy = clean + noise(1, 4000, scale=0.5)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = (network(noisy)[:, 0] - clean).square().mean()
        loss.backward()
        assert all(p.grad is not None for p in network.parameters())  # none is dead
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-5:]) < 0.7 * losses[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_package_rebuilds_the_network(name):
    network = build(name)
    package = network.serialize()
    again = BaseModel.from_pretrained(package).eval()
    assert type(again) is type(network)
    assert again.sample_rate == 16000
    assert again.get_model_args() == network.get_model_args()
    signal = noise(1, 700)
    given = embeddings_for(network, signal)
    with torch.no_grad():
        assert torch.equal(network(signal, given), again(signal, given))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"branch": "phase"}, "branch must be one of both, mask, spectrum; got 'phase'"),
        ({"norm": "utterance"}, "norm must be one of cumulative, frame; got 'utterance'"),
        ({"channels": 3}, "channels must be even and at least 2; got 3"),
        ({"depths": ()}, "depths must be positive"),
        ({"n_fft": 72}, r"n_fft / 2 must be divisible by 2\^3"),
        ({"hop_length": 0}, "hop_length must be from 1 to 64; got 0"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CNUNet(**{**TINY, **options})


def test_wrong_inputs_are_refused():
    network, fused = build("both"), build("fused")
    with pytest.raises(TypeError, match=r"floating-point tensor; got torch\.int64"):
        network(torch.zeros(1, 10, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"got \(1, 0\)"):
        network(torch.zeros(1, 0))
    with pytest.raises(ValueError, match="takes no embeddings"):
        network(noise(1, 1000), noise(1, 5, 3))
    with pytest.raises(ValueError, match="needs embeddings"):
        fused(noise(1, 128))
    with pytest.raises(ValueError, match=r"\(1, 5, 3\).*got \(1, 5, 4\)"):
        fused(noise(1, 128), noise(1, 5, 4))
    with pytest.raises(ValueError, match="takes no embeddings"):
        build("nunet")(noise(1, 1000), noise(1, 5, 3))


@pytest.mark.parametrize(("win", "hop", "n_fft"), [(512, 256, 512), (400, 100, 512), (10, 3, 16)])
def test_frames_are_inverted_exactly_and_by_least_squares(win, hop, n_fft):
    stft, signal = FramedStft(win, hop, n_fft), noise(2, 2000).double()
    assert (stft.inverse(stft(signal), 2000) - signal).abs().max() < 1e-12
    matrix = torch.fft.rfft(torch.eye(n_fft, dtype=torch.float64))[:win]
    matrix = torch.cat([matrix.real, matrix.imag], dim=1).T
    spectrum = torch.complex(noise(1, n_fft // 2 + 1, 1), noise(1, n_fft // 2 + 1, 1, seed=2))
    spectrum = spectrum.to(torch.complex128)
    stacked = torch.cat([spectrum.real, spectrum.imag], dim=1)[0, :, 0]
    expected = torch.linalg.lstsq(matrix, stacked[:, None]).solution[:, 0] * stft.window
    assert (stft.frames(spectrum)[0, 0] - expected).abs().max() < 1e-12


@pytest.mark.parametrize("frames", [1, 2, 9])
@pytest.mark.parametrize("kind", ["complex", "real"])
def test_a_fused_convolution_is_the_convolution(kind, frames):
    torch.manual_seed(0)
    make = ComplexConv2d if kind == "complex" else torch.nn.Conv2d
    conv = make(4, 6, (3, 2), (2, 1), (2, 0), (2, 4))
    x = noise(2, conv.re_module.in_channels * 2 if kind == "complex" else 4, 9, 4 + frames)
    fused = FusedConv(conv)
    assert torch.allclose(fused(x), conv(x), atol=1e-6)
    assert not list(fused.parameters())


def test_training_on_does_not_change_a_stream():
    network = build("both")
    stream = network.stream()
    piece = noise(1, network.hop_length)
    before = [stream.step(piece) for _ in range(3)]
    again = network.stream()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(again.step(piece), each) for each in before)
