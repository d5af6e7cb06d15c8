"""Plans of a scheme's mixtures: utterance, noise and ratio of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seloss.data.corpus.listing import short_names
from seloss.data.corpus.recording import Recording, ranked
from seloss.data.corpus.splits import SPLITS
from seloss.data.draw import rank
from seloss.data.formats.audio import write_audio
from seloss.data.formats.mixture import DataError, Problem
from seloss.data.formats.preparation import Claim

from .additive import AdditivePlan
from .artificial import ARTIFICIAL, TALKERS
from .excerpt import length_at
from .scheme import NoiseScheme

__all__ = ["Pools", "artificial_recordings", "assign", "make_artificial", "plan_scheme"]

#: Split -> speech and noise that it may use.
Pools = dict[str, tuple[list[Recording], list[Recording]]]


def _refuse_same_audio(pools: Pools) -> None:
    """Refuse a noise of the test that is, under whatever name, the audio of one of training."""
    trained = {
        noise.origin: noise.name for split in ("train", "valid") for noise in pools[split][1]
    }
    problems = [
        Problem(
            0, noise.name, f"is a noise of the test and, as {trained[noise.origin]}, of training"
        )
        for noise in pools["test"][1]
        if noise.origin in trained
    ]
    if problems:
        raise DataError("noise", problems)


def assign(
    scheme: NoiseScheme,
    speech: Sequence[Recording],
    noise: Sequence[Recording],
    artificial: Sequence[Recording] = (),
) -> Pools:
    """Return the recordings that each split may use.

    Where a listing gives recordings a split, training, validation and test keep to theirs;
    validation without noises of its own uses those of training.

    Args:
        scheme: Who and what is in which split.
        speech: Recordings of its speakers, and of others.
        noise: Recordings of its noises, and of others.
        artificial: The artificial noises.

    Raises:
        DataError: If a speaker or a noise of the scheme is not there, or test and training share a
            noise file.
    """
    types = {"train": scheme.train.noises, "test": scheme.test.noises}
    types["valid"] = types["train"]
    _refuse_missing(scheme, speech, noise)
    pools: Pools = {}
    for split in SPLITS:
        mine = [
            recording
            for recording in noise
            if recording.group in types[split] and recording.split in (None, split)
        ]
        if split != "test":
            mine += [recording for recording in artificial if recording.split == split]
        pools[split] = (
            [recording for recording in speech if recording.group in scheme.speakers(split)],
            mine,
        )
        lacking = set(types[split]) - {recording.group for recording in mine}
        if split != "valid" and lacking:
            what = f"has no recording for {split}"
            raise DataError("noise", [Problem(0, name, what) for name in sorted(lacking)])
    pools["valid"] = (pools["valid"][0], pools["valid"][1] or pools["train"][1])
    _refuse_same_audio(pools)
    return pools


def _refuse_missing(
    scheme: NoiseScheme, speech: Sequence[Recording], noise: Sequence[Recording]
) -> None:
    problems = []
    for what, names, recordings in (
        ("speaker", (*scheme.train.speakers, *scheme.test.speakers), speech),
        ("noise", (*scheme.train.noises, *scheme.test.noises), noise),
    ):
        have = sorted({recording.group for recording in recordings})
        lacks = f"no {what} of this name; there are {', '.join(have[:20])}"
        problems += [Problem(0, name, lacks) for name in names if name not in have]
    if problems:
        raise DataError("scheme", problems)


def artificial_recordings(
    scheme: NoiseScheme, folder: Path, *, sample_rate: int, seed: int
) -> list[Recording]:
    """Return the artificial noises of training and validation, each of its own, made or not."""
    seconds = scheme.artificial_seconds
    recordings = []
    for split in ("train", "valid"):
        for noise_type in scheme.artificial:
            name = f"{noise_type}-{split}-{seed}-{sample_rate}-{seconds:g}s.flac"
            path = folder / "artificial" / name
            recordings.append(Recording(path, name, noise_type, split, seconds, 1))
    return recordings


def make_artificial(
    claim: Claim,
    scheme: NoiseScheme,
    speech: Sequence[Recording],
    *,
    sample_rate: int,
    seed: int,
) -> list[Recording]:
    """Write the `artificial_recordings` that are not there yet, and return all of them.

    They are made of speakers that the scheme does not use, if there are six, else of those of
    training.
    """
    used = {*scheme.train.speakers, *scheme.test.speakers}
    others = [recording for recording in speech if recording.group not in used]
    spare = others if len({recording.group for recording in others}) >= TALKERS else []
    voices = spare or [
        recording for recording in speech if recording.group in scheme.speakers("train")
    ]
    recordings = artificial_recordings(scheme, claim.folder, sample_rate=sample_rate, seed=seed)
    for noise in recordings:
        if not noise.path.is_file():
            make = ARTIFICIAL[noise.group]
            # training and validation are made from seeds of their own
            of_split = 2 * seed + (noise.split == "valid")
            signal = make(voices, sample_rate, noise.seconds, of_split)
            signal = signal / max(1.0, float(np.abs(signal).max()))
            write_audio(noise.path, signal, sample_rate)
    return recordings


def plan_scheme(
    scheme: NoiseScheme, pools: Pools, sample_rate: int, seed: int
) -> dict[str, list[AdditivePlan]]:
    """Return what every mixture of each split is made of: whole utterances in their conditions."""
    plans: dict[str, list[AdditivePlan]] = {}
    for split, (speech, noise) in pools.items():
        ratios = scheme.test.snr_db if split == "test" else scheme.train.snr_db
        kinds = sorted({recording.group for recording in noise})
        conditions = [(kind, snr) for kind in kinds for snr in ratios]
        items, ids = [], short_names(speech)
        for speaker in scheme.speakers(split):
            mine = {recording.name: recording for recording in speech if recording.group == speaker}
            order = rank([f"{a}\t{b}" for a, b in conditions], seed, split, speaker)
            at = 0
            for name in rank(list(mine), seed, split, speaker, "utterances"):
                for turn in range(scheme.repeats.get(split, 1)):
                    kind, ratio = order[at % len(order)].split("\t")
                    files = [recording for recording in noise if recording.group == kind]
                    file = ranked(files, seed, name, turn)[0]
                    mixed = f"{ids[name]}_{turn}" if turn else ids[name]
                    items.append(_plan(mixed, mine[name], file, float(ratio), split, sample_rate))
                    at += 1
        plans[split] = sorted(items, key=lambda plan: plan.id)
    return plans


def _plan(
    name: str, voice: Recording, noise: Recording, ratio: float, split: str, sample_rate: int
) -> AdditivePlan:
    return AdditivePlan(
        name,
        voice.path,
        0,
        length_at(voice.path, sample_rate),
        noise=noise.path,
        snr_db=ratio,
        speaker=voice.group,
        noise_type=noise.group,
        seen=split != "test",
        transcript=voice.transcript,
        gender=voice.gender,
    )
