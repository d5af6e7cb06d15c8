"""Audio as arrays and back."""

import io

import numpy as np
import pytest
import soundfile as sf

from seloss.data.formats.audio import decode, read_audio, write_audio


def tone(rate, seconds=0.5, hz=440.0):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_another_rate_is_resampled(tmp_path, rate):
    sf.write(tmp_path / "a.wav", np.stack([tone(rate), -tone(rate)], axis=1), rate, subtype="FLOAT")
    signal = read_audio(tmp_path / "a.wav", 16000)
    assert signal.shape == (2, 8000)
    inner = slice(500, -500)  # a resampler's filter has ends
    assert np.abs(signal[0] - tone(16000))[inner].max() < 1e-3
    assert np.array_equal(signal[0], -signal[1])


def test_bytes_and_headerless_samples_are_decoded():
    file = io.BytesIO()
    sf.write(file, tone(16000), 16000, format="FLAC")
    assert np.abs(decode(file.getvalue(), 16000)[0] - tone(16000)).max() < 1e-4
    raw = np.array([0, 16384, -32768], dtype="<i2").tobytes()
    assert decode(raw, 16000, raw=True).tolist() == [[0.0, 0.5, -1.0]]


def test_what_is_written_is_read(tmp_path):
    signal = np.stack([tone(16000), 0.5 * tone(16000)])
    write_audio(tmp_path / "x" / "a.flac", signal, 16000)
    assert np.abs(read_audio(tmp_path / "x" / "a.flac", 16000) - signal).max() < 2**-14


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.01, -1.01])
def test_what_would_clip_or_is_not_finite_is_refused(tmp_path, bad):
    with pytest.raises(ValueError, match=r"a\.wav: samples must be finite and within"):
        write_audio(tmp_path / "a.wav", np.array([0.0, bad]), 16000)
    assert not list(tmp_path.iterdir())


def test_empty_and_broken_files_are_told(tmp_path):
    sf.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    with pytest.raises(ValueError, match="is empty"):
        read_audio(tmp_path / "empty.wav", 16000)
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(ValueError, match="not readable audio"):
        read_audio(tmp_path / "text.wav", 16000)
