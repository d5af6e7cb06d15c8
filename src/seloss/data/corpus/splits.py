"""Train, valid and test parts of a corpus that share no speaker, room or noise recording."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from seloss.data.draw import rank
from seloss.data.formats.mixture import DataError, Problem

from .recording import Recording

__all__ = ["SPLITS", "Pools", "refuse_shared", "split_noise", "split_rooms", "split_speech"]

SPLITS = ("train", "valid", "test")
#: Part of the speakers, or of a noise type's recordings, that valid and test get each.
HELD_OUT = 0.1
#: Part of the noise types that only the test has.
UNSEEN = 0.2

_SHOWN = 5

_LOG = logging.getLogger(__name__)
Pools = dict[str, list[Recording]]


def _pools(recordings: Sequence[Recording], splits: Mapping[str, str], by: str) -> Pools:
    """Return the recordings of each split; those without one get that of their group or name."""
    placed = [
        recording if recording.split else replace(recording, split=splits[getattr(recording, by)])
        for recording in recordings
    ]
    return {
        split: [recording for recording in placed if recording.split == split] for split in SPLITS
    }


def _share(names: Sequence[str], part: float) -> int:
    return max(1, math.ceil(part * len(names)))


def _places(groups: set[str], *key: object) -> dict[str, str]:
    """Return group -> split: the first of a ranking are test, the next valid, the rest train."""
    order = rank(groups, *key)
    held = _share(order, HELD_OUT)
    return {
        name: "test" if at < held else "valid" if at < 2 * held else "train"
        for at, name in enumerate(order)
    }


def refuse_shared(source: str, what: str, names: Mapping[str, Collection[str | None]]) -> None:
    """Refuse a name, of a speaker or a recording, that two splits have.

    Args:
        source: What the names come from, for the message.
        what: What the names are.
        names: Split -> names; None is no name.

    Raises:
        DataError: Names the first ten.
    """
    splits: dict[str, set[str]] = {}
    for split, mine in names.items():
        for name in mine:
            if name is not None:
                splits.setdefault(name, set()).add(split)
    shared = [
        Problem(0, name, f"{what} is in {' and '.join(sorted(where))}")
        for name, where in sorted(splits.items())
        if len(where) > 1
    ]
    if shared:
        raise DataError(source, shared)


def _voices(recordings: Sequence[Recording]) -> dict[str, str]:
    """Return speaker -> the first of the speakers that have audio in common: one voice."""
    speakers: dict[str, set[str]] = {}
    for recording in recordings:
        speakers.setdefault(recording.origin, set()).add(recording.group)
    voices = {recording.group: recording.group for recording in recordings}
    for together in speakers.values():
        names = {voices[speaker] for speaker in together}
        if len(names) > 1:
            voices = {s: min(names) if voice in names else voice for s, voice in voices.items()}
    return voices


def _warn_of_texts(pools: Pools) -> None:
    """Say how many texts are spoken in two splits; corpora of given sentences have such."""
    splits: dict[str, set[str]] = {}
    for split, pool in pools.items():
        for one in pool:
            words = " ".join(re.findall(r"[^\W_]+", (one.transcript or "").casefold()))
            if words:
                splits.setdefault(words, set()).add(split)
    shared = sorted(text for text, where in splits.items() if len(where) > 1)
    if shared:
        message = "speech: %d of %d texts are spoken in two splits (a network may learn them): %s"
        shown = "; ".join(shared[:_SHOWN])
        _LOG.warning(message, len(shared), len(splits), shown)


def split_speech(
    recordings: Sequence[Recording], seed: int, *, allow_shared: bool = False
) -> Pools:
    """Return the recordings of each split; no speaker is in two.

    A split given by a listing or folder is kept. Of the speakers without one, a tenth, at least
    one, goes to test and to valid, by a ranking that depends on the seed and the names alone; those
    that have audio in common go together. A warning says how many texts two splits have.

    Args:
        recordings: The utterances.
        seed: Of the order in which speakers without a split are dealt out.
        allow_shared: Whether given splits may share audio under two names; a warning says so then.

    Raises:
        DataError: If a given split shares a speaker, or audio under another name, with another, or
            there are fewer than three speakers to split.
    """
    free = _voices([recording for recording in recordings if recording.split is None])
    voices = set(free.values())
    if free and len(voices) < len(SPLITS):
        what = f"needs at least 3 speakers to split; found {len(voices)}: {', '.join(sorted(free))}"
        raise DataError("speech", [Problem(0, "speaker", what)])
    places = _places(voices, seed, "speakers")
    pools = _pools(recordings, {name: places[voice] for name, voice in free.items()}, "group")
    speakers = {split: {recording.group for recording in pool} for split, pool in pools.items()}
    refuse_shared("speech", "speaker", speakers)
    _refuse_shared_origins("speech", pools, allow_shared)
    _warn_of_texts(pools)
    return pools


def _noise_places(free: Sequence[Recording], seed: int) -> dict[str, str]:
    """Return origin -> split: unseen types as a whole, of the others single recordings."""
    types = rank({recording.group for recording in free}, seed, "noise types")
    unseen = set(types[: _share(types, UNSEEN)]) if len(types) > 1 else set()
    places: dict[str, str] = {}
    for noise_type in types:
        mine = [recording.origin for recording in free if recording.group == noise_type]
        origins = rank(mine, seed, "noises", noise_type)
        held = _share(origins, HELD_OUT) if len(origins) >= len(SPLITS) else 0
        for at, origin in enumerate(origins):
            split = "test" if at < held else "valid" if at < 2 * held else "train"
            # a recording that two types have goes where its first type put it
            places.setdefault(origin, "test" if noise_type in unseen else split)
    if "valid" not in places.values():
        left = [noise_type for noise_type in types if noise_type not in unseen]
        if len(left) > 1:
            places |= {
                recording.origin: "valid" for recording in free if recording.group == left[-1]
            }
    return places


def split_noise(recordings: Sequence[Recording], seed: int, *, allow_shared: bool = False) -> Pools:
    """Return the recordings of each split; some noise types are in test alone.

    A split given by a listing or folder is kept. Of the noise types without one, a fifth, at least
    one, goes to test as a whole; of the others' recordings a tenth each to test and valid where a
    type has three or more. If no type has, one type goes to valid as a whole. The files of one
    recording (its channels, its copies) go together.

    Args:
        recordings: The noises.
        seed: Of the order in which types and recordings without a split are dealt out.
        allow_shared: Whether given splits may share a recording; a warning says so then.

    Raises:
        DataError: If given splits share a recording.
    """
    free = [recording for recording in recordings if recording.split is None]
    pools = _pools(recordings, _noise_places(free, seed), "origin")
    _refuse_shared_origins("noise", pools, allow_shared)
    return pools


def split_rooms(
    recordings: Sequence[Recording],
    seed: int,
    splits: Sequence[str] = SPLITS,
    *,
    allow_shared: bool = False,
) -> Pools:
    """Return the room responses of each split; no room is in two.

    A room with a single response is left out: talker and noise each need one. A split given by a
    listing or folder is kept.

    Args:
        recordings: The responses.
        seed: Of the order in which rooms without a split are assigned.
        splits: Those that need a room.
        allow_shared: Whether given splits may share a response under two names; a warning says so
            then.

    Raises:
        DataError: If there are fewer rooms than splits that need one, or given splits share a room.
    """
    counts = Counter((recording.group, recording.channels) for recording in recordings)
    recordings = [
        recording for recording in recordings if counts[recording.group, recording.channels] > 1
    ]
    free = {recording.group for recording in recordings if recording.split is None}
    if len(free) >= len(SPLITS) or not free:
        places = _places(free, seed, "rooms")
    elif len(free) < len(splits):
        rooms = ", ".join(sorted(free))
        what = (
            f"needs a room for each of {', '.join(splits)}, with two responses or more; found "
            f"{len(free)}: {rooms}. A room is a sub-folder, or what the names of its files begin "
            "with (hall_1.wav, hall_2.wav), or the column 'room' of a listing rir.csv"
        )
        raise DataError("rir", [Problem(0, "room", what)])
    else:
        places = dict(zip(rank(free, seed, "rooms"), (*splits, *SPLITS), strict=False))
    pools = _pools(recordings, places, "group")
    refuse_shared(
        "rir", "room", {s: {recording.group for recording in pool} for s, pool in pools.items()}
    )
    _refuse_shared_origins("rir", pools, allow_shared)
    return pools


def _refuse_shared_origins(source: str, pools: Pools, allow: bool) -> None:
    origins = {split: {one.origin for one in pool} for split, pool in pools.items()}
    try:
        refuse_shared(source, "recording (or the same audio under another name)", origins)
    except DataError as error:
        if not allow:
            hint = "move the copies into one split, or allow them (--allow_shared)"
            raise DataError(source, [*error.problems, Problem(0, "all of these", hint)]) from None
        _LOG.warning("allowed (--allow_shared): %s", error)
