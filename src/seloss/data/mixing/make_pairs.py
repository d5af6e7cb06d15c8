"""Noisy and clean files with a manifest for each split: made in parallel, resumed after a kill."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from seloss.data.corpus.recording import Recording
from seloss.data.formats.audio import Signal, read_audio, read_header, write_audio
from seloss.data.formats.manifest import write_manifest
from seloss.data.formats.mixture import DataError, Mixture, Problem
from seloss.data.formats.preparation import Claim, digest, progress_bar, read_item, write_item
from seloss.program import mark_resumable

from .additive import AdditivePlan, render_additive, snr_db

__all__ = ["convert_pairs", "describe_plans", "mix_pairs", "pair_settings", "place_recordings"]

_FULL_SCALE = 32768.0
_PEAK = 0.99
Planned = TypeVar("Planned", AdditivePlan, Mixture)


def describe_plans(plans: Mapping[str, Sequence[AdditivePlan]], sample_rate: int) -> str:
    """Return what would be mixed: speakers, noises, ratios, hours and megabytes of each split."""
    lines = []
    for split, items in plans.items():
        hours = sum(item.n_samples for item in items) / sample_rate / 3600
        size = hours * 3600 * sample_rate * 2 * 3 / 1e6  # three files of two bytes a sample
        speakers = {item.speaker for item in items}
        ratios = sorted({item.snr_db for item in items if item.snr_db is not None})
        lines.append(
            f"{split}: {len(items)} mixtures of {len(speakers)} speakers at "
            f"{', '.join(f'{snr:g}' for snr in ratios)} dB, {hours:.2f} h, {size:.0f} MB"
        )
        for noise_type, count in sorted(Counter(str(item.noise_type) for item in items).items()):
            lines.append(f"  {count:6d} {noise_type}{'' if items[0].seen else ' (unseen)'}")
    return "\n".join(lines)


def pair_settings(
    splits: Mapping[str, Sequence[AdditivePlan | Mixture]], **settings: Any
) -> dict[str, Any]:
    """Return what prepared pairs depend on: settings, and a digest of each split's items.

    The gender of a speaker is left out: it decides nothing about the audio, and a listing may learn
    it later.
    """
    digests = {}
    for split, items in splits.items():
        fields = [{k: v for k, v in asdict(item).items() if k != "gender"} for item in items]
        digests[split] = digest(fields)
    return {**settings, **digests}


def _write(folder: Path, name: str, signals: Mapping[str, Signal], rate: int) -> dict[str, Path]:
    """Write signals, (samples,) each in [-1, 1), as 16-bit files; return their paths."""
    paths = {role: folder / role / f"{name}.wav" for role in signals}
    for role, signal in signals.items():
        write_audio(paths[role], np.rint(signal * _FULL_SCALE).astype(np.int16), rate)
    return paths


def _mix(plan: AdditivePlan, folder: Path, rate: int, seed: int) -> Mixture:
    """Make one mixture; the images are rounded before they are added, so the sum is exact."""
    images = [np.rint(x * _FULL_SCALE) / _FULL_SCALE for x in render_additive(plan, rate, seed)]
    if not (images[0].any() and images[1].any()):
        what = "is too soft for 16 bits: speech or noise would be silent"
        raise DataError(str(plan.speech), [Problem(0, plan.id, what)])
    signals = {"clean": images[0], "noise": images[1], "noisy": images[0] + images[1]}
    paths = _write(folder, plan.id, signals, rate)
    gender = {"gender": plan.gender} if plan.gender else {}
    return Mixture(
        id=plan.id,
        mixture=(paths["noisy"],),
        speech=(paths["clean"],),
        noise=(paths["noise"],),
        length=len(images[0]),
        speaker=plan.speaker,
        transcript=plan.transcript,
        noise_type=plan.noise_type,
        snr_db=plan.snr_db,
        seen=plan.seen,
        extra={"measured_snr_db": round(snr_db(images[0], images[1]), 3), **gender},
    )


def _convert(pair: Mixture, folder: Path, rate: int) -> Mixture:
    """Return the pair as it lies where that will do, else a resampled copy."""
    headers = [read_header(paths[0]) for paths in (pair.mixture, pair.speech)]
    if all(header.sample_rate == rate and header.channels == 1 for header in headers):
        return pair
    noisy, clean = (read_audio(paths[0], rate)[0] for paths in (pair.mixture, pair.speech))
    if not clean.any():
        raise DataError(str(pair.speech[0]), [Problem(0, pair.id, "the clean speech is silent")])
    # one gain for both: the noise stays what is left of the mixture
    gain = min(1.0, _PEAK / max(float(np.abs(signal).max()) for signal in (noisy, clean)))
    paths = _write(folder, pair.id, {"noisy": gain * noisy, "clean": gain * clean}, rate)
    noise = noisy - clean
    measured = {"measured_snr_db": round(snr_db(clean, noise), 3)} if noise.any() else {}
    return replace(
        pair,
        mixture=(paths["noisy"],),
        speech=(paths["clean"],),
        length=len(noisy),
        extra={**pair.extra, **measured},
    )


def _run(
    claim: Claim,
    splits: Mapping[str, Sequence[Planned]],
    make: Callable[[Planned, Path], Mixture],
    jobs: int | None,
    progress: bool | None,
) -> dict[str, Path]:
    """Make what is missing, then write the manifests; return their paths."""
    manifests = {}
    with (
        progress_bar("mixtures", "mix", sum(map(len, splits.values())), progress) as bar,
        ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool,
    ):

        def finish(planned: Planned, folder: Path) -> Mixture:
            path = folder / "items" / f"{planned.id}.json"
            item = read_item(path, folder) or write_item(path, make(planned, folder), folder)
            mark_resumable()
            bar.update()
            return item

        for split, planned in splits.items():
            folder = claim.folder / split
            waiting = [pool.submit(finish, item, folder) for item in planned]
            try:
                items = [task.result() for task in waiting]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            manifests[split] = claim.folder / f"{split}.json"
            write_manifest(manifests[split], items)
    return manifests


def mix_pairs(
    claim: Claim,
    plans: Mapping[str, Sequence[AdditivePlan]],
    *,
    sample_rate: int,
    seed: int,
    jobs: int | None = None,
    progress: bool | None = None,
) -> dict[str, Path]:
    """Mix speech and noise into ``<split>/{noisy,clean,noise}/<id>.wav`` and ``<split>.json``.

    Args:
        claim: The folder, claimed with `pair_settings` of the plans, sampling rate and seed.
        plans: Split -> what its mixtures are made of.
        sample_rate: Of the files, Hz.
        seed: Of the places in the noises.
        jobs: Threads; None: one per core.
        progress: Whether to show a progress bar; by default on a terminal.

    Returns:
        Split -> its manifest.

    Raises:
        DataError: If a recording cannot be used.
    """

    def make(plan: AdditivePlan, folder: Path) -> Mixture:
        return _mix(plan, folder, sample_rate, seed)

    return _run(claim, plans, make, jobs, progress)


def convert_pairs(
    claim: Claim,
    pairs: Mapping[str, Sequence[Mixture]],
    *,
    sample_rate: int,
    jobs: int | None = None,
    progress: bool | None = None,
) -> dict[str, Path]:
    """Write manifests of pairs; those at another rate are resampled into ``<split>/{noisy,clean}``.

    Args:
        claim: The folder, claimed with `pair_settings` of the pairs and the sampling rate.
        pairs: Split -> pairs.
        sample_rate: Requested, Hz.
        jobs: Threads; None: one per core.
        progress: Whether to show a progress bar; by default on a terminal.

    Returns:
        Split -> its manifest.

    Raises:
        DataError: If a file cannot be used.
    """

    def make(pair: Mixture, folder: Path) -> Mixture:
        return _convert(pair, folder, sample_rate)

    return _run(claim, pairs, make, jobs, progress)


def place_recordings(
    claim: Claim, part: str, recordings: Sequence[Recording], *, sample_rate: int
) -> list[Recording]:
    """Return recordings, mono at ``sample_rate``: those that are not are copied, resampled.

    Copies go to ``sources/<part>`` of the claimed folder.
    """
    placed = []
    for recording in recordings:
        header = read_header(recording.path)
        if header.sample_rate == sample_rate and header.channels == 1:
            placed.append(recording)
            continue
        path = claim.folder / "sources" / part / Path(recording.name).with_suffix(".wav")
        if not path.is_file():
            signal = read_audio(recording.path, sample_rate)[0]
            peak = float(np.abs(signal).max())
            write_audio(path, signal * min(1.0, _PEAK / peak), sample_rate)
        placed.append(replace(recording, path=path.absolute()))
    return placed
