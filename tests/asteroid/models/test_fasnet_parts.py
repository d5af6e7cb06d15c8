"""The building blocks of FasNetTAC on signals whose answer is known or written out by loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asteroid.dsp.context import context_windows, count_windows, overlap_add, reference_correlation
from asteroid.masknn import norms
from asteroid.masknn.beamform.channels_last import build_norm, normalise
from asteroid.masknn.beamform.filter_and_sum import filter_and_sum
from asteroid.masknn.beamform.packed_mics import PackedMics

ROUND_OFF = 1e-12


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(n_samples=st.integers(1, 60), half=st.integers(1, 8), context=st.integers(0, 20))
def test_windows_lie_where_they_should_and_add_up_to_the_signal(n_samples, half, context):
    signal, window = noise(2, n_samples), 2 * half
    windows = context_windows(signal, window, context)
    count = count_windows(n_samples, window)
    assert windows.shape == (2, count, window + 2 * context)
    for index in range(count):
        for offset in range(window + 2 * context):
            at = index * half - window - context + offset
            expected = signal[:, at] if 0 <= at < n_samples else torch.zeros(2)
            assert torch.equal(windows[:, index, offset], expected.double())
    whole = overlap_add(windows[..., context : context + window], n_samples)
    torch.testing.assert_close(whole, 2 * signal)


@pytest.mark.parametrize(("window", "context"), [(3, 4), (0, 4), (4, -1)])
def test_windows_refuse_wrong_sizes(window, context):
    with pytest.raises(ValueError, match=r"^(window|context) must"):
        context_windows(noise(1, 10), window, context)


@settings(max_examples=15, deadline=None)
@given(n_samples=st.integers(1, 50), half=st.integers(1, 5), context=st.integers(0, 12))
def test_correlation_equals_the_formula(n_samples, half, context):
    signal, window = noise(2, 3, n_samples), 2 * half
    found = reference_correlation(signal, window, context)
    windows = context_windows(signal, window, context).numpy()
    for array, mic, index in np.ndindex(windows.shape[:3]):
        reference = windows[array, 0, index, context : context + window]
        for lag in range(2 * context + 1):
            piece = windows[array, mic, index, lag : lag + window]
            norm = (np.linalg.norm(piece) + 1e-8) * (np.linalg.norm(reference) + 1e-8)
            expected = float(piece @ reference) / norm
            assert abs(found[array, mic, index, lag].item() - expected) < ROUND_OFF


def test_correlation_peaks_at_the_delay_of_a_microphone():
    source, delay = noise(1, 400), 7
    delayed = torch.nn.functional.pad(source, (delay, 0))[:, :400]
    found = reference_correlation(torch.cat([source, delayed]), window=32, context=10)
    inside = found[1, 4:-4]
    assert (inside.argmax(-1) == 10 + delay).all()
    torch.testing.assert_close(inside.amax(-1), torch.ones_like(inside[:, 0]), rtol=0, atol=1e-6)


def test_correlation_has_a_gradient_wherever_there_is_silence():
    signal = noise(3, 120)
    signal[0, 40:80], signal[1] = 0, 0
    signal.requires_grad_()
    reference_correlation(signal, 8, 5).square().sum().backward()
    assert signal.grad.isfinite().all()
    assert torch.autograd.gradcheck(
        lambda x: reference_correlation(x, 4, 3), noise(2, 11).requires_grad_()
    )


def test_filter_and_sum_equals_the_formula_and_passes_gradcheck():
    mics, window, context, n = PackedMics([2, 1]), 4, 3, 10
    windows, filters = noise(3, 5, n), noise(3, 5, 2, n, seed=2)
    filters[..., n - window + 1 :] = 0
    found = filter_and_sum(windows, filters, window, mics)
    assert found.shape == (2, 2, 5, window)
    for array, rows in enumerate(([0, 1], [2])):
        for source, index, t in np.ndindex(2, 5, window):
            terms = [
                windows[r, index, t + k] * filters[r, index, source, k]
                for r in rows
                for k in range(2 * context + 1)
            ]
            expected = sum(terms) / len(rows)
            assert abs(found[array, source, index, t] - expected) < ROUND_OFF

    def padded(windows, taps):
        return filter_and_sum(windows, torch.nn.functional.pad(taps, (0, 3)), window, mics)

    inputs = [noise(3, 2, n).requires_grad_(), noise(3, 2, 1, 7, seed=3).requires_grad_()]
    assert torch.autograd.gradcheck(padded, inputs)
    assert torch.autograd.gradgradcheck(padded, inputs)


@pytest.mark.parametrize("counts", [[2, 2, 2], [3, 1, 2], [1]])
def test_packed_microphones_average_and_add_like_a_loop(counts):
    padded, mics = noise(len(counts), 4, 3, 5), PackedMics(counts)
    rows = mics.pack(padded)
    assert torch.equal(rows, torch.cat([p[:c] for p, c in zip(padded, counts, strict=True)]))
    mean = mics.mean(rows)
    for array, count in enumerate(counts):
        torch.testing.assert_close(mean[array], padded[array, :count].mean(0))
    added = mics.add(rows, mean).split(counts)
    for array, count in enumerate(counts):
        torch.testing.assert_close(added[array], padded[array, :count] + mean[array])


@pytest.mark.parametrize("name", ["gLN", "cLN", "fgLN", "bN"])
@pytest.mark.parametrize("shape", [(2, 5, 4), (3, 6, 5, 4)])
def test_normalisation_equals_asteroids_on_channels_first(name, shape):
    norm, x = build_norm(name, 4).double(), noise(*shape)
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    expected = norm(x.movedim(-1, 1).contiguous()).movedim(1, -1)
    torch.testing.assert_close(normalise(norm, x), expected, rtol=0, atol=ROUND_OFF)


def test_normalisation_is_exact_in_float32_on_an_offset():
    """Far from zero, where a sum of squares minus a squared mean would lose digits."""
    norm = build_norm("gLN", 16)
    x = noise(2, 4000, 16) * 0.01 + 1
    expected = norms.GlobLN(16).double()(x.movedim(-1, 1)).movedim(1, -1)
    found = normalise(norm, x.float()).double()
    assert (found - expected).abs().max() < 1e-3  # x itself is rounded to 1e-5 of its deviation
