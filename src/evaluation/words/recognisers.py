"""Speech recognisers: functions from a signal at 16 kHz to a text.

    moonshine        tiny English network inside the wheel of moonshine_voice 0.0.44 (glibc >= 2.34)
    pocketsphinx     triphones and trigrams inside its wheel; installs where moonshine cannot
    whisper:PATH     any speech-to-text model of transformers, from a folder or the hub
    wav2vec2:PATH    likewise, with a CTC output

On 20 utterances of LibriSpeech test-other (155 s of clean speech, one core): moonshine 13.6 % word
error rate at 0.04 to 0.06 of real time, pocketsphinx 56.8 % at 0.24.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from asteroid.utils.optional import needed_for
from asteroid.utils.registry import Registry
from evaluation.work.ledger import package_version

__all__ = [
    "LARGE",
    "RECOGNISERS",
    "SAMPLE_RATE",
    "Recogniser",
    "build_recogniser",
    "identity",
    "levelled",
]

SAMPLE_RATE = 16_000
LEVEL = 0.1  # RMS: -20 dBFS
PEAK = 0.99


class Recogniser(Protocol):
    """Speech recogniser."""

    def __call__(self, signal: NDArray[np.float32]) -> str:
        """Return the words in ``(samples,)`` at 16 kHz."""
        ...


RECOGNISERS: Registry[Callable[..., Recogniser]] = Registry("recogniser")


def build_recogniser(name: str) -> Recogniser:
    """Load a recogniser by ``NAME`` or ``NAME:MODEL``.

    Raises:
        ValueError: There is no such recogniser, or a model is missing or not taken.
        ModuleNotFoundError: Its package is not installed; the message says how.
        OSError: Its package or model does not work here.
    """
    kind, colon, model = name.partition(":")
    build = RECOGNISERS.get(kind)
    if bool(colon and model) != (kind in LARGE):
        raise ValueError(f"expected {f'{kind}:PATH' if kind in LARGE else kind}; got {name!r}")
    return build(model) if model else build()


def identity(name: str) -> str:
    """Return the key of transcripts: recogniser, its version, the files of its model."""
    kind, _, model = name.partition(":")
    package = _PACKAGES.get(kind, kind)
    parts = [kind, f"{package} {package_version(package)}"]
    if model:
        parts.append(_fingerprint(Path(model)) if Path(model).is_dir() else model)
    return "; ".join(parts)


@cache
def _fingerprint(folder: Path) -> str:
    """Hash a model's files: the weights by size and time, since they are large."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            status = path.stat()
            digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def levelled(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring a signal to -20 dBFS RMS, lower where it would clip: estimates have any level."""
    rms = float(np.sqrt(np.mean(np.square(signal, dtype=np.float64)))) if len(signal) else 0.0
    if rms == 0:
        return signal
    gain = min(LEVEL / rms, PEAK / float(np.abs(signal).max()))  # a lower level before clipping
    return np.asarray(signal * gain, dtype=np.float32)


#: Recognisers that take a model, fill the cores by themselves and may use a GPU.
LARGE = ("whisper", "wav2vec2")
_PACKAGES = {"moonshine": "moonshine-voice", "whisper": "transformers", "wav2vec2": "transformers"}


@RECOGNISERS.register("moonshine")
class Moonshine:
    """The tiny English model that moonshine_voice carries; Jeffries et al., arXiv 2410.15608."""

    def __init__(self) -> None:
        try:
            with needed_for("the recogniser moonshine"):
                from moonshine_voice import ModelArch, Transcriber, get_model_path
        except OSError as error:  # its library does not load
            raise OSError(
                f"moonshine_voice does not work on this system (it needs glibc 2.34 or later): "
                f"{error}; use --recogniser pocketsphinx or whisper:PATH"
            ) from error
        # Without voice activity detection: noisy speech must not be dropped beforehand.
        self._model = Transcriber(
            str(get_model_path("tiny-en")), ModelArch.TINY, options={"vad_threshold": "0"}
        )

    def __call__(self, signal: NDArray[np.float32]) -> str:
        """Return what is said."""
        lines = self._model.transcribe_without_streaming(signal.tolist(), SAMPLE_RATE).lines
        return " ".join(line.text for line in lines)


@RECOGNISERS.register("pocketsphinx")
class PocketSphinx:
    """CMU's recogniser with the English models of its wheel."""

    def __init__(self) -> None:
        with needed_for("the recogniser pocketsphinx"):
            from pocketsphinx import Decoder
        self._decoder = Decoder(samprate=float(SAMPLE_RATE), loglevel="FATAL")
        # Mean of the features: it adapts to each signal, and is reset so that order does not count.
        self._mean = self._decoder.get_cmn(False)

    def __call__(self, signal: NDArray[np.float32]) -> str:
        """Return the words; the same whatever was recognised before."""
        self._decoder.set_cmn(self._mean)
        self._decoder.start_utt()
        self._decoder.process_raw((signal * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return str(hypothesis.hypstr) if hypothesis else ""


class Transformers:
    """A model of transformers: Whisper and its like, or wav2vec 2.0 and its like.

    Args:
        model: A folder as ``save_pretrained`` leaves it (with its processor), or a name on the hub.
    """

    def __init__(self, model: str) -> None:
        with needed_for("this recogniser"):
            from transformers import pipeline
        try:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            self._pipeline: Any = pipeline(
                "automatic-speech-recognition", model=model, device=device
            )
        except Exception as error:  # whatever is missing in the folder
            raise OSError(f"no speech recogniser can be loaded from {model!r}: {error}") from error
        rate = getattr(self._pipeline.feature_extractor, "sampling_rate", SAMPLE_RATE)
        if rate != SAMPLE_RATE:
            raise ValueError(f"{model!r} works at {rate} Hz; expected {SAMPLE_RATE}")
        self._options: dict[str, object] = {}
        generation = getattr(self._pipeline.model, "generation_config", None)
        if hasattr(generation, "no_timestamps_token_id"):
            # Beyond its window of 30 s Whisper needs time stamps to continue.
            self._options["return_timestamps"] = True
        if getattr(generation, "is_multilingual", False):
            self._options["generate_kwargs"] = {"language": "english", "task": "transcribe"}

    def __call__(self, signal: NDArray[np.float32]) -> str:
        """Return what is said."""
        # A copy: the pipeline removes entries of its argument.
        audio = {"raw": signal.copy(), "sampling_rate": SAMPLE_RATE}
        return str(self._pipeline(audio, **self._options)["text"])


for _name in LARGE:
    RECOGNISERS.register(_name)(Transformers)
