"""Transcripts of audio files, kept until the audio or the recogniser changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from tqdm import tqdm

from evaluation.work.ledger import Ledger, content_digest
from evaluation.work.parallel import run_each
from seloss.data.formats.audio import read_samples

from .recognisers import SAMPLE_RATE, Recogniser, build_recogniser, identity, levelled

__all__ = ["Transcript", "transcribe"]


@dataclass(frozen=True)
class Transcript:
    """A recogniser's transcript of a file; without a text the reason why."""

    text: str | None
    reason: str = ""


@dataclass(frozen=True)
class _Job:
    path: Path
    recogniser: str


def transcribe(
    paths: Sequence[Path], recogniser: str, store: Path, *, jobs: int = 1
) -> dict[Path, Transcript]:
    """Transcribe audio files of any rate, the first channel of several.

    ``store`` is a ledger of transcripts by the audio's digest and the recogniser.

    Raises:
        ValueError, OSError, ModuleNotFoundError: The recogniser cannot be loaded.
    """
    ledger, key = Ledger(store), identity(recogniser)
    digests = {path: content_digest(path) for path in paths}
    texts = {name: ledger.results(name, key).get("text") for name in digests.values() if name}
    # Equal audio (the clean speech of several systems' folders, say) is transcribed once.
    missing = {name: path for path, name in digests.items() if name and texts[name] is None}
    if missing:
        _load(recogniser)  # an error of it shows here, before the processes start
    tasks = [_Job(path, recogniser) for path in missing.values()]
    failures: dict[str, str] = {}
    outcomes = run_each(_transcribe, tasks, jobs=min(jobs, max(1, len(tasks))))
    for outcome in tqdm(outcomes, total=len(tasks), unit="file", disable=None):
        name = digests[outcome.item.path]
        if outcome.result is None:
            failures[name] = outcome.error
        else:
            texts[name] = outcome.result
            ledger.add(name, key, {"text": outcome.result})
    return {
        path: Transcript(texts[name], "" if texts[name] is not None else failures[name])
        if name
        else Transcript(None, f"there is no {path.name}")
        for path, name in digests.items()
    }


@cache
def _load(name: str) -> Recogniser:
    """Load a recogniser, once per process."""
    return build_recogniser(name)


def _transcribe(job: _Job) -> str:
    samples, rate = read_samples(job.path, dtype="float32")
    signal: NDArray[np.float32] = np.ascontiguousarray(samples[:, 0])
    if not signal.any():
        return ""  # some recognisers invent words in silence
    if rate != SAMPLE_RATE:
        signal = np.asarray(soxr.resample(signal, rate, SAMPLE_RATE), dtype=np.float32)
    return _load(job.recogniser)(levelled(signal))
