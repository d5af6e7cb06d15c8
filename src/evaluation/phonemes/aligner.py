"""Forced alignment, offline: phone times from a transcript and the clean speech.

soundswallower (MIT) brings an acoustic model of American English and the CMU dictionary inside its
package. Words that the dictionary lacks are looked up in the user's lexicon, else pronounced by
``pronunciation.guess`` and named in the alignment's notes.

An aligner places any transcript somewhere. How well it fits is its ``fit``: the mean over the
frames that are not pauses of the acoustic score of the aligned phone, 0 being the best sound of the
model in every frame. Below ``DOUBTFUL_FIT`` there is a note; some wrong transcripts cannot be
placed at all, which is an error.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from asteroid.utils.files import write_text
from asteroid.utils.optional import needed_for
from evaluation.testset.spoken_text import normalise
from evaluation.work.ledger import package_version
from seloss.data.mini.archives import cache_folder

from .alignment import Alignment, Phone, alignment_of
from .pronunciation import guess

__all__ = ["DOUBTFUL_FIT", "align", "aligned"]

logger = logging.getLogger(__name__)

RATE = 16000
FRAME_S = 0.01
#: README.md says how often right and wrong transcripts are above it.
DOUBTFUL_FIT = -32.0
#: Edition of this module: alignments in the cache from another one are not used.
EDITION = "1"
_PAUSES = ("SIL", "+NSN+", "+SPN+")
# Of full scale: the model's features follow the level, so all speech is brought to one.
_PEAK = 0.5

_Array = NDArray[np.float64]


def align(
    speech: _Array, sample_rate: int, transcript: str, lexicon: Mapping[str, str] | None = None
) -> Alignment:
    """Align a transcript with clean speech.

    Args:
        speech: ``(samples,)``; its level does not matter.
        sample_rate: In Hz.
        transcript: English text.
        lexicon: Word, lower case -> ARPAbet phones, beside or in place of the dictionary.

    Returns:
        ARPAbet phones without stress, pauses as "SIL", times in steps of 10 ms.

    Raises:
        ModuleNotFoundError: Soundswallower is not installed.
        ValueError: There are no words, no pronunciation for one, or no way to place them.
    """
    words = normalise(transcript)
    if not words:
        raise ValueError(f"the transcript holds no word: {transcript!r}")
    if not np.abs(speech).max(initial=0.0) > 0:
        raise ValueError("the speech is silent: nothing to align")
    decoder = _decoder()
    names, guessed = _teach(decoder, words, lexicon or {})
    at_rate = soxr.resample(speech, sample_rate, RATE) if sample_rate != RATE else speech
    samples = np.rint(at_rate * (_PEAK * 32767 / np.abs(at_rate).max())).astype("<i2")
    try:
        decoder.set_align_text(" ".join(names))
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), False, True)
        decoder.end_utt()
        placed = decoder.alignment
    except RuntimeError as error:
        _decoder.cache_clear()  # its state is undefined now
        raise ValueError(f"soundswallower: {error}") from None
    if placed is None:
        seconds = len(speech) / sample_rate
        raise ValueError(
            f"the transcript cannot be placed in {seconds:.1f} s of audio: is it of this utterance?"
        )
    return _alignment(
        [(e.name, e.start, e.duration, e.score) for word in placed.words() for e in word], guessed
    )


def _alignment(entries: Sequence[tuple[str, int, int, float]], guessed: Sequence[str]) -> Alignment:
    """Make an alignment of the decoder's phones: name, first frame, frames, score."""
    spoken = [entry for entry in entries if entry[0] not in _PAUSES]
    # Scores are sums over frames: their sum over all frames is the mean.
    fit = sum(entry[3] for entry in spoken) / max(1, sum(entry[2] for entry in spoken))
    phones = [
        Phone(round(start * FRAME_S, 3), round((start + length) * FRAME_S, 3), name)
        for name, start, length, _ in entries
    ]
    alignment = alignment_of(phones, "aligner")
    notes = list(alignment.notes)
    if fit < DOUBTFUL_FIT:
        notes.append(f"the transcript fits badly ({fit:.0f}, usual is above {DOUBTFUL_FIT:.0f})")
    if guessed:
        notes.append(f"not in the dictionary, pronounced by rule: {', '.join(guessed)}")
    return Alignment(alignment.phones, "aligner", tuple(notes), round(fit, 2))


def aligned(
    speech: _Array,
    sample_rate: int,
    transcript: str,
    lexicon: Mapping[str, str] | None = None,
    cache: Path | None = None,
) -> Alignment:
    """Return the alignment of ``align``, from the cache where it is there.

    The cache is by default the folder ``alignments`` in the user's cache folder.
    """
    words = normalise(transcript)
    own = {word: lexicon[word] for word in sorted({*words}) if lexicon and word in lexicon}
    release = package_version("soundswallower")
    digest = hashlib.sha256(json.dumps([EDITION, release, sample_rate, words, own]).encode())
    digest.update(np.ascontiguousarray(speech, dtype=np.float64).tobytes())
    folder = cache_folder() / "alignments" if cache is None else cache
    file = folder / digest.hexdigest()[:2] / f"{digest.hexdigest()}.json"
    alignment = _read(file)
    if alignment is None:
        alignment = align(speech, sample_rate, transcript, lexicon)
        phones = [[phone.start, phone.end, phone.label] for phone in alignment.phones]
        content = {"phones": phones, "notes": alignment.notes, "fit": alignment.fit}
        try:
            write_text(file, json.dumps(content))
        except OSError as error:  # costs time, no result
            logger.warning("the alignment is not kept for the next run: %s", error)
    return alignment


def _read(file: Path) -> Alignment | None:
    """Return an alignment of the cache, None if there is none or it is damaged."""
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        phones = tuple(Phone(*entry) for entry in content["phones"])
        return Alignment(phones, "aligner", tuple(content["notes"]), content["fit"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _teach(
    decoder: Any, words: Sequence[str], lexicon: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Add the words that the decoder lacks; return the decoder's names, and the guessed words."""
    names, guessed = [], []
    for word in words:
        phones = lexicon.get(word)
        # A name of its own, so that the dictionary's entry stays for runs without the lexicon.
        name = f"{word}@{phones.replace(' ', '-')}" if phones else word
        if not decoder.lookup_word(name):
            if not phones:
                phones = guess(word, decoder.lookup_word)
                if not phones:
                    raise ValueError(f"no pronunciation for {word!r}: give one in --lexicon")
                name = f"{word}@guess"
            if not decoder.lookup_word(name):
                decoder.add_word(name, phones, True)
        if name == f"{word}@guess" and word not in guessed:
            guessed.append(word)
        names.append(name)
    return names, guessed


@cache
def _decoder() -> Any:
    """Return the decoder of this process, made once (0.2 s)."""
    with needed_for("alignment from transcripts"):
        from soundswallower import Decoder, get_model_path
    # FATAL: its message about an impossible transcript is our error.
    return Decoder(hmm=os.path.join(get_model_path(), "en-us"), loglevel="FATAL")
