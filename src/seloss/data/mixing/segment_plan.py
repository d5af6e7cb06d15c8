"""Arrays made of clean speech and noise, before any audio is read.

Training and validation: every segment of speech at every training ratio, in a noise drawn for it.
Test: the same segments in every cell of noise class (seen, unseen in training) and SNR class.

Source: the arrays of "DCCRN with various loss functions" (3-second segments at 16 kHz, seven SNR
classes from -10 to 20 dB).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seloss.data.corpus.listing import Recording, short_names
from seloss.data.corpus.splits import SPLITS, split_noise, split_speech
from seloss.data.draw import generator, rank
from seloss.data.formats.mixture import DataError, Problem

from .additive import AdditivePlan
from .segments import (
    ArrayConfig,
    ArrayPlan,
    Segment,
    build_plan,
    choose,
    cut_segments,
    refuse_missing,
)

__all__ = ["plan_from_recordings"]


def _segments_of(pool: Sequence[Recording], config: ArrayConfig) -> list[Segment]:
    found, ids = [], short_names(pool)
    for one in pool:
        stem = ids[one.name]
        length = int(one.seconds * config.sample_rate + 1e-6)
        for number, (start, n_samples) in enumerate(cut_segments(length, config)):
            text = one.transcript if n_samples == length else None
            name = f"{stem}-{number}" if number else stem
            found.append(Segment(name, one.path, start, n_samples, one.group, text))
    return found


def _pick(pool: Sequence[Recording], *key: object) -> Recording:
    """Draw a noise: its type first, so that a type with many recordings is not more frequent."""
    draw = generator(*key, "which noise")
    kinds = sorted({one.group for one in pool})
    kind = kinds[int(draw.integers(len(kinds)))]
    files = sorted((one for one in pool if one.group == kind), key=lambda one: one.name)
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
    """Return segments x ratios, or as many as are asked for, in an order that the seed decides."""
    cells = {f"{one.name}@{snr:g}": (one, snr) for one in segments for snr in config.train_snr_db}
    wanted = config.n_train if split == "train" else config.n_valid
    order = rank(list(cells), config.seed, split)
    made = []
    for index in range(len(order) if wanted is None else wanted):
        cell, turn = order[index % len(order)], index // len(order)
        name = f"{split}-{cell}" + (f"-{turn}" if turn else "")
        made.append(_in_noise(cells[cell][0], name, cells[cell][1], pool, trained, config.seed))
    return made


def plan_from_recordings(
    out: Path, speech: Sequence[Recording], noise: Sequence[Recording], config: ArrayConfig
) -> list[ArrayPlan]:
    """Return the three arrays to make of clean speech and noise; no speaker is in two of them.

    Raises:
        DataError: If a split has no speech or noise, or the test lacks a class of noise.
    """
    voices, sounds = split_speech(speech, config.seed), split_noise(noise, config.seed)
    for part, pools in (("speech", voices), ("noise", sounds)):
        empty = [
            Problem(0, split, f"no {part} is left for it") for split in SPLITS if not pools[split]
        ]
        if empty:
            raise DataError(part, empty)
    trained = {one.group for one in sounds["train"]}
    pools = {
        name: [one for one in sounds["test"] if (one.group in trained) == (name == "seen")]
        for name in config.noise_classes
    }
    refuse_missing([name for name, pool in pools.items() if not pool], "noise")
    made = []
    for split in ("train", "valid"):
        segments = _segments_of(voices[split], config)
        items = _training_items(split, segments, sounds[split], trained, config)
        made.append(build_plan(out, split, items, config))
    segments = choose(_segments_of(voices["test"], config), config)
    items = [
        _in_noise(one, f"{name}@{snr:g}-{one.name}", snr, pool, trained, config.seed)
        for name, pool in pools.items()
        for snr in config.snr_db
        for one in segments
    ]
    return [*made, build_plan(out, "test", items, config)]
