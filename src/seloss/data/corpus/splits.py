"""Train, valid and test parts of a corpus that share no speaker and no noise recording."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from seloss.data.draw import rank
from seloss.data.formats.mixture import DataError, Problem

from .listing import Recording

__all__ = ["SPLITS", "Pools", "split_noise", "split_rooms", "split_speech"]

SPLITS = ("train", "valid", "test")
#: Part of the speakers, or of a noise type's recordings, that valid and test get each.
HELD_OUT = 0.1
#: Part of the noise types that only the test has.
UNSEEN = 0.2

Pools = dict[str, list[Recording]]


def _pools(recordings: Sequence[Recording]) -> Pools:
    return {split: [one for one in recordings if one.split == split] for split in SPLITS}


def _assign(recordings: Sequence[Recording], splits: dict[str, str], by: str) -> list[Recording]:
    """Give the recordings without a split that of their group or name."""
    return [
        one if one.split else replace(one, split=splits[getattr(one, by)]) for one in recordings
    ]


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


def split_speech(recordings: Sequence[Recording], seed: int) -> Pools:
    """Return the recordings of each split; no speaker is in two.

    A split given by a listing or folder is kept. Of the speakers without one, a tenth, at least
    one, goes to test and to valid, by a ranking that depends on the seed and the names alone.

    Raises:
        DataError: If a given split shares a speaker with another, or there are fewer than three
            speakers to split.
    """
    free = {one.group for one in recordings if one.split is None}
    if free and len(free) < len(SPLITS):
        what = f"needs at least 3 speakers to split; found {len(free)}: {', '.join(sorted(free))}"
        raise DataError("speech", [Problem(0, "speaker", what)])
    pools = _pools(_assign(recordings, _places(free, seed, "speakers"), "group"))
    places: dict[str, set[str]] = {}
    for split, pool in pools.items():
        for one in pool:
            places.setdefault(one.group, set()).add(split)
    shared = [
        Problem(0, name, f"speaker is in {' and '.join(sorted(found))}")
        for name, found in places.items()
        if len(found) > 1
    ]
    if shared:
        raise DataError("speech", shared)
    return pools


def _noise_places(free: Sequence[Recording], seed: int) -> dict[str, str]:
    """Return recording -> split: unseen types as a whole, of the others single recordings."""
    types = rank({one.group for one in free}, seed, "noise types")
    unseen = set(types[: _share(types, UNSEEN)]) if len(types) > 1 else set()
    where: dict[str, str] = {}
    for kind in types:
        names = rank([one.name for one in free if one.group == kind], seed, "noises", kind)
        held = _share(names, HELD_OUT) if len(names) >= len(SPLITS) else 0
        for at, name in enumerate(names):
            held_out = "test" if at < held else "valid" if at < 2 * held else "train"
            where[name] = "test" if kind in unseen else held_out
    if "valid" not in where.values():
        left = [kind for kind in types if kind not in unseen]
        if len(left) > 1:
            where |= {one.name: "valid" for one in free if one.group == left[-1]}
    return where


def split_noise(recordings: Sequence[Recording], seed: int) -> Pools:
    """Return the recordings of each split; some noise types are in test alone.

    A split given by a listing or folder is kept. Of the noise types without one, a fifth, at least
    one, goes to test as a whole; of the others' recordings a tenth each to test and valid where a
    type has three or more. If no type has, one type goes to valid as a whole.
    """
    free = [one for one in recordings if one.split is None]
    return _pools(_assign(recordings, _noise_places(free, seed), "name"))


def split_rooms(recordings: Sequence[Recording], seed: int) -> Pools:
    """Return the room responses of each split; no room is in two, unless there are too few.

    A room with a single response is left out: talker and noise each need one. A split given by a
    listing or folder is kept. With fewer than three rooms and no splits given,
    all splits share them.
    """
    counts = Counter((one.group, one.channels) for one in recordings)
    recordings = [one for one in recordings if counts[one.group, one.channels] > 1]
    free = {one.group for one in recordings if one.split is None}
    if free and len(free) < len(SPLITS):
        return {split: [r for r in recordings if r.split in (None, split)] for split in SPLITS}
    return _pools(_assign(recordings, _places(free, seed, "rooms"), "group"))
