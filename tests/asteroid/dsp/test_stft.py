import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asteroid.dsp.stft import Stft, overlap_add


def _signal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("hop_length", [16, 24, 64])
def test_spectra_equal_those_of_torch_stft(hop_length):
    signal = _signal(2, 700)
    window = torch.hann_window(64).double()
    expected = torch.stft(signal, 64, hop_length, window=window, return_complex=True)
    torch.testing.assert_close(Stft(64, hop_length)(signal), expected)


@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 500), min_size=2, max_size=4),
    hop_length=st.sampled_from([16, 20, 64]),
    behind=st.sampled_from([0.0, 1e6, float("nan")]),
)
def test_an_utterance_has_the_same_frames_alone_and_in_a_padded_batch(lengths, hop_length, behind):
    stft = Stft(64, hop_length)
    signals = [_signal(1, n, seed=n) for n in lengths]
    batch = torch.full((len(lengths), max(lengths)), behind, dtype=torch.float64)
    for row, signal in zip(batch, signals, strict=True):
        row[: signal.shape[-1]] = signal
    counts = torch.tensor(lengths)
    spectra, mask = stft(batch, counts), stft.frame_mask(counts, batch.shape[-1])
    for spectrum, inside, signal in zip(spectra, mask, signals, strict=True):
        torch.testing.assert_close(spectrum[:, inside], stft(signal)[0])


@pytest.mark.parametrize("hop_length", [16, 24, 50, 64])
@pytest.mark.parametrize("window", ["hann", "rectangular"])
def test_magnitudes_and_their_gradient_equal_those_of_abs(hop_length, window):
    stft = Stft(64, hop_length, window)
    signal = _signal(2, 333).requires_grad_()
    weights = _signal(*stft(signal).shape, seed=1)
    (expected,) = torch.autograd.grad((weights * stft(signal).abs()).sum(), signal)
    (found,) = torch.autograd.grad((weights * stft.magnitude(signal)).sum(), signal)
    torch.testing.assert_close(stft.magnitude(signal), stft(signal).abs())
    torch.testing.assert_close(found, expected)


def test_magnitudes_of_silence_are_zero_with_a_zero_gradient():
    silence = torch.zeros(1, 256, requires_grad=True)
    magnitude = Stft(64, 16).magnitude(silence)
    magnitude.sum().backward()
    assert not magnitude.any()
    assert not silence.grad.any()


def test_magnitudes_have_a_right_second_derivative():
    stft, signal = Stft(8, 4).double(), _signal(1, 24).requires_grad_()
    assert torch.autograd.gradgradcheck(stft.magnitude, signal)


@pytest.mark.parametrize(("n_fft", "hop_length", "n_samples"), [(8, 2, 20), (8, 3, 30), (8, 8, 5)])
def test_overlap_add_puts_every_frame_at_its_place(n_fft, hop_length, n_samples):
    frames = _signal(2, 4, n_fft)
    expected = torch.zeros(2, max(n_samples, 3 * hop_length + n_fft), dtype=frames.dtype)
    for frame in range(4):
        expected[:, frame * hop_length : frame * hop_length + n_fft] += frames[:, frame]
    torch.testing.assert_close(overlap_add(frames, hop_length, n_samples), expected[:, :n_samples])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_fft": 63, "hop_length": 16}, "n_fft must be even"),
        ({"n_fft": 64, "hop_length": 0}, "hop_length must be from 1 to n_fft = 64"),
        ({"n_fft": 64, "hop_length": 65}, "hop_length must be from 1 to n_fft = 64"),
        ({"n_fft": 64, "hop_length": 16, "window": "kaiser"}, "window must be one of hann"),
    ],
)
def test_impossible_settings_are_refused_with_the_possible_ones(options, words):
    with pytest.raises(ValueError, match=words):
        Stft(**options)
