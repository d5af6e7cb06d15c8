"""Signals enhanced as they arrive: pipes of raw PCM, microphone to loudspeaker."""

from __future__ import annotations

import inspect
import io
import re
import subprocess
import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from evaluation.enhance import cli
from evaluation.enhance.audio import Resampler
from evaluation.enhance.live import enhance_live, enhance_pipe
from evaluation.enhance.network import enhance_mixture
from tests.data import make_mixture
from tests.evaluation.enhance.networks import RATE, build

PCM_STEP = 2**-15


class Slowly(io.BytesIO):
    """A pipe that gives some bytes at a time, not always whole samples."""

    def read1(self, size: int | None = -1) -> bytes:
        """Return the next 1001 bytes."""
        return self.read(1001)


def loud(network: torch.nn.Module) -> torch.nn.Module:
    """Let an untrained network, whose mask is small, answer well above the steps of 16 bit."""
    with torch.no_grad():
        network.masker.output_layer[0].re_module.weight.mul_(50)
    return network


def pcm(seconds: float = 1.0, channels: int = 1, rate: int = RATE) -> bytes:
    signal = make_mixture(seconds, n_mics=channels, sample_rate=rate, seed=1)[0]
    return np.rint(signal.T / PCM_STEP).astype("<i2").tobytes()


def samples(content: bytes, channels: int = 1) -> torch.Tensor:
    whole = np.frombuffer(content, "<i2").reshape(-1, channels).T
    return torch.from_numpy(whole.astype(np.float32) * PCM_STEP)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("limit_db", [None, 6.0])
def test_a_pipe_gives_what_the_whole_file_gives(channels: int, limit_db: float | None) -> None:
    network, content = loud(build("DCCRN causal")), pcm(0.93, channels)
    sink = io.BytesIO()
    times = enhance_pipe(
        network,
        Slowly(content),
        sink,
        sample_rate=RATE,
        channels=channels,
        attenuation_limit_db=limit_db,
    )
    mixture = samples(content, channels)
    share = 0.0 if limit_db is None else 10 ** (-limit_db / 20)
    whole = torch.stack([enhance_mixture(network, one[None]) for one in mixture])
    expected = (1 - share) * whole + share * mixture
    found = samples(sink.getvalue(), channels)
    assert found.shape == mixture.shape
    assert float(whole.abs().max()) > 100 * PCM_STEP
    assert float((found - expected).abs().max()) <= 0.51 * PCM_STEP
    assert times.audio_s == pytest.approx(mixture.shape[1] / RATE)
    assert times.busy_s > 0
    assert times.latency_ms == 1000 * network.latency_samples / RATE


def test_a_pipe_of_another_rate_is_resampled_there_and_back() -> None:
    network, content = loud(build("DCCRN causal")), pcm(0.5, rate=44100)
    sink = io.BytesIO()
    enhance_pipe(network, io.BytesIO(content), sink, sample_rate=44100)
    mixture, found = samples(content), samples(sink.getvalue())
    assert found.shape == mixture.shape
    inner = Resampler(44100, RATE, 1).push(mixture, last=True)
    outer = Resampler(RATE, 44100, 1).push(enhance_mixture(network, inner)[None], last=True)
    n = outer.shape[1]
    assert torch.allclose(found[:, :n], outer[:, : found.shape[1]], atol=0.6 * PCM_STEP)


def test_the_program_pipes_and_says_what_it_took() -> None:
    """With the shipped network; noise comes out lower."""
    noise = np.random.default_rng(0).normal(0, 1000, 8000).astype("<i2").tobytes()
    command = [sys.executable, "-m", "evaluation.enhance", "-", "-o", "-"]
    done = subprocess.run(command, input=noise, capture_output=True, timeout=300, check=True)
    assert len(done.stdout) == len(noise)
    assert samples(done.stdout).std() < 0.3 * samples(noise).std()
    message = done.stderr.decode()
    assert "0.5 s of audio in " in message
    assert re.search(r"real-time factor \d\.\d{3}, ", message)
    assert "latency 25.0 ms" in message


