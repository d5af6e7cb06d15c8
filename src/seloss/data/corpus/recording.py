"""One audio file of a corpus, and the recordings that several files are channels of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seloss.data.draw import rank
from seloss.data.formats.audio import read_header, read_samples

__all__ = ["Recording", "name_channels", "ranked"]

#: How much of each file is compared, from its middle, seconds.
_COMPARED_S = 5.0
#: Largest delay between two microphones of one recording, seconds: 30 m of sound.
_DELAY_S = 0.1
#: More files of one length are clips of a library, not channels.
_MOST_CHANNELS = 64
#: Peak of the correlation of phases, in terms of what unrelated noises reach by chance.
_TIMES_CHANCE = 4.0


@dataclass(frozen=True)
class Recording:
    """One audio file of a corpus.

    Attributes:
        path: Absolute.
        name: Its path relative to the corpus folder, which draws depend on.
        group: Speaker, noise type or room.
        split: ``train``, ``valid``, ``test`` or None if not given.
        seconds: Its length.
        channels: Its channels.
        transcript: What is said in it, if known.
        textgrid: Absolute path of its phone labels, if there are any.
        gender: Of the speaker, ``female`` or ``male``, if known.
        licence: Of the file, as its listing has it.
        recording: What the files of one recording, such as its channels, have in common; None:
            the file is a recording of its own.
    """

    path: Path
    name: str
    group: str
    split: str | None
    seconds: float
    channels: int
    transcript: str | None = None
    textgrid: Path | None = None
    gender: str | None = None
    licence: str | None = None
    recording: str | None = None

    @property
    def origin(self) -> str:
        """Name of the recording it is, or is a part of."""
        return self.recording or self.name


def _spectrum(recording: Recording) -> NDArray[np.complex128]:
    """Return the phases, without the magnitudes, of the middle of a file's first channel."""
    header = read_header(recording.path)
    frames = min(header.frames, round(_COMPARED_S * header.sample_rate))
    samples = read_samples(recording.path, (header.frames - frames) // 2, frames)[0][:, 0]
    windowed = (samples - samples.mean()) * np.hanning(frames)
    spectrum = np.fft.rfft(windowed, 2 * frames)  # padded, so that delays do not wrap around
    return np.asarray(spectrum / np.maximum(np.abs(spectrum), 1e-12))


def ranked(recordings: Sequence[Recording], *key: object) -> list[Recording]:
    """Return recordings in an order random by the key, whatever order they came in."""
    by_name = {recording.name: recording for recording in recordings}
    return [by_name[name] for name in rank(list(by_name), *key)]


def _are_one(first: NDArray[np.complex128], other: NDArray[np.complex128], delay: int) -> bool:
    """Return whether two signals of equal length agree in phase at some small delay.

    Source: Knapp and Carter, "The generalized correlation method for estimation of time delay",
    IEEE Trans. ASSP 24, 1976 (the phase transform: a common hum alone does not make it large).
    """
    correlation = np.fft.irfft(first * other.conj())
    near = np.concatenate([correlation[: delay + 1], correlation[-delay:]])
    # of n unrelated phases the largest of the correlation lies about here
    chance = np.sqrt(2 * np.log(len(near)) / len(first))
    return bool(np.abs(near).max() > _TIMES_CHANCE * chance)


def name_channels(recordings: Sequence[Recording]) -> list[Recording]:
    """Return recordings of which those that sound at the same time and place are known as one.

    Files of one group and length are compared, as DEMAND has them (16 microphones of one place);
    those that are named as channels need it not.
    """
    alike: dict[tuple[str, float], list[Recording]] = {}
    for recording in recordings:
        if recording.recording is None:
            alike.setdefault((recording.group, recording.seconds), []).append(recording)
    origins: dict[str, str] = {}
    for some in alike.values():
        if not 1 < len(some) <= _MOST_CHANNELS:
            continue
        firsts: list[tuple[Recording, NDArray[np.complex128]]] = []
        delay = round(_DELAY_S * read_header(some[0].path).sample_rate)
        for recording in some:
            phases = _spectrum(recording)
            for first, its_phases in firsts:
                if len(phases) == len(its_phases) and _are_one(phases, its_phases, delay):
                    origins[recording.name] = first.name
                    break
            else:
                firsts.append((recording, phases))
    return [
        replace(recording, recording=origins[recording.name])
        if recording.name in origins
        else recording
        for recording in recordings
    ]
