"""Noisy and clean files with a manifest for each split: made in parallel, resumed after a kill."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from tqdm.auto import tqdm

from asteroid.utils.files import atomic_path, write_text
from seloss.data.corpus.listing import Recording
from seloss.data.formats.audio import Signal, read_audio, write_audio
from seloss.data.formats.manifest import write_manifest
from seloss.data.formats.mixture import (
    DataError,
    Mixture,
    Problem,
    mixture_from_json,
    mixture_to_json,
)
from seloss.program import mark_resumable

from .additive import AdditivePlan, render_additive, snr_db
from .make_mixtures import claim_folder

__all__ = ["convert_pairs", "describe_plans", "mix_pairs", "place_recordings"]

_FULL_SCALE = 32768.0
_PEAK = 0.99
Make = Callable[[], Mixture]


def describe_plans(plans: Mapping[str, Sequence[AdditivePlan]], sample_rate: int) -> str:
    """Return what would be mixed: speakers, noises, ratios, hours and megabytes of each split."""
    lines = []
    for split, items in plans.items():
        hours = sum(one.n_samples for one in items) / sample_rate / 3600
        size = hours * 3600 * sample_rate * 2 * 3 / 1e6
        speakers = {one.speaker for one in items}
        ratios = sorted({one.snr_db for one in items if one.snr_db is not None})
        lines.append(
            f"{split}: {len(items)} mixtures of {len(speakers)} speakers at "
            f"{', '.join(f'{snr:g}' for snr in ratios)} dB, {hours:.2f} h, {size:.0f} MB"
        )
        for kind, count in sorted(Counter(str(one.noise_type) for one in items).items()):
            lines.append(f"  {count:6d} {kind}{'' if items[0].seen else ' (unseen)'}")
    return "\n".join(lines)


def _fingerprint(told: Sequence[Any]) -> dict[str, str]:
    text = json.dumps(told, default=str)
    return {"made_of": hashlib.sha256(text.encode()).hexdigest()[:32]}


def _sound(plan: AdditivePlan) -> dict[str, Any]:
    """Return what decides how a mixture sounds."""
    return {key: value for key, value in asdict(plan).items() if key != "gender"}


def _write(folder: Path, name: str, signals: Mapping[str, Signal], rate: int) -> dict[str, Path]:
    """Write signals, (samples,) each in [-1, 1), as 16-bit files; return their paths."""
    paths = {role: folder / role / f"{name}.wav" for role in signals}
    for role, signal in signals.items():
        with atomic_path(paths[role]) as temporary:
            sf.write(temporary, np.rint(signal * _FULL_SCALE).astype(np.int16), rate)
    return paths


def _finish(folder: Path, item: Mixture) -> Mixture:
    """Note that an item is whole."""
    path = folder / "items" / f"{item.id}.json"
    write_text(path, json.dumps(mixture_to_json(item, folder)) + "\n")
    return item


def _known(folder: Path, name: str) -> Mixture | None:
    try:
        text = (folder / "items" / f"{name}.json").read_text(encoding="utf-8")
        return mixture_from_json(json.loads(text), folder.absolute())
    except (OSError, ValueError):
        return None


def _mix(plan: AdditivePlan, folder: Path, rate: int, seed: int) -> Mixture:
    """Make one mixture; the images are rounded before they are added, so the sum is exact."""
    images = [np.rint(x * _FULL_SCALE) / _FULL_SCALE for x in render_additive(plan, rate, seed)]
    if not (images[0].any() and images[1].any()):
        what = "is too soft for 16 bits: speech or noise would be silent"
        raise DataError(str(plan.speech), [Problem(0, plan.id, what)])
    signals = {"clean": images[0], "noise": images[1], "noisy": images[0] + images[1]}
    paths = _write(folder, plan.id, signals, rate)
    known = {"gender": plan.gender} if plan.gender else {}
    return _finish(
        folder,
        Mixture(
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
            extra={"measured_snr_db": round(snr_db(images[0], images[1]), 3), **known},
        ),
    )


def _convert(pair: Mixture, folder: Path, rate: int) -> Mixture:
    """Resample one pair; the noise stays what is left of the mixture."""
    noisy, clean = (read_audio(paths[0], rate)[0] for paths in (pair.mixture, pair.speech))
    peak = max(float(np.abs(one).max()) for one in (noisy, clean))
    if not clean.any():
        raise DataError(str(pair.speech[0]), [Problem(0, pair.id, "the clean speech is silent")])
    gain = min(1.0, _PEAK / peak)
    paths = _write(folder, pair.id, {"noisy": gain * noisy, "clean": gain * clean}, rate)
    noise = noisy - clean
    measured = {"measured_snr_db": round(snr_db(clean, noise), 3)} if noise.any() else {}
    return _finish(
        folder,
        replace(
            pair,
            mixture=(paths["noisy"],),
            speech=(paths["clean"],),
            length=len(noisy),
            extra={**pair.extra, **measured},
        ),
    )


def _run(
    out: Path,
    todo: Mapping[str, Mapping[str, Callable[[Path], Mixture]]],
    jobs: int | None,
    progress: bool | None,
) -> dict[str, Path]:
    """Make what is missing, then write the manifests."""
    total = sum(map(len, todo.values()))
    manifests = {}
    with (
        tqdm(
            total=total,
            desc="mixtures",
            unit="mix",
            disable=None if progress is None else not progress,
        ) as bar,
        ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool,
    ):

        def make(folder: Path, name: str, work: Callable[[Path], Mixture]) -> Mixture:
            made = _known(folder, name) or work(folder)
            mark_resumable()
            bar.update()
            return made

        for split, works in todo.items():
            waiting = [pool.submit(make, out / split, name, work) for name, work in works.items()]
            try:
                items = [one.result() for one in waiting]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            manifests[split] = out / f"{split}.json"
            write_manifest(manifests[split], items)
    return manifests


def mix_pairs(
    out: str | Path,
    plans: Mapping[str, Sequence[AdditivePlan]],
    *,
    sample_rate: int,
    seed: int,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> dict[str, Path]:
    """Mix speech and noise into ``<split>/{noisy,clean,noise}/<id>.wav`` and ``<split>.json``.

    Args:
        out: Folder.
        plans: Split -> what its mixtures are made of.
        sample_rate: Of the files, Hz.
        seed: Of the places in the noises.
        jobs: Threads; None: one per core.
        overwrite: Whether mixtures made otherwise are replaced.
        progress: Whether to show a progress bar; by default on a terminal.

    Returns:
        Split -> its manifest.

    Raises:
        DataError: If a recording cannot be used, or ``out`` holds other mixtures.
    """
    out = Path(out)
    told = [sample_rate, seed, {split: [_sound(one) for one in v] for split, v in plans.items()}]
    claim_folder(out, _fingerprint(told), overwrite)
    todo = {
        split: {
            plan.id: lambda folder, plan=plan: _mix(plan, folder, sample_rate, seed)
            for plan in items
        }
        for split, items in plans.items()
    }
    return _run(out, todo, jobs, progress)


def convert_pairs(
    out: str | Path,
    pairs: Mapping[str, Sequence[Mixture]],
    *,
    sample_rate: int,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> dict[str, Path]:
    """Write manifests of pairs; those at another rate are resampled into ``<split>/{noisy,clean}``.

    Args:
        out: Folder.
        pairs: Split -> pairs.
        sample_rate: Wanted, Hz.
        jobs: Threads; None: one per core.
        overwrite: Whether what was made of other pairs is replaced.
        progress: Whether to show a progress bar; by default on a terminal.

    Returns:
        Split -> its manifest.

    Raises:
        DataError: If a file cannot be used, or ``out`` holds others.
    """
    out = Path(out)
    told = [sample_rate, {split: [asdict(one) for one in v] for split, v in pairs.items()}]
    claim_folder(out, _fingerprint(told), overwrite)
    todo = {
        split: {pair.id: lambda folder, pair=pair: _place(pair, folder, sample_rate) for pair in v}
        for split, v in pairs.items()
    }
    return _run(out, todo, jobs, progress)


def _place(pair: Mixture, folder: Path, sample_rate: int) -> Mixture:
    """Return the pair as it lies where that will do, else a resampled copy."""
    heads = [sf.info(paths[0]) for paths in (pair.mixture, pair.speech)]
    if all(head.samplerate == sample_rate and head.channels == 1 for head in heads):
        return pair
    return _convert(pair, folder, sample_rate)


def place_recordings(
    folder: Path, recordings: Sequence[Recording], *, sample_rate: int
) -> list[Recording]:
    """Return recordings, mono at ``sample_rate``: resampled copies of those that are not."""
    placed = []
    for one in recordings:
        head = sf.info(one.path)
        if head.samplerate == sample_rate and head.channels == 1:
            placed.append(one)
            continue
        path = folder / Path(one.name).with_suffix(".wav")
        if not path.is_file():
            signal = read_audio(one.path, sample_rate)[0]
            peak = float(np.abs(signal).max())
            write_audio(path, signal * min(1.0, _PEAK / peak), sample_rate)
        placed.append(replace(one, path=path.absolute()))
    return placed
