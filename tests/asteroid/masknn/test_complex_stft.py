"""The transform between signals and real tensors, against torch's and Asteroid's."""

from __future__ import annotations

import pytest
import torch
from asteroid_filterbanks import make_enc_dec

from asteroid.masknn.complex.stft import ComplexStft

LENGTHS = [1, 2, 3, 99, 100, 101, 400, 511, 1023, 1024, 1025, 3333]


def noise(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize(
    "stft",
    [
        ComplexStft(512, 100, 400, "zeros"),
        ComplexStft(1024, 256),
        ComplexStft(8, 3, 6, "zeros"),
        ComplexStft(64, 32),
    ],
)
def test_the_inverse_gives_signals_of_any_length_back(stft):
    for n_samples in LENGTHS:
        signal = noise(2, n_samples)
        assert (stft.inverse(stft(signal), n_samples) - signal).abs().max() < 1e-12


def test_reflected_edges_are_torchs():
    signal = noise(2, 5000)
    window = torch.hann_window(1024, dtype=torch.float64)
    expected = torch.stft(signal, 1024, 256, window=window, return_complex=True)
    ours = torch.complex(*ComplexStft(1024, 256)(signal).unbind(1))
    assert (ours - expected).abs().max() < 1e-10


def test_zeros_at_the_edges_give_the_published_number_of_frames():
    stft = ComplexStft(512, 100, 400, "zeros")
    assert stft(noise(1, 48000)).shape == (1, 2, 257, 483)
    assert stft(noise(1, 47999)).shape == (1, 2, 257, 483)  # the published code lost the tail


@pytest.mark.parametrize(("n_fft", "window", "hop"), [(512, 400, 100), (1024, 1024, 256)])
def test_asteroids_filterbank_is_matched_both_ways(n_fft, window, hop):
    encoder, decoder = make_enc_dec(
        "stft", n_filters=n_fft, kernel_size=window, stride=hop, sample_rate=16000.0
    )
    stft, signal = ComplexStft(n_fft, hop, window, "asteroid"), noise(2, 4000, dtype=torch.float32)
    theirs = encoder(signal[:, None])
    ours = stft(signal)
    assert (ours.flatten(1, 2) - theirs).abs().max() < 1e-5
    back = decoder(theirs).view(2, -1)
    assert (stft.inverse(ours, back.shape[-1]) - back).abs().max() < 1e-5


def test_it_stays_in_float32_under_autocast():
    stft, signal = ComplexStft(64, 16), noise(1, 300, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spectrum = stft(signal)
        back = stft.inverse(spectrum.bfloat16(), 300)
    assert spectrum.dtype == back.dtype == torch.float32
    assert torch.equal(spectrum, stft(signal))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((64, 33), "half a window, 32; got 33"),
        ((63, 16), "n_fft must be even"),
        ((64, 16, 80), "window_length from 2 to n_fft"),
        ((64, 16, 32), "reflected edges need a window as long"),
        ((64, 16, 64, "wrap"), "edges must be one of reflect, zeros, asteroid; got 'wrap'"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ComplexStft(*arguments)
