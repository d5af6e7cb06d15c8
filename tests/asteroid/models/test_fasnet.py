"""FasNetTAC against the unmodified network of the pinned release, and what that one cannot do."""

from __future__ import annotations

import copy
import io
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asteroid.models import BaseModel, FasNetTAC
from benchmarks.fasnet import upstream_fasnet

TINY = {
    "n_src": 2,
    "enc_dim": 6,
    "feature_dim": 8,
    "hidden_dim": 5,
    "n_layers": 2,
    "tac_hidden_dim": 9,
    "chunk_size": 10,
    "hop_size": 5,
    "window_ms": 2,
    "context_ms": 3,
}
ROUND_OFF_64 = 1e-12  # relative to the largest value; sums of some thousand terms in float64
ROUND_OFF_32 = 2e-5  # the same in float32, through two recurrent layers


def noise(*shape, seed=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) * 0.1


def build(seed=0, dtype=torch.float32, kind=FasNetTAC, **options):
    torch.manual_seed(seed)
    return kind(**{**TINY, **options}).to(dtype)


def distance(a, b):
    return ((a - b).abs().max() / b.abs().max().clamp_min(1e-30)).item()


@pytest.fixture(scope="module")
def upstream():
    return upstream_fasnet()


def test_default_configuration_has_the_published_number_of_parameters():
    network = FasNetTAC(n_src=2)
    assert sum(p.numel() for p in network.parameters()) == 2_759_375


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_tac": False},
        {"norm_type": "bN"},
        {"rnn_type": "gru", "bidirectional": False, "n_src": 3},
    ],
)
def test_parameters_have_upstreams_names_shapes_and_initial_values(upstream, options):
    ours, theirs = build(**options).state_dict(), build(kind=upstream, **options).state_dict()
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


@pytest.mark.parametrize(
    ("shape", "valid", "options"),
    [
        ((2, 3, 900), None, {}),
        ((1, 1, 700), None, {}),
        ((2, 2, 1), None, {}),
        ((2, 2, 20), [1, 2], {}),
        ((3, 4, 1111), [1, 4, 2], {}),
        ((2, 3, 800), [2, 2], {"norm_type": "cLN", "context_ms": 0}),
        ((2, 3, 800), [3, 2], {"norm_type": "fgLN", "rnn_type": "GRU", "bidirectional": False}),
        ((2, 2, 600), None, {"norm_type": "bN", "rnn_type": "RNN"}),
        ((2, 3, 1234), [2, 3], {"chunk_size": 7, "hop_size": 3, "n_src": 3}),
        ((2, 3, 500), [2, 3], {"use_tac": False, "sample_rate": 8000, "window_ms": 4}),
    ],
)
def test_outputs_and_gradients_equal_upstreams_in_float64(upstream, shape, valid, options):
    ours = build(dtype=torch.float64, **options)
    theirs = build(seed=7, dtype=torch.float64, kind=upstream, **options)
    ours.load_state_dict(theirs.state_dict())
    signal = noise(*shape, dtype=torch.float64)
    valid = None if valid is None else torch.tensor(valid)
    # what the networks are told to ignore, upstream's still sends through its normalisations
    weights = noise(shape[0], ours.n_src, shape[-1], seed=2, dtype=torch.float64)
    outputs = []
    for network in (ours, theirs):
        outputs.append(network(signal, valid))
        (outputs[-1] * weights).sum().backward()
    assert distance(*outputs) < ROUND_OFF_64
    largest = max(p.grad.abs().max().item() for p in theirs.parameters())
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (mine.grad - other.grad).abs().max() < ROUND_OFF_64 * largest, name


def test_gradient_of_the_input_equals_upstreams_where_that_is_finite(upstream):
    ours, theirs = build(dtype=torch.float64), build(dtype=torch.float64, kind=upstream)
    signals = [noise(2, 3, 400, dtype=torch.float64).requires_grad_() for _ in range(2)]
    for network, signal in zip((ours, theirs), signals, strict=True):
        network(signal, torch.tensor([3, 3])).pow(3).sum().backward()
    finite = signals[1].grad.isfinite()
    assert finite.any()
    assert distance(signals[0].grad[finite], signals[1].grad[finite]) < ROUND_OFF_64


def test_outputs_and_gradients_equal_upstreams_in_float32(upstream):
    ours, theirs = build(), build(kind=upstream)
    signal = noise(2, 3, 2000)
    outputs = []
    for network in (ours, theirs):
        outputs.append(network(signal, torch.tensor([3, 2])))
        outputs[-1].square().sum().backward()
    assert distance(*outputs) < ROUND_OFF_32
    largest = max(p.grad.abs().max().item() for p in theirs.parameters())
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (mine.grad - other.grad).abs().max() < ROUND_OFF_32 * largest


