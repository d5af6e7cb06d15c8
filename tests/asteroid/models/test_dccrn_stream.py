"""DCCRN frame by frame: the whole utterance's output, from a memory that does not grow."""

from __future__ import annotations

import pytest
import torch

from asteroid.models import DCCRN
from seloss.pretrained import load_model
from tests.asteroid.models.masked import noise

TINY = {
    **{"channels": (4, 8, 8), "hidden": 8, "n_fft": 64, "window_length": 50, "hop_length": 12},
    "causal": True,
}
OPTIONS = {
    "E": {},
    "C, whitening": {"masking": "C", "norm": "whitening"},
    "R, real": {"masking": "R", "recurrent": "real"},
    "two sources, one layer": {"n_src": 2, "n_layers": 1},
    "half a window": {"window_length": 48, "hop_length": 24},
}
ROUND_OFF = 1e-5


def build(name="E"):
    """Return a network none of whose parameters or statistics is at its start."""
    torch.manual_seed(0)
    network = DCCRN(**{**TINY, **OPTIONS[name]})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for seed in range(3):
            network(noise(2, 4000, seed=seed))
    return network.eval()


@pytest.mark.parametrize("hops", [1, 3])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_stream_gives_what_the_whole_utterance_gives(name, hops):
    network = build(name)
    piece = hops * network.hop_length
    signal = noise(2, 40 * piece)
    with torch.no_grad():
        whole = network(signal)[:, 0]
    stream = network.stream(batch=2)
    assert stream.engine == "torch"
    assert stream.latency_samples(1) == network.latency_samples
    pieces = [stream.step(samples) for samples in signal.split(piece, dim=1)]
    assert {each.shape for each in pieces} == {(2, piece)}
    streamed = torch.cat([*pieces, stream.flush()], dim=1)[:, stream.delay_samples :]
    error = (streamed[:, : whole.shape[1]] - whole).abs().max()
    assert error < ROUND_OFF * whole.abs().max()


def test_the_shipped_network_streams_in_pieces_of_any_number_of_frames():
    network, signal = load_model(), noise(1, 16000)
    with torch.no_grad():
        whole = network(signal)[:, 0]
    stream = network.stream()
    hops = [1, 7, 2, 30, 1, 1, 38]
    pieces = [stream.step(part) for part in signal.split([n * 200 for n in hops], dim=1)]
    streamed = torch.cat([*pieces, stream.flush()], dim=1)[:, stream.delay_samples :]
    error = (streamed[:, :16000] - whole).abs().max()
    assert error < ROUND_OFF * whole.abs().max()


def test_the_memory_does_not_grow_and_a_restart_empties_it():
    network, sizes, answers = build(), [], []
    stream = network.stream()
    for _ in range(2):
        for seed in range(4):
            answers.append(stream.step(noise(1, network.hop_length, seed=seed)))
            sizes.append(stream.state.n_values())
        stream.state.restart()
        stream._recent, stream._overlap = (torch.zeros(1, stream.delay_samples) for _ in range(2))
    assert len(set(sizes)) == 1
    assert all(map(torch.equal, answers[:4], answers[4:]))


def test_a_stream_keeps_its_weights_and_the_network_its_own():
    network, signal = build(), noise(1, 480)
    stream = network.stream()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.nn.init.zeros_(next(network.parameters()))
    expected = build().stream().step(signal)
    assert torch.equal(stream.step(signal), expected)
    changed = [
        name for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    ]
    assert changed == [next(iter(before))]


def test_a_network_that_looks_ahead_and_other_engines_are_refused():
    ahead = DCCRN(**{**TINY, "causal": False})
    assert not ahead.streams
    assert build().streams
    with pytest.raises(ValueError, match=r"looks ahead.*build it with causal=True"):
        ahead.stream()
    with pytest.raises(ValueError, match="DCCRN cannot be compiled frame by frame"):
        build().stream(engine="compiled")
    with pytest.raises(ValueError, match="a step takes a multiple of 12 samples; got 13"):
        build().stream().step(noise(1, 13))
