"""What the benchmarks measure with: counted products and bytes, turns, ratios, peaks."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from benchmarks.limits import ADAM, count_pairs, limit_of
from benchmarks.networks import outputs_differ, training_step
from benchmarks.timing import Times, alternate, peak_memory, ratio

CPU = torch.device("cpu")


def backward(layer, x):
    output = layer(x)
    (output[0] if isinstance(output, tuple) else output).sum().backward()


@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (1, True), (2, True)])
def test_an_lstm_multiplies_every_weight_at_every_step(layers, bidirectional):
    layer = nn.LSTM(16, 32, layers, bidirectional=bidirectional)
    weights = sum(one.numel() for one in layer.parameters() if one.ndim == 2)
    x = torch.randn(50, 2, 16, requires_grad=True)
    assert count_pairs(lambda: layer(x)) == 100 * weights
    assert count_pairs(lambda: backward(layer, x)) == 300 * weights


@pytest.mark.parametrize(
    ("layer", "pairs"),
    [
        (nn.Conv2d(8, 16, 3), 2 * 8 * 8 * 16 * 8 * 9),
        (nn.Conv2d(8, 16, 3, groups=2), 2 * 8 * 8 * 16 * 4 * 9),
        (nn.Conv2d(8, 16, 3, stride=2), 2 * 4 * 4 * 16 * 8 * 9),
        (nn.ConvTranspose2d(8, 16, 3, stride=2), 2 * 10 * 10 * 8 * 16 * 9),
        (nn.ConvTranspose2d(8, 16, 3, groups=4), 2 * 10 * 10 * 8 * 4 * 9),
    ],
)
def test_a_convolution_multiplies_its_weight_at_every_pixel(layer, pairs):
    x = torch.randn(2, 8, 10, 10, requires_grad=True)
    assert count_pairs(lambda: layer(x)) == pairs
    assert count_pairs(lambda: backward(layer, x)) == 3 * pairs


def test_transforms_are_counted_in_both_directions():
    x = torch.randn(3, 1024)
    forth = count_pairs(lambda: torch.fft.rfft(x))
    assert forth == 3 * 1.25 * 1024 * 10
    spectrum = torch.fft.rfft(x)
    assert count_pairs(lambda: torch.fft.irfft(spectrum, n=1024)) == forth
    assert count_pairs(lambda: torch.fft.fft(spectrum[:, :512])) == 3 * 2.5 * 512 * 9


def test_the_limit_of_a_layer_is_what_one_counts_by_hand():
    layer, x = nn.Linear(64, 32, bias=False), torch.randn(10, 64)

    def step():
        layer.zero_grad()
        layer(x).square().sum().backward()

    limit = limit_of(step, CPU, parameters=layer.parameters(), passes=ADAM, inputs=[x])
    assert limit.pairs == 2 * 10 * 64 * 32  # forward, and the gradient by the weight
    kept = 2 * 10 * 32  # the output, for the square: written and read
    assert limit.moved == 4 * (kept + ADAM * 64 * 32 + 10 * 64)
    assert limit.seconds == max(limit.pairs_s, limit.moved_s) > 0


def test_steps_take_turns_and_ratios_are_of_neighbours():
    ran = []
    steps = {name: lambda name=name: ran.append(name) for name in "abc"}
    times = alternate(steps, CPU, budget_s=0.0, least=3, warm_up=0)
    assert "".join(ran) == "abccbaabc"
    assert all(len(one.seconds) == 3 for one in times.values())
    # Load that comes in the second round hits both: the ratio is not moved by it.
    assert ratio(Times([1.0, 10.0, 1.0]), Times([3.0, 30.0, 3.0])) == 3.0


def test_rounds_end_with_the_budget_or_with_enough_of_them():
    steps = {"a": lambda: time.sleep(0.01)}
    few = alternate(steps, CPU, budget_s=0.05, least=1)["a"]
    assert 1 < len(few.seconds) <= 6
    assert few.best >= 0.01
    assert len(alternate({"a": lambda: None}, CPU, most=7)["a"].seconds) == 7


def test_the_peak_of_memory_is_that_of_the_step_and_not_of_what_ran_before():
    size = 64 << 20

    def step():
        torch.ones(size, dtype=torch.uint8)

    def larger():
        torch.ones(4 * size, dtype=torch.uint8)

    larger()
    assert peak_memory(step, CPU) == pytest.approx(size, rel=0.1)
    assert peak_memory(larger, CPU) == pytest.approx(4 * size, rel=0.1)


def test_a_training_step_trains_and_leaves_the_weights_alone():
    network = nn.Linear(8, 8)
    before = network.weight.detach().clone()
    step = training_step(network, torch.randn(2, 8))
    assert outputs_differ(step, step) < 1e-6
    assert network.weight.grad.abs().sum() > 0
    assert torch.allclose(network.weight, before, atol=1e-9)
