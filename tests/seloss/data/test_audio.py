"""Audio as arrays and back."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from seloss.data.formats.audio import (
    decode,
    fingerprint,
    read_audio,
    read_header,
    read_samples,
    write_audio,
)


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


def voice(seconds, rate, seed=0):
    """Noise of changing band and level, which a coder spends different numbers of bits on."""
    draw = np.random.default_rng(seed)
    envelope = np.repeat(draw.uniform(0, 1, round(seconds * 5) + 1) ** 3, rate // 5)
    signal = draw.standard_normal(len(envelope)) * envelope
    return 0.2 * np.convolve(signal, np.hanning(8) / 4, mode="same")[: round(seconds * rate)]


FORMATS = {
    "wav": {},
    "flac": {},
    "mp3": {"compression_level": 0.5, "bitrate_mode": "VARIABLE"},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "aiff": {},
    "caf": {},
    "w64": {},
    "au": {},
    "sph": {"format": "NIST"},
    "gsm": {"format": "WAV", "subtype": "GSM610"},
    "ima": {"format": "WAV", "subtype": "IMA_ADPCM"},
    "ms": {"format": "WAV", "subtype": "MS_ADPCM"},
    "alaw": {"format": "AU", "subtype": "ALAW"},
    "g721": {"format": "AU", "subtype": "G721_32"},
    "g723": {"format": "WAV", "subtype": "NMS_ADPCM_24"},
    "alac": {"format": "CAF", "subtype": "ALAC_16"},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the same sound in every format."""
    folder = tmp_path_factory.mktemp("formats")
    for suffix, options in FORMATS.items():
        sf.write(folder / f"a.{suffix}", voice(6.0, 48000), 48000, **options)
    return folder


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_part_holds_the_samples_of_the_whole_in_every_format(files, suffix, kept, monkeypatch):
    if not kept:
        monkeypatch.setattr("seloss.data.formats.audio._KEPT_SAMPLES", 0)
    path = files / f"a.{suffix}"
    whole = sf.read(path, always_2d=True)[0]
    for start in (0, 1, 70001, 140003, len(whole) - 100):
        part, rate = read_samples(path, start, 4800)
        assert rate == 48000
        assert np.array_equal(part, whole[start : start + 4800])
    assert len(read_samples(path, len(whole) + 5)[0]) == 0


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_was_cut_is_refused_in_every_format(files, tmp_path, suffix):
    content = (files / f"a.{suffix}").read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cut\.\w+ (is cut short|is not readable|ends after)"):
        read_audio(path, 16000)
    with pytest.raises(ValueError, match=r"cut\.\w+ (is cut short|is not readable|ends after)"):
        fingerprint(path)


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "opus"])
def test_files_that_were_joined_are_refused(files, tmp_path, suffix):
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(2 * (files / f"a.{suffix}").read_bytes())
    with pytest.raises(ValueError, match=r"joined\.\w+ is several \w+ (files|streams) joined"):
        read_header(path)


@pytest.mark.parametrize("rate", [16000, 48000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_without_a_xing_header_is_read_whole_or_refused(tmp_path, mode, rate):
    """Of a variable bit rate a decoder guesses the length: 28 % of one were read, in silence."""
    path = tmp_path / "a.mp3"
    sf.write(path, voice(12.0, rate), rate, bitrate_mode=mode, compression_level=0.5)
    content = path.read_bytes()
    start = content.index(content[:2], 4)  # the second frame: the first is the header
    while content[start + 2] & 0x0C != content[2] & 0x0C:  # not a frame's, but within one
        start = content.index(content[:2], start + 1)
    bare = tmp_path / "bare.mp3"
    bare.write_bytes(content[start:] + b"TAG" + bytes(125))
    if mode == "CONSTANT":
        assert abs(read_header(bare).frames - 12 * rate) < 3 * 1152
        bare.write_bytes(content[start : start + (len(content) - start) // 2 - 7])
        with pytest.raises(ValueError, match=r"bare\.mp3 (is cut short: of its last frame|ends)"):
            read_audio(bare, rate)
    else:
        with pytest.raises(ValueError, match=r"bare\.mp3 does not say how long it is: \d+ of \d+"):
            read_header(bare)


def test_tags_around_an_mp3_are_no_damage(files, tmp_path):
    content = (files / "a.mp3").read_bytes()
    head = b"ID3\x03\0\0" + bytes([0, 0, 2, 0]) + bytes(256)
    (tmp_path / "tagged.mp3").write_bytes(head + content + b"TAG" + bytes(125))
    assert np.array_equal(
        read_audio(tmp_path / "tagged.mp3", 48000), read_audio(files / "a.mp3", 48000)
    )


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wave_file_from_a_pipe_is_whole(files, tmp_path, size):
    content = bytearray((files / "a.wav").read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = size.to_bytes(4, "little")
    content[4:8] = size.to_bytes(4, "little")
    (tmp_path / "pipe.wav").write_bytes(content)
    assert read_header(tmp_path / "pipe.wav").frames == 6 * 48000


def test_flac_of_unknown_length_is_refused_by_name(files, tmp_path):
    content = bytearray((files / "a.flac").read_bytes())
    content[21] &= 0xF0  # the last 36 of the bits behind rate, channels and word length
    content[22:26] = bytes(4)
    (tmp_path / "pipe.flac").write_bytes(content)
    with pytest.raises(ValueError, match=r"pipe.flac does not say how long it is"):
        read_audio(tmp_path / "pipe.flac", 16000)


def test_equal_audio_has_one_fingerprint_in_any_lossless_file_and_silence_has_none(tmp_path):
    signal = np.concatenate([np.zeros(70000), np.rint(3000 * voice(1.0, 16000)) / 32768])
    for name, options in (("a.wav", {}), ("b.flac", {}), ("c.wav", {"subtype": "FLOAT"})):
        sf.write(tmp_path / name, signal, 16000, **options)
    sf.write(tmp_path / "d.wav", signal[1:], 16000)
    marks = [fingerprint(tmp_path / name) for name in ("a.wav", "b.flac", "c.wav", "d.wav")]
    assert marks[0] == marks[1] == marks[2] != marks[3]
    sf.write(tmp_path / "e.wav", np.full(70000, 0.25), 16000)
    assert fingerprint(tmp_path / "e.wav") == ""


@pytest.mark.parametrize("name", [b"caf\xe9", b"n" * 251])
def test_a_file_of_any_name_is_written_and_read(tmp_path, name):
    path = tmp_path / f"{os.fsdecode(name)}.wav"
    write_audio(path, voice(1.0, 16000), 16000)
    assert np.allclose(read_audio(path, 16000)[0], voice(1.0, 16000), atol=2**-15)
    assert [os.fsencode(file.stem) for file in tmp_path.iterdir()] == [name]


def test_a_file_that_does_not_fit_on_the_disk_is_not_published(tmp_path, monkeypatch):
    real = sf.write

    def full(path, *arguments, **options):
        real(path, *arguments, **options)
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: len(content) // 2])

    monkeypatch.setattr("seloss.data.formats.audio.sf.write", full)
    for suffix in ("wav", "ogg"):
        subtype = "VORBIS" if suffix == "ogg" else "PCM_16"
        with pytest.raises(OSError, match=r"a\.\w+ could not be written .*MB are free"):
            write_audio(tmp_path / f"a.{suffix}", voice(2.0, 16000), 16000, subtype)
    assert not list(tmp_path.iterdir())