def test_default_configuration_equals_upstreams(upstream):
    torch.manual_seed(0)
    ours, theirs = FasNetTAC(n_src=2), upstream(n_src=2)
    theirs.load_state_dict(ours.state_dict())
    signal = noise(1, 3, 16000)
    outputs = []
    for network in (ours, theirs):
        outputs.append(network(signal, torch.tensor([2])))
        outputs[-1].square().mean().backward()
    assert distance(*outputs) < ROUND_OFF_32
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert distance(mine.grad, other.grad) < 50 * ROUND_OFF_32, name


@settings(max_examples=15, deadline=None)
@given(
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    n_samples=st.integers(1, 300),
    garbage=st.sampled_from([float("nan"), float("inf"), 0.0, 1e6]),
)
def test_a_microphone_that_is_not_there_changes_nothing(counts, n_samples, garbage):
    network = build(dtype=torch.float64).eval()
    signal = noise(len(counts), 5, n_samples, dtype=torch.float64)
    for item, count in enumerate(counts):
        signal[item, count:] = garbage
    with torch.no_grad():
        together = network(signal, torch.tensor(counts))
        alone = [network(s[None, :c]) for s, c in zip(signal, counts, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=ROUND_OFF_64)


@pytest.mark.parametrize("norm_type", ["gLN", "bN"])
def test_a_masked_microphone_costs_and_teaches_nothing_in_training(norm_type):
    network = build(norm_type=norm_type).train()
    seen = []
    network.DPRNN_TAC[0][0].register_forward_hook(lambda m, args, out: seen.append(out.shape[0]))
    results = []
    for garbage in (0.0, float("nan")):
        signal = noise(2, 4, 300)
        signal[0, 3:], signal[1, 1:] = garbage, garbage
        signal.requires_grad_()
        network.zero_grad()
        output = network(signal, torch.tensor([3, 1]))
        output.square().sum().backward()
        assert not signal.grad[0, 3:].any()
        assert not signal.grad[1, 1:].any()
        results.append((output, [p.grad.clone() for p in network.parameters()]))
    assert seen == [4, 4]
    assert torch.equal(results[0][0], results[1][0])
    assert all(torch.equal(a, b) for a, b in zip(results[0][1], results[1][1], strict=True))


def test_order_of_the_other_microphones_does_not_matter_but_the_reference_does():
    network = build(dtype=torch.float64).eval()
    signal = noise(1, 4, 500, dtype=torch.float64)
    output = network(signal)
    assert distance(network(signal[:, [0, 3, 1, 2]]), output) < ROUND_OFF_64
    assert distance(network(signal[:, [1, 0, 2, 3]]), output) > 0.001


def test_zero_valid_microphones_mean_all_and_lists_are_read():
    network = build().eval()
    signal = noise(2, 3, 200)
    assert torch.equal(network(signal, [0, 2]), network(signal, torch.tensor([3, 2])))
    assert torch.equal(network(signal, torch.tensor([[3], [2]])), network(signal, [3, 2]))


@pytest.mark.parametrize(
    ("signal", "valid", "error", "message"),
    [
        (torch.zeros(2, 100), None, ValueError, r"\(batch, mics, samples\)"),
        (torch.zeros(2, 0, 100), None, ValueError, r"\(2, 0, 100\)"),
        (torch.zeros(2, 3, 100, dtype=torch.int16), None, TypeError, "int16"),
        ([[[0.0]]], None, TypeError, "list"),
        (torch.zeros(2, 3, 100), [3, 4], ValueError, r"between 0 \(all\) and 3.*\[3, 4\]"),
        (torch.zeros(2, 3, 100), [3, -1], ValueError, r"\[3, -1\]"),
        (torch.zeros(2, 3, 100), [3], ValueError, r"shape \(2,\); got \(1,\)"),
        (torch.zeros(2, 3, 100), torch.tensor([1.0, 2.0]), TypeError, "float32"),
    ],
)
def test_wrong_inputs_are_refused(signal, valid, error, message):
    with pytest.raises(error, match=message):
        build()(signal, valid)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm_type": "cgLN"}, "norm_type must be one of gLN, cLN, fgLN, bN; got 'cgLN'"),
        ({"norm_type": None}, "norm_type"),
        ({"rnn_type": "transformer"}, "rnn_type must be one of RNN, LSTM, GRU"),
        ({"dropout": 1.5}, "dropout"),
        ({"hop_size": 11}, "hop_size must lie between 1 and chunk_size"),
        ({"sample_rate": 12500}, "even number of samples; 2 ms at 12500 Hz is 25"),
        ({"context_ms": -1}, "context_ms"),
        ({"n_src": 0}, "n_src must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_gradients_are_finite_at_digital_silence():
    network = build()
    signal = noise(3, 3, 600)
    signal[0] = 0
    signal[1, :, 200:400] = 0
    signal[2, 1] = 0
    signal.requires_grad_()
    output = network(signal)
    assert not output[0].any()
    (output - noise(3, 2, 600, seed=5)).square().sum().backward()
    assert signal.grad.isfinite().all()
    assert signal.grad[2].any()
    assert all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("level", [0.0, 1e-9, 1e-7, 1e-5])
def test_float32_holds_next_to_near_silence(level):
    """Where a transform's round-off, divided by the energy of almost nothing, would not."""
    signal = noise(1, 3, 1500, dtype=torch.float64)
    signal[..., 400:1000] *= level / 0.1
    signal = signal.float().double()  # the same samples for both
    exact = build(dtype=torch.float64).eval()
    single = copy.deepcopy(exact).float()
    with torch.no_grad():
        assert distance(single(signal.float()).double(), exact(signal)) < 1e-4


def test_output_follows_the_level_of_the_input():
    network = build(dtype=torch.float64).eval()
    signal = noise(1, 2, 500, dtype=torch.float64)
    with torch.no_grad():
        reference = network(signal)
        # 0, -40 and -60 dBFS RMS against -20; what is lost is the 1e-8 in the normalisations
        for gain, tolerance in ((10.0, 1e-4), (0.1, 1e-3), (0.01, 0.1)):
            assert distance(network(signal * gain) / gain, reference) < tolerance


def test_bf16_autocast_stays_close_and_trains():
    network = build()
    signal = noise(2, 3, 1000)
    expected = network(signal).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(signal, torch.tensor([3, 3]))
    assert output.dtype == torch.float32
    assert distance(output, expected) < 0.05  # bf16 has 8 bits
    output.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_recomputing_gives_the_same_gradients():
    network, signal = build(dropout=0.2), noise(2, 2, 400)
    gradients = []
    for recompute in (False, True):
        network.recompute = recompute
        network.zero_grad()
        torch.manual_seed(3)
        network(signal).square().sum().backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
    for kept, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, kept)


def test_dropout_acts_in_training_only():
    network, signal = build(dropout=0.5), noise(1, 2, 300)
    assert distance(network(signal), network(signal)) > 1e-4
    network.eval()
    assert torch.equal(network(signal), build().eval()(signal))


def test_serialised_network_comes_back_the_same(tmp_path):
    network = build(norm_type="cLN", bidirectional=False, n_src=3).eval()
    torch.save(network.serialize(), tmp_path / "model.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = FasNetTAC.from_pretrained(str(tmp_path / "model.pth")).eval()
    assert loaded.get_model_args() == network.get_model_args()
    signal = noise(1, 2, 300)
    assert torch.equal(loaded(signal), network(signal))
    again = FasNetTAC(**loaded.get_model_args())
    assert (again.stride, again.get_model_args()) == (16, network.get_model_args())


def test_packages_of_upstream_load_even_after_their_stride_grew(upstream, tmp_path):
    theirs = build(kind=upstream).eval()
    signal = noise(2, 3, 500)
    for _ in range(3):
        package = theirs.serialize()
        torch.save(package, tmp_path / "upstream.pth")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for source in (copy.deepcopy(package), str(tmp_path / "upstream.pth")):
                ours = BaseModel.from_pretrained(source).eval()
                assert type(ours) is FasNetTAC
                assert distance(ours(signal), theirs(signal)) < ROUND_OFF_32
                assert ours.get_model_args()["stride"] == 1
        theirs = upstream(**package["model_args"]).eval()
        theirs.load_state_dict(package["state_dict"])
    assert package["model_args"]["stride"] == 16 * 16 * 16  # samples, taken for milliseconds


def test_a_stride_that_will_not_be_used_is_announced():
    for used in (None, 1, 1.0, 16):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            build(stride=used)
    with pytest.warns(UserWarning, match=r"stride=3 is not used.*half a window \(1\.0 ms\)"):
        build(stride=3)


def test_a_copy_trains_on_its_own():
    network = build()
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    twin = copy.deepcopy(network)
    twin(noise(1, 2, 200)).sum().backward()
    assert all(p.grad is None for p in network.parameters())
    assert all(p.grad is not None for p in twin.parameters())