def test_what_does_not_fit_is_clipped_and_counted() -> None:
    network, sink = build("DCCRN causal"), io.BytesIO()
    square = np.where(np.arange(8000) // 40 % 2, 30000, -30000).astype("<i2").tobytes()
    with torch.no_grad():
        network.masker.output_layer[0].re_module.weight.zero_()
        network.masker.output_layer[0].re_module.bias.fill_(9.0)
    times = enhance_pipe(network, io.BytesIO(square), sink, sample_rate=RATE)
    found = samples(sink.getvalue())
    assert times.clipped == int((found.abs() >= 1 - PCM_STEP).sum())
    assert f"{times.clipped} samples clipped" in str(times)


class FakeSoundDevice(ModuleType):
    """sounddevice, played from an array and recorded into one, by a thread of its own."""

    class PortAudioError(Exception):
        """What sounddevice raises without a device."""

    def __init__(self, microphone: np.ndarray, flagged: tuple[int, ...] = ()) -> None:
        super().__init__("sounddevice")
        self.loudspeaker: list[np.ndarray] = []
        self.options: dict[str, Any] = {}
        fake = self

        class Stream:
            """As `sounddevice.Stream`."""

            latency = (0.010, 0.020)

            def __init__(
                self, samplerate=None, blocksize=None, device=None, channels=None, dtype=None,
                latency=None, extra_settings=None, callback=None, finished_callback=None,
                clip_off=None, dither_off=None, never_drop_input=None,
                prime_output_buffers_using_stream_callback=None,
            ) -> None:  # fmt: skip
                if device == (7, 7):
                    raise fake.PortAudioError("Invalid device")
                fake.options = {"device": device, "samplerate": samplerate, "dtype": dtype}
                blocks = len(microphone) // blocksize
                self.size, self.callback = blocksize, callback
                self.thread = threading.Thread(target=self.run, args=(blocks, channels))

            def run(self, blocks: int, channels: int) -> None:
                for index in range(blocks):
                    block = microphone[index * self.size : (index + 1) * self.size]
                    indata = np.repeat(block[:, None], channels, axis=1).astype(np.float32)
                    outdata = np.full((self.size, channels), np.nan, np.float32)
                    self.callback(indata, outdata, self.size, None, index in flagged)
                    fake.loudspeaker.append(outdata.copy())

            def __enter__(self) -> Stream:
                self.thread.start()
                return self

            def __exit__(self, *_: object) -> None:
                self.thread.join()

        self.Stream = Stream


@pytest.fixture
def microphone() -> np.ndarray:
    return make_mixture(1.0, n_mics=1, sample_rate=RATE, seed=4)[0][0]


def test_the_loudspeaker_plays_what_the_whole_file_gives_a_little_later(
    monkeypatch: pytest.MonkeyPatch, microphone: np.ndarray
) -> None:
    network, fake = loud(build("DCCRN causal")), FakeSoundDevice(microphone, flagged=(2, 5))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    times = enhance_live(network, seconds=0.5, attenuation_limit_db=12)
    played = np.concatenate(fake.loudspeaker)[:, 0]
    assert np.isfinite(played).all()
    late, n = network.latency_samples - network.hop_length, RATE // 2
    signal = torch.from_numpy(microphone.astype(np.float32))
    share = 10 ** (-12 / 20)
    expected = (1 - share) * enhance_mixture(network, signal[None]) + share * signal
    np.testing.assert_allclose(played[late:n], expected[: n - late], atol=1e-5)
    assert not played[n:].any()  # after the seconds asked for
    assert times.glitches == 2
    assert times.audio_s == pytest.approx(0.5)
    assert fake.options == {"device": None, "samplerate": RATE, "dtype": "float32"}


def test_the_program_runs_live_between_named_devices(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, microphone: np.ndarray
) -> None:
    fake = FakeSoundDevice(microphone)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    caplog.set_level("INFO")
    arguments = ["--live", "--seconds", "0.25", "--audio_devices", "3", "USB"]
    assert cli.main(arguments) == 0
    assert fake.options["device"] == (3, "USB")
    assert "latency 55.0 ms, of it the device's 30.0 ms" in caplog.text
    assert "0 glitches" in caplog.text


def test_a_failure_in_the_devices_thread_ends_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], microphone: np.ndarray
) -> None:
    network, fake = build("DCCRN causal"), FakeSoundDevice(microphone)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(fake.Stream, "run", lambda self, *_: self.callback(
        np.zeros((7, 1), np.float32), np.zeros((7, 1), np.float32), 7, None, None
    ))  # fmt: skip
    with pytest.raises(ValueError, match="a step takes a multiple of 100 samples; got 7"):
        enhance_live(network)
    assert cli.main(["--live", "--audio_devices", "7", "7"]) == 1
    assert "no sound device for 1 channel at 16000 Hz: Invalid device" in capsys.readouterr().err


def test_the_fake_takes_what_sounddevice_takes() -> None:
    sounddevice = pytest.importorskip("sounddevice", exc_type=(ImportError, OSError))
    fake = FakeSoundDevice(np.zeros(1))
    names = [list(inspect.signature(one.Stream.__init__).parameters) for one in (sounddevice, fake)]
    assert names[0] == names[1]


def test_what_cannot_stream_and_what_is_missing_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ModuleNotFoundError, match="--live needs sounddevice: pip install"):
        enhance_live(build("DCCRN causal"))
    with pytest.raises(ValueError, match="DCUnet does not run as the signal arrives"):
        enhance_pipe(build("DCUnet"), io.BytesIO(), io.BytesIO(), sample_rate=RATE)
    with pytest.raises(ValueError, match=r"1 bytes are left of 4; .* of 2 channels"):
        enhance_pipe(
            *(build("DCCRN causal"), io.BytesIO(bytes(401)), io.BytesIO()),
            sample_rate=RATE,
            channels=2,
        )
    for arguments, message in (
        ([], "name what to enhance and -o PATH; or --live"),
        (["in.wav"], "name what to enhance and -o PATH"),
        (["--live", "in.wav", "-o", "out.wav"], "--live takes no files; got in.wav, out.wav"),
        (["-", "-o", "out.wav"], "'-' stands for standard input and output together"),
        (["a.wav", "-", "-o", "-"], "'-' stands for standard input and output together"),
        (["--model", "a", "--model", "b", "-", "-o", "-"], "one network enhances what arrives"),
    ):
        assert cli.main(arguments) == 2, message
        assert message in capsys.readouterr().err
