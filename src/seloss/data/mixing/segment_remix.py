"""Arrays made of mixtures that exist already, at their first microphone.

Training and validation keep the mixtures as they are; each test mixture's own speech and noise are
added anew at every ratio, so that the test has the published grid of noise class and SNR class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from seloss.data.draw import rank
from seloss.data.formats.array import NOISE_CLASSES
from seloss.data.formats.mixture import DataError, Mixture, Problem

from .additive import AdditivePlan
from .excerpt import length_at
from .segments import (
    ArrayConfig,
    ArrayPlan,
    Segment,
    build_plan,
    choose,
    cut_segments,
    refuse_missing,
)

__all__ = ["plan_from_mixtures"]


def _segments_of_pairs(items: Sequence[Mixture], config: ArrayConfig) -> list[Segment]:
    found = []
    for one in items:
        length = length_at(one.speech[0], config.sample_rate)
        for number, (start, n_samples) in enumerate(cut_segments(length, config)):
            text = one.transcript if n_samples == length else None
            name = f"{one.id}-{number}" if number else one.id
            found.append(
                Segment(name, one.speech[0], start, n_samples, one.speaker, text, pair=one)
            )
    return found


def _as_it_is(segment: Segment, name: str, seen: bool | None) -> AdditivePlan:
    pair = segment.pair
    assert pair is not None
    return AdditivePlan(
        name,
        segment.speech,
        segment.start,
        segment.n_samples,
        mixture=pair.mixture[0],
        speaker=segment.speaker,
        noise_type=pair.noise_type,
        seen=seen,
        transcript=segment.transcript,
    )


def _kept_items(split: str, items: Sequence[Mixture], config: ArrayConfig) -> list[AdditivePlan]:
    segments = _segments_of_pairs(items, config)
    names = rank([one.name for one in segments], config.seed, split)
    by_name = {one.name: one for one in segments}
    wanted = config.n_train if split == "train" else config.n_valid
    return [_as_it_is(by_name[name], f"{split}-{name}", True) for name in names[:wanted]]


def plan_from_mixtures(
    out: Path, mixtures: Mapping[str, Sequence[Mixture]], config: ArrayConfig
) -> list[ArrayPlan]:
    """Return the arrays to make of mixtures that exist, at their first microphone.

    Args:
        out: Folder of the arrays.
        mixtures: Split -> mixtures, of a manifest or of pairs.
        config: How arrays are made.

    Raises:
        DataError: If two splits share a speaker, or the test lacks a class of noise.
    """
    _refuse_shared_speakers(mixtures)
    trained = {one.noise_type for one in mixtures.get("train", ()) if one.noise_type}
    made = [
        build_plan(out, split, _kept_items(split, mixtures[split], config), config)
        for split in ("train", "valid")
        if mixtures.get(split)
    ]
    if not mixtures.get("test"):
        return made
    classes: dict[str, list[Mixture]] = {name: [] for name in NOISE_CLASSES}
    for one in mixtures["test"]:
        seen = one.seen if one.seen is not None else one.noise_type in trained
        classes["seen" if seen else "unseen"].append(one)
    refuse_missing([name for name in config.noise_classes if not classes[name]], "mixture")
    cells = {
        name: choose(_segments_of_pairs(classes[name], config), config)
        for name in config.noise_classes
    }
    count = min(len(found) for found in cells.values())
    items = [
        _again(one, f"{name}@{snr:g}-{one.name}", snr, name == "seen")
        for name, found in cells.items()
        for snr in config.snr_db
        for one in found[:count]
    ]
    return [*made, build_plan(out, "test", items, config)]


def _again(segment: Segment, name: str, snr_db: float, seen: bool) -> AdditivePlan:
    """Return a plan that adds a mixture's own speech and noise at another ratio."""
    pair = segment.pair
    assert pair is not None
    plan = replace(_as_it_is(segment, name, seen), aligned=True, snr_db=snr_db)
    return replace(plan, mixture=None, noise=pair.noise[0]) if pair.noise else plan


def _refuse_shared_speakers(mixtures: Mapping[str, Sequence[Mixture]]) -> None:
    where: dict[str, set[str]] = {}
    for split, items in mixtures.items():
        for one in items:
            if one.speaker is not None:
                where.setdefault(one.speaker, set()).add(split)
    shared = [
        Problem(0, name, f"speaker is in {' and '.join(sorted(splits))}")
        for name, splits in sorted(where.items())
        if len(splits) > 1
    ]
    if shared:
        raise DataError("speech", shared)
