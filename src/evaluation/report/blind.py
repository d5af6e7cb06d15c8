"""Blind listening test: one page of unnamed, level-matched signals, and a key to its answers.

Two types. MUSHRA-style: the clean speech as an open reference, and in random order the systems, the
noisy mixture, the clean speech again (hidden) and the clean speech below 3.5 kHz (low anchor), each
rated from 0 to 100. ABX: two systems, and one of them again as X, which is to be identified.

The page has random codes in place of names; the key, a file of its own, maps them to signals.

Sources: ITU-R BS.1534-3 (2015); Munson & Gardner, "Standardizing auditory tests", JASA 22 (1950).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from evaluation.testset.testset import TestSet

from .listening import CLEAN, MIXTURE, read_signals
from .page import embedded_json, render, verbatim
from .sound import SoundFormat, encode, equal_loudness

__all__ = ["ANCHOR", "HIDDEN_REFERENCE", "TestKind", "blind_page", "make_test"]

Array = NDArray[np.float64]
TestKind = Literal["mushra", "abx"]

HIDDEN_REFERENCE = "hidden reference"
ANCHOR = "3.5 kHz anchor"
ANCHOR_HZ = 3500  # ITU-R BS.1534-3, 5.1
CODE_BYTES = 4


def make_test(
    kind: TestKind,
    utterances: Sequence[str],
    systems: Mapping[str, TestSet],
    *,
    sound_format: SoundFormat = "flac",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the page's data and the key.

    Raises:
        ValueError: an ABX test of fewer than two systems; or see `read_signals`.
    """
    if kind == "abx" and len(systems) < 2:
        raise ValueError(f"an ABX test needs two systems or more; got {', '.join(systems)}")
    trials: list[dict[str, Any]] = []
    keys: list[dict[str, Any]] = []
    for utterance in utterances:
        signals, rate = read_signals(utterance, systems)
        sounds = {
            name: base64.b64encode(encode(signal, rate, sound_format)).decode("ascii")
            for name, signal in _stimuli(kind, signals, rate).items()
        }
        for names in [tuple(sounds)] if kind == "mushra" else combinations(systems, 2):
            # New codes in every trial: a system cannot be recognised by its code.
            codes = {secrets.token_hex(CODE_BYTES): name for name in names}
            trial: dict[str, Any] = {
                "stimuli": {code: sounds[name] for code, name in codes.items()}
            }
            if kind == "mushra":
                trial["reference"] = sounds[HIDDEN_REFERENCE]
            trials.append(trial)
            keys.append({"utterance": utterance, "stimuli": codes})
    test_id = hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:12]
    key = {"test": test_id, "kind": kind, "systems": list(systems), "trials": keys}
    return {"test": test_id, "kind": kind, "trials": trials}, key


def blind_page(title: str, test: Mapping[str, Any]) -> str:
    """Return the listening test as one HTML page."""
    return render(
        "blind.html.j2",
        title=title,
        kind=test["kind"],
        n_trials=len(test["trials"]),
        test_json=embedded_json(test),
        style=verbatim("style.css"),
        player_script=verbatim("player.js"),
        blind_script=verbatim("blind.js"),
    )


def _stimuli(kind: TestKind, signals: Mapping[str, Array], rate: int) -> dict[str, Array]:
    """Return the signals of one utterance's trials, at equal loudness."""
    sounds = dict(signals)
    clean = sounds.pop(CLEAN)
    if kind == "abx":
        sounds.pop(MIXTURE, None)
    else:
        sounds[HIDDEN_REFERENCE] = clean
        # At lower rates the anchor would be the reference itself.
        if rate > 2 * ANCHOR_HZ:
            sections = butter(8, ANCHOR_HZ, fs=rate, output="sos")
            # Forward and backward, without delay; shorter signals allow less padding.
            padding = min(60, len(clean) - 1)
            sounds[ANCHOR] = np.asarray(sosfiltfilt(sections, clean, padlen=padding))
    matched, _ = equal_loudness(sounds, rate)
    return matched
