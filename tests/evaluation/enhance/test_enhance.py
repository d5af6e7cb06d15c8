"""The program: rates, channels, levels, word lengths, folders, bad files."""

from __future__ import annotations

import os
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
import torch

from auditus import si_sdr
from evaluation.enhance import cli as enhance
from evaluation.enhance import plan
from evaluation.enhance.audio import CONTAINERS
from evaluation.enhance.network import enhance_mixture
from evaluation.enhance.one_file import Settings, enhance_file
from seloss.data.formats.audio import SUFFIXES
from tests.data import make_mixture
from tests.evaluation.enhance.networks import NAMES, RATE, build
from tests.evaluation.enhance.test_blocks import Same
from tests.recordings import recordings, sentence


def write(path: Path, signal: np.ndarray, rate: int = RATE, subtype: str = "FLOAT") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, signal.T, rate, subtype=subtype)
    return path


def save(path: Path, name: str = "DCCRN", seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(build(name, seed).serialize(), path)
    return path


def run(*arguments: object) -> int:
    return enhance.main([*map(str, arguments), "--device", "cpu"])


def noisy(seconds: float = 0.6, channels: int = 1, rate: int = RATE, seed: int = 1) -> np.ndarray:
    return make_mixture(seconds, n_mics=channels, sample_rate=rate, seed=seed)[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_network_enhances_a_file(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The file holds what the network says of the whole signal, at the level of the mixture."""
    source = write(tmp_path / "in.wav", noisy(channels=2))
    checkpoint = save(tmp_path / "best.pth", name)
    caplog.set_level("INFO")
    assert run("--checkpoint", checkpoint, source, "-o", tmp_path / "out.wav") == 0
    found, rate = sf.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    mixture = torch.from_numpy(sf.read(source, dtype="float32", always_2d=True)[0].T.copy())
    single = name != "FasNetTAC"
    assert (rate, found.shape) == (RATE, (mixture.shape[1], 2 if single else 1))
    network = build(name)
    answers = (
        torch.stack([enhance_mixture(network, one[None]) for one in mixture])
        if single
        else enhance_mixture(network, mixture)[None]
    )
    reference = mixture if single else mixture[:1]
    gain = (answers * reference).sum() / answers.square().sum()
    expected = (gain * answers).numpy().T
    assert np.allclose(found, expected, atol=1e-3 * np.abs(expected).max())
    assert "real-time factor" in caplog.text


def test_without_a_network_named_that_of_the_package_removes_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = sf.read(sentence(0))[0]
    noise = np.resize(sf.read(recordings("noise/test/unlabelled4/*.flac")[0])[0], len(clean))
    noise *= np.sqrt(np.mean(clean**2) / np.mean(noise**2) / 10 ** (5 / 10))  # 5 dB
    source = write(tmp_path / "in.wav", (clean + noise)[None])
    assert run(source, "-o", tmp_path / "out.wav") == 0
    estimate = torch.from_numpy(sf.read(tmp_path / "out.wav")[0])[None]
    target = torch.from_numpy(clean)[None]
    mixture = torch.from_numpy(sf.read(source)[0])[None]
    gain = si_sdr(estimate, target, sample_rate=RATE) - si_sdr(mixture, target, sample_rate=RATE)
    assert gain.item() > 6  # 8.8 dB with the first weights shipped
    assert run("--model", "dccrn-small-causal", source, "-o", tmp_path / "named.wav") == 0
    # the bytes differ by the time of writing, which a WAV file of floats holds
    assert np.array_equal(sf.read(tmp_path / "named.wav")[0], sf.read(tmp_path / "out.wav")[0])
    assert run("--model", "dccrn-smal", source, "-o", tmp_path / "none.wav") == 1
    assert "did you mean dccrn-small-causal?" in capsys.readouterr().err


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_rate_length_and_signal_come_back(tmp_path: Path, rate: int) -> None:
    """Through a network that changes nothing, a signal below both Nyquist rates is unchanged."""
    time = np.arange(int(0.73 * rate)) / rate
    signal = 0.3 * np.sin(2 * np.pi * 700 * time) * np.hanning(len(time))
    source = write(tmp_path / "in.wav", np.stack([signal, -0.5 * signal]), rate)
    network = Same()
    network.sample_rate = RATE  # type: ignore[assignment]
    enhance_file(network, source, tmp_path / "out.wav")
    found, back = sf.read(tmp_path / "out.wav")
    assert back == rate
    assert found.shape == (len(time), 2)
    error = found[:, 0] - signal
    # soxr's quality "HQ" is of 20 bit
    assert 10 * np.log10(np.mean(signal**2) / np.mean(error**2)) > 80
    assert np.allclose(found[:, 1], -0.5 * found[:, 0], atol=1e-6)


def test_resampling_by_pieces_is_that_of_the_whole(tmp_path: Path) -> None:
    signal = noisy(9.0, rate=44100)
    source = write(tmp_path / "in.wav", signal, 44100)
    network = Same()
    network.sample_rate = RATE  # type: ignore[assignment]
    enhance_file(
        network, source, tmp_path / "out.wav", Settings(level="network", block_s=1.0, context_s=0.5)
    )
    low = soxr.resample(signal[0], 44100, RATE)
    expected = soxr.resample(low, RATE, 44100)[: signal.shape[1]]
    found = sf.read(tmp_path / "out.wav")[0]
    assert np.allclose(found[: len(expected)], expected, atol=1e-5)


class Scaled(Same):
    """Answers at another level and polarity, as a network of a scale-invariant loss may."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input, far too loud and upside down."""
        return -50 * super().forward(x)


def test_the_level_is_the_mixtures_and_the_polarity_too(tmp_path: Path) -> None:
    signal = noisy()
    source = write(tmp_path / "in.wav", signal)
    done = enhance_file(Scaled(), source, tmp_path / "out.wav")
    assert np.allclose(sf.read(tmp_path / "out.wav")[0], signal[0], atol=1e-5)
    assert done.gain_db == pytest.approx(-20 * np.log10(50))
    assert "polarity" in done.notes[0]
    done = enhance_file(Scaled(), source, tmp_path / "raw.wav", Settings(level="network"))
    assert np.allclose(sf.read(tmp_path / "raw.wav")[0], -50 * signal[0], rtol=1e-5)
    assert "above full scale, kept in the file of floats" in done.notes[0]


@pytest.mark.parametrize(("rate", "n_samples"), [(RATE, 9600), (44100, 100_003)])
@pytest.mark.parametrize("limit_db", [0.0, 12.0, 40.0])
def test_noise_is_lowered_by_no_more_than_the_limit(
    tmp_path: Path, rate: int, n_samples: int, limit_db: float
) -> None:
    """A network that hears no speech at all: the mixture is left, so many dB lower."""
    mixture = np.random.default_rng(0).uniform(-0.3, 0.3, (2, n_samples))
    source = write(tmp_path / "in.wav", mixture, rate)
    network = Same()
    torch.nn.init.zeros_(network.weight)
    settings = Settings(attenuation_limit_db=limit_db)
    enhance_file(network, source, tmp_path / "out.wav", settings)
    expected = mixture.T * 10 ** (-limit_db / 20)
    assert np.allclose(sf.read(tmp_path / "out.wav")[0], expected, atol=1e-6)


def test_the_limit_keeps_level_polarity_and_headroom(tmp_path: Path) -> None:
    """Speech that the network finds exactly stays as it is, whatever is mixed back."""
    signal = noisy()
    source = write(tmp_path / "in.wav", signal)
    settings = Settings(attenuation_limit_db=12)
    done = enhance_file(Scaled(), source, tmp_path / "out.wav", settings)
    assert np.allclose(sf.read(tmp_path / "out.wav")[0], signal[0], atol=1e-5)
    assert done.gain_db == pytest.approx(-20 * np.log10(50))
    settings = Settings(level="network", depth="16", attenuation_limit_db=12)
    done = enhance_file(Scaled(), source, tmp_path / "loud.wav", settings)
    assert "it would have clipped" in done.notes[0]
    found = sf.read(tmp_path / "loud.wav")[0]
    assert np.allclose(found, -signal[0] / np.abs(signal).max(), atol=2**-14)


@pytest.mark.parametrize("depth", ["16", "24", "32"])
def test_nothing_is_clipped_silently(tmp_path: Path, depth: str) -> None:
    signal = noisy()
    source = write(tmp_path / "in.wav", signal)
    settings = Settings(level="network", depth=depth)
    done = enhance_file(Scaled(), source, tmp_path / "out.wav", settings)
    assert sf.info(tmp_path / "out.wav").subtype == f"PCM_{depth}"
    found = sf.read(tmp_path / "out.wav")[0]
    # the same wave, lowered: no sample is cut
    expected = -signal[0] / np.abs(signal[0]).max()
    assert np.allclose(found, expected, atol=2**-14)
    lowered = 20 * np.log10(50 * np.abs(signal[0]).max())
    assert f"lowered by {lowered:.1f} dB: it would have clipped" in done.notes[0]


@pytest.mark.parametrize(
    ("subtype", "expected"), [("PCM_16", "PCM_16"), ("PCM_24", "PCM_24"), ("FLOAT", "FLOAT")]
)
def test_the_word_length_is_kept(tmp_path: Path, subtype: str, expected: str) -> None:
    source = write(tmp_path / "in.wav", noisy(), subtype=subtype)
    enhance_file(Same(), source, tmp_path / "out.wav")
    assert sf.info(tmp_path / "out.wav").subtype == expected
    step = {"PCM_16": 2**-15, "PCM_24": 2**-23, "FLOAT": 1e-6}[subtype]
    assert np.allclose(sf.read(tmp_path / "out.wav")[0], sf.read(source)[0], atol=1.1 * step)


def test_channels(tmp_path: Path) -> None:
    signal = np.stack([noisy(seed=seed)[0] for seed in range(3)])
    source = write(tmp_path / "in.wav", signal)
    enhance_file(Same(), source, tmp_path / "one.wav", Settings(channel=2))
    assert np.allclose(sf.read(tmp_path / "one.wav")[0], signal[1], atol=1e-6)
    with pytest.raises(ValueError, match="no channel 4: the file has 3"):
        enhance_file(Same(), source, tmp_path / "none.wav", Settings(channel=4))
    network = build("FasNetTAC")
    enhance_file(network, source, tmp_path / "third.wav", Settings(channel=3, level="network"))
    expected = enhance_mixture(network, torch.from_numpy(signal[[2, 0, 1]]))
    assert np.allclose(sf.read(tmp_path / "third.wav")[0], expected, atol=1e-5)


def test_folders_several_networks_bad_files_and_resuming(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELOSS_EXPERIMENTS", str(tmp_path / "xp"))
    folder = tmp_path / "audio"
    write(folder / "a.wav", noisy())
    write(folder / "deep" / "b.flac", noisy(rate=8000), 8000, "PCM_16")
    (folder / "bad.wav").write_bytes(b"RIFF no audio")
    write(folder / "empty.wav", np.zeros((1, 0)))
    write(folder / "nan.wav", np.full((1, 100), np.nan))
    (folder / "notes.txt").write_text("not audio")
    for tag, seed in (("X", 1), ("Y", 2)):
        save(tmp_path / "xp" / tag / "best_model.pth", seed=seed)
    arguments = ("--experiment_tag", "X", "--experiment_tag", "Y", folder, "-o", tmp_path / "out")
    assert run(*arguments) == 1
    message = capsys.readouterr().err
    assert "6 of 10 files not enhanced" in message
    for name in ("bad.wav: is not readable audio", "empty.wav: is empty"):
        assert name in message
    assert "nan.wav: has samples that are not finite (NaN or infinity), from 0 on" in message
    made = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert made == ["X/a.wav", "X/deep/b.wav", "Y/a.wav", "Y/deep/b.wav"]  # and no leftovers
    assert sf.info(tmp_path / "out" / "X" / "deep" / "b.wav").samplerate == 8000
    first, second = (sf.read(tmp_path / "out" / tag / "a.wav")[0] for tag in "XY")
    assert not np.allclose(first, second)
    target = tmp_path / "out" / "X" / "a.wav"
    target.write_bytes(b"mine")
    assert run(*arguments) == 1
    assert target.read_bytes() == b"mine"
    assert run("--experiment_tag", "X", folder / "a.wav", "-o", target, "--overwrite") == 0
    assert sf.info(target).frames == len(first)


@pytest.mark.parametrize(
    ("name", "subtype", "written", "note"),
    [
        ("x.flac", "FLOAT", "PCM_24", "cannot hold float samples: written in 24 bits"),
        ("x.flac", "PCM_32", "PCM_24", "cannot hold 32 samples: written in 24 bits"),
        ("x.flac", "PCM_16", "PCM_16", ""),
        ("x.sph", "FLOAT", "PCM_32", "cannot hold float samples: written in 32 bits"),
        ("x.aifc", "FLOAT", "FLOAT", ""),
        ("x.snd", "PCM_24", "PCM_24", ""),
        ("x.wave", "FLOAT", "FLOAT", ""),
        ("x.OGG", "PCM_16", "VORBIS", ""),
        ("x.opus", "FLOAT", "OPUS", ""),
        ("x.mp3", "PCM_16", "MPEG_LAYER_III", ""),
    ],
)
def test_formats_are_converted_and_said(
    tmp_path: Path, name: str, subtype: str, written: str, note: str
) -> None:
    signal = noisy()
    source = write(tmp_path / "in.wav", signal, subtype=subtype)
    done = enhance_file(Same(), source, tmp_path / name)
    info = sf.info(tmp_path / name)
    assert (info.subtype, info.frames, info.samplerate) == (written, signal.shape[1], RATE)
    assert [note in text for text in done.notes] == ([True] if note else [])
    found = sf.read(tmp_path / name)[0]
    if written.startswith("PCM") or written == "FLOAT":
        assert np.allclose(found, signal[0], atol=2**-15)
    else:  # a codec of hearing: the same signal, not the same samples
        assert np.corrcoef(found, signal[0])[0, 1] > 0.9


class NeverAsked(Same):
    """Fails if it is given anything: what is refused must be refused before."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Fail."""
        raise AssertionError(f"asked for {x.shape[-1]} samples")


@pytest.mark.parametrize(
    ("name", "rate", "channels", "depth", "message"),
    [
        ("x.m4a", RATE, 1, None, r"'\.m4a' cannot be written; use one of \.aif, .*\.wav"),
        ("x.xyz", RATE, 1, None, r"'\.xyz' cannot be written"),
        ("x.flac", RATE, 9, None, r"\.flac files cannot hold 9 channel\(s\) at 16000 Hz"),
        ("x.mp3", 96000, 1, None, r"\.mp3 files cannot hold 1 channel\(s\) at 96000 Hz"),
        ("x.opus", 44100, 1, None, r"\.opus files cannot hold 1 channel\(s\) at 44100 Hz"),
        ("x.flac", RATE, 1, "float", r"\.flac files cannot hold float samples \(--depth\)"),
        ("x.flac", RATE, 1, "32", r"\.flac files cannot hold 32 samples \(--depth\)"),
    ],
)
def test_what_cannot_be_written_is_refused_first(
    tmp_path: Path, name: str, rate: int, channels: int, depth: str | None, message: str
) -> None:
    source = write(tmp_path / "in.wav", noisy(0.2, channels, rate), rate)
    with pytest.raises(ValueError, match=message):
        enhance_file(NeverAsked(), source, tmp_path / name, Settings(depth=depth))
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_every_suffix_that_is_read_can_be_written() -> None:
    assert set(CONTAINERS) == set(SUFFIXES)


def test_names_of_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.wav", noisy())
    other = write(tmp_path / "two.wav", noisy())
    for inputs, name, message in (
        ([source], "o.m4a", "o.m4a: '.m4a' cannot be written"),
        ([source], "o.v2", "if it is to be a folder, make it first"),
        ([source, other], "o.wav", "o.wav names one file; name a folder"),
        ([source, other], "o.m4a", "o.m4a: '.m4a' cannot be written"),
    ):
        assert run(*inputs, "-o", tmp_path / name) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / name).exists()
    (tmp_path / "o.v2").mkdir()
    assert enhance.plan([source], tmp_path / "o.v2", ["x"])[0][2] == tmp_path / "o.v2" / "in.wav"
    both = enhance.plan([source, other], tmp_path / "o.v3", ["x"])
    assert [job[2].name for job in both] == ["in.wav", "two.wav"]


def test_odd_names_and_formats_in_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "audio", tmp_path / "out"
    checkpoint = save(tmp_path / "net.pth", "DCCRN")
    latin = os.fsdecode(b"caf\xe9")
    long, longest = "n" * 231, "m" * 252
    signal = noisy()
    for name in ("plain.wav", "gsm.wav", f"{long}.wav"):
        subtype = "GSM610" if name == "gsm.wav" else "PCM_16"
        write(folder / name, signal, subtype=subtype)
    shutil.copy(folder / "plain.wav", folder / f"{latin}.wav")
    write(tmp_path / "x.au", signal, subtype="PCM_16").rename(folder / f"{longest}.au")
    piped = bytearray(write(tmp_path / "x.flac", signal, subtype="PCM_16").read_bytes())
    piped[21] &= 0xF0  # the number of samples: 36 bits
    piped[22:26] = bytes(4)
    (folder / "piped.flac").write_bytes(piped)
    assert run("--checkpoint", checkpoint, folder, "-o", out) == 1
    message = capsys.readouterr().err
    assert "2 of 6 files not enhanced" in message
    assert "piped.flac: does not say how long it is" in message
    assert f"{longest}.au: [Errno 36]" in message
    made = {path.name: sf.info(os.fsencode(path)).frames for path in out.iterdir()}
    assert made.pop("gsm.wav") >= signal.shape[1]  # whole blocks of 320 samples
    names = ("plain.wav", f"{latin}.wav", f"{long}.wav")
    assert made == dict.fromkeys(names, signal.shape[1])
    assert run("--checkpoint", checkpoint, folder / f"{latin}.wav", "-o", out / "one.wav") == 0


def test_a_plan_of_many_files_is_linear_and_reads_none(tmp_path: Path) -> None:
    """2,000 files took 70 s: the folder of each was resolved again for every other one."""
    for folder, count in (("few", 500), ("many", 4000)):
        for k in range(count):
            (tmp_path / folder / f"{k % 7}").mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / f"{k % 7}" / f"{k}.wav").touch()
    took = {}
    for folder in ("few", "many"):
        begin = time.process_time()
        jobs = plan([tmp_path / folder], tmp_path / "out", ["x"])
        took[folder] = time.process_time() - begin
        assert len(jobs) == (500 if folder == "few" else 4000)
    assert took["many"] < 8 * 3 * took["few"]  # quadratic: 64 times


def test_silence_stays_silent(tmp_path: Path) -> None:
    source = write(tmp_path / "in.wav", np.zeros((1, 8000)))
    done = enhance_file(build("DCCRN"), source, tmp_path / "out.wav")
    assert not sf.read(tmp_path / "out.wav")[0].any()
    assert np.isfinite(done.gain_db)


def test_a_failing_network_leaves_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "in.wav", noisy())
    network = Same()
    with torch.no_grad():
        network.weight.fill_(torch.nan)
    with pytest.raises(ValueError, match="not finite"):
        enhance_file(network, source, tmp_path / "out.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav"]


def test_a_disk_that_is_full_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    source = write(tmp_path / "in.wav", noisy(2.0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # while the network answers, and while its answer, 128,000 bytes, is copied behind a header
        for most in (20_000, 128_020):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
            with pytest.raises(OSError, match=r"out\.wav could not be written .*MB are free there"):
                enhance_file(Same(), source, tmp_path / "out.wav", Settings(depth="32"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.wav", noisy())
    checkpoint = save(tmp_path / "a" / "net.pth")
    other = save(tmp_path / "b" / "net.pth")
    training = tmp_path / "b" / "last.ckpt"
    torch.save({"state_dict": {}, "epoch": 3}, training)
    (tmp_path / "silent").mkdir()
    write(tmp_path / "two" / "x.wav", noisy())
    write(tmp_path / "two" / "x.flac", noisy(), subtype="PCM_16")
    for arguments, message in (
        (["--checkpoint", checkpoint, tmp_path / "x.wav", "-o", tmp_path / "o.wav"], "no file"),
        (["--checkpoint", checkpoint, tmp_path / "silent", "-o", tmp_path / "o"], "no audio"),
        (["--checkpoint", checkpoint, source, "-o", source], "is an input"),
        (["--checkpoint", checkpoint, source, "-o", tmp_path], "is an input"),
        (
            ["--checkpoint", checkpoint, "--checkpoint", other, source, "-o", tmp_path / "o"],
            "networks are called",
        ),
        (["--checkpoint", checkpoint, tmp_path / "two", "-o", tmp_path / "o"], "both become"),
        (["--checkpoint", source, source, "-o", tmp_path / "o.wav"], "not a network"),
        (
            ["--checkpoint", "no.pth", source, "-o", tmp_path / "o.wav"],
            "there is no network",
        ),
        (["--checkpoint", training, source, "-o", tmp_path / "o.wav"], "its best_model.pth is one"),
        (["--experiment_tag", "none", "--root", tmp_path, source, "-o", "o"], "no experiment"),
    ):
        assert run(*arguments) == 1, message
        assert message in capsys.readouterr().err
    for options, status in (
        (["--help"], 0),
        (["x", "-o", "y", "--depth", "8"], 2),
        (["x", "-o", "y", "--attenuation_limit_db", "-3"], 2),
    ):
        with pytest.raises(SystemExit) as stop:
            enhance.main(options)
        assert stop.value.code == status
