"""Arrays of segments planned from recordings or from existing mixtures, before audio is read.

From clean speech and noise: in training and validation every segment of speech has every training
ratio, each time with a noise drawn for it; the test has the same segments in every cell of noise
class (seen, unseen in training) and SNR class.

From mixtures, at their first microphone: training and validation keep them as they are; the speech
and noise of each test mixture are added again at every ratio, so that the test has the same grid.

Source: the arrays of "DCCRN with various loss functions" (3-second segments at 16 kHz, seven SNR
classes from -10 to 20 dB).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from seloss.data.corpus.listing import short_names
from seloss.data.corpus.recording import Recording
from seloss.data.corpus.splits import SPLITS, refuse_shared, split_noise, split_speech
from seloss.data.draw import generator, rank
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

__all__ = ["plan_from_mixtures", "plan_from_recordings"]


def _cut(whole: Segment, config: ArrayConfig) -> Iterator[Segment]:
    """Yield the segments of a recording; only one that holds all of it keeps the transcript."""
    for number, (start, n_samples) in enumerate(cut_segments(whole.n_samples, config)):
        text = whole.transcript if n_samples == whole.n_samples else None
        name = f"{whole.name}-{number}" if number else whole.name
        yield replace(whole, name=name, start=start, n_samples=n_samples, transcript=text)


def _segments_of(pool: Sequence[Recording], config: ArrayConfig) -> list[Segment]:
    ids = short_names(pool)
    wholes = [
        Segment(
            ids[recording.name],
            recording.path,
            0,
            # the addend undoes a rounding of seconds just below a whole number of samples
            int(recording.seconds * config.sample_rate + 1e-6),
            recording.group,
            recording.transcript,
        )
        for recording in pool
    ]
    return [segment for whole in wholes for segment in _cut(whole, config)]


def _segments_of_pairs(items: Sequence[Mixture], config: ArrayConfig) -> list[Segment]:
    wholes = [
        Segment(
            item.id,
            item.speech[0],
            0,
            length_at(item.speech[0], config.sample_rate),
            item.speaker,
            item.transcript,
            pair=item,
        )
        for item in items
    ]
    return [segment for whole in wholes for segment in _cut(whole, config)]


def _pick(pool: Sequence[Recording], *key: object) -> Recording:
    """Draw a noise: its type first, so that a type with many recordings is not more frequent."""
    draw = generator(*key, "which noise")
    types = sorted({recording.group for recording in pool})
    noise_type = types[int(draw.integers(len(types)))]
    files = sorted((file for file in pool if file.group == noise_type), key=lambda file: file.name)
    return files[int(draw.integers(len(files)))]


def _in_noise(
    segment: Segment,
    name: str,
    snr_db: float,
    pool: Sequence[Recording],
    trained: set[str],
    seed: int,
) -> AdditivePlan:
    noise = _pick(pool, seed, name)
    return AdditivePlan(
        name,
        segment.speech,
        segment.start,
        segment.n_samples,
        noise=noise.path,
        snr_db=snr_db,
        speaker=segment.speaker,
        noise_type=noise.group,
        seen=noise.group in trained,
        transcript=segment.transcript,
    )


def _training_items(
    split: str,
    segments: Sequence[Segment],
    pool: Sequence[Recording],
    trained: set[str],
    config: ArrayConfig,
) -> list[AdditivePlan]:
    """Return segments x ratios, or as many as requested, in an order that the seed decides."""
    cells = {
        f"{segment.name}@{snr:g}": (segment, snr)
        for segment in segments
        for snr in config.train_snr_db
    }
    requested = config.n_train if split == "train" else config.n_valid
    order = rank(list(cells), config.seed, split)
    items = []
    for index in range(len(order) if requested is None else requested):
        cell, turn = order[index % len(order)], index // len(order)
        name = f"{split}-{cell}" + (f"-{turn}" if turn else "")
        items.append(_in_noise(cells[cell][0], name, cells[cell][1], pool, trained, config.seed))
    return items


def plan_from_recordings(
    out: Path,
    speech: Sequence[Recording],
    noise: Sequence[Recording],
    config: ArrayConfig,
    *,
    allow_shared: bool = False,
) -> list[ArrayPlan]:
    """Return the three arrays to make of clean speech and noise; no speaker is in two of them.

    Args:
        out: Folder of the arrays.
        speech: Utterances.
        noise: Noises.
        config: How they are made.
        allow_shared: Whether given splits may share audio under two names.

    Raises:
        DataError: If a split has no speech or noise, or the test lacks a class of noise.
    """
    voices = split_speech(speech, config.seed, allow_shared=allow_shared)
    sounds = split_noise(noise, config.seed, allow_shared=allow_shared)
    for part, pools in (("speech", voices), ("noise", sounds)):
        empty = [
            Problem(0, split, f"no {part} is left for it") for split in SPLITS if not pools[split]
        ]
        if empty:
            raise DataError(part, empty)
    trained = {recording.group for recording in sounds["train"]}
    pools = {
        name: [
            recording
            for recording in sounds["test"]
            if (recording.group in trained) == (name == "seen")
        ]
        for name in config.noise_classes
    }
    refuse_missing([name for name, pool in pools.items() if not pool], "noise")
    plans = []
    for split in ("train", "valid"):
        segments = _segments_of(voices[split], config)
        items = _training_items(split, segments, sounds[split], trained, config)
        plans.append(build_plan(out, split, items, config))
    segments = choose(_segments_of(voices["test"], config), config)
    items = [
        _in_noise(segment, f"{name}@{snr:g}-{segment.name}", snr, pool, trained, config.seed)
        for name, pool in pools.items()
        for snr in config.snr_db
        for segment in segments
    ]
    return [*plans, build_plan(out, "test", items, config)]


def _kept(segment: Segment, name: str, seen: bool | None) -> AdditivePlan:
    """Return the plan of a mixture's segment as it is."""
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


def _remixed(segment: Segment, name: str, snr_db: float, seen: bool) -> AdditivePlan:
    """Return a plan that adds a mixture's own speech and noise at another ratio."""
    plan = replace(_kept(segment, name, seen), aligned=True, snr_db=snr_db)
    noise = segment.pair.noise if segment.pair else ()
    return replace(plan, mixture=None, noise=noise[0]) if noise else plan


def _kept_items(split: str, items: Sequence[Mixture], config: ArrayConfig) -> list[AdditivePlan]:
    segments = {segment.name: segment for segment in _segments_of_pairs(items, config)}
    names = rank(list(segments), config.seed, split)
    requested = config.n_train if split == "train" else config.n_valid
    return [_kept(segments[name], f"{split}-{name}", True) for name in names[:requested]]


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
    speakers = {split: {item.speaker for item in items} for split, items in mixtures.items()}
    refuse_shared("speech", "speaker", speakers)
    trained = {item.noise_type for item in mixtures.get("train", ()) if item.noise_type}
    plans = [
        build_plan(out, split, _kept_items(split, mixtures[split], config), config)
        for split in ("train", "valid")
        if mixtures.get(split)
    ]
    if not mixtures.get("test"):
        return plans
    classes: dict[str, list[Mixture]] = {name: [] for name in NOISE_CLASSES}
    for item in mixtures["test"]:
        seen = item.seen if item.seen is not None else item.noise_type in trained
        classes["seen" if seen else "unseen"].append(item)
    refuse_missing([name for name in config.noise_classes if not classes[name]], "mixture")
    cells = {
        name: choose(_segments_of_pairs(classes[name], config), config)
        for name in config.noise_classes
    }
    # every cell of the array has as many items as the smaller of the two classes
    count = min(len(segments) for segments in cells.values())
    items = [
        _remixed(segment, f"{name}@{snr:g}-{segment.name}", snr, name == "seen")
        for name, segments in cells.items()
        for snr in config.snr_db
        for segment in segments[:count]
    ]
    return [*plans, build_plan(out, "test", items, config)]
