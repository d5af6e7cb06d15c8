"""Mixtures in rooms with their manifests: made in parallel, resumed after a kill."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from asteroid.utils.files import atomic_path
from seloss.data.corpus.listing import read_folder
from seloss.data.corpus.recording import Recording
from seloss.data.corpus.splits import SPLITS, split_noise, split_rooms, split_speech
from seloss.data.formats.audio import write_audio
from seloss.data.formats.manifest import write_manifest
from seloss.data.formats.mixture import DataError, Mixture, Problem
from seloss.data.formats.preparation import (
    claim_folder,
    digest,
    progress_bar,
    read_item,
    write_item,
)

from .process_pool import run_tasks
from .room_mixture import render
from .room_plan import MixingConfig, Plan, draw_plan

__all__ = ["describe", "make_mixtures", "plan_mixtures", "read_corpora"]

_ITEM = "item.json"
_PARTS = ("speech", "noise", "rir")


def read_corpora(
    speech: str | Path, noise: str | Path, rir: str | Path | None = None
) -> dict[str, list[Recording]]:
    """Return the recordings of each part, from the headers of their files.

    Raises:
        FileNotFoundError: If a folder does not exist.
        DataError: If a folder holds no audio or files that cannot be read.
    """
    folders = {"speech": speech, "noise": noise} | ({} if rir is None else {"rir": rir})
    return {part: read_folder(folder, part) for part, folder in folders.items()}


def plan_mixtures(
    config: MixingConfig,
    sizes: Mapping[str, int],
    corpora: Mapping[str, Sequence[Recording]],
    *,
    allow_shared: bool = False,
) -> tuple[list[Plan], set[str]]:
    """Draw what every mixture is made of; no audio is read.

    Args:
        config: How mixtures are made.
        sizes: Split -> how many mixtures.
        corpora: What `read_corpora` returned.
        allow_shared: Whether given splits may share recordings under two names.

    Returns:
        The plans, and the noise types that occur in training.

    Raises:
        DataError: If a requested split would be empty, or two would share a speaker, a room or a
            recording.
    """
    pools = {
        "speech": split_speech(corpora["speech"], config.seed, allow_shared=allow_shared),
        "noise": split_noise(corpora["noise"], config.seed, allow_shared=allow_shared),
    }
    if "rir" in corpora:
        requested = [split for split in SPLITS if sizes.get(split)]
        pools["rir"] = split_rooms(
            corpora["rir"], config.seed, requested, allow_shared=allow_shared
        )
    for split, size in sizes.items():
        for part, pool in pools.items():
            if size and not pool[split]:
                what = f"no {part} is left for it; give more, or a listing or folders with splits"
                raise DataError(part, [Problem(0, split, what)])
    plans = [
        draw_plan(config, split, index, **{part: pool[split] for part, pool in pools.items()})
        for split in SPLITS
        for index in range(sizes.get(split, 0))
    ]
    return plans, {recording.group for recording in pools["noise"]["train"]}


def _settings(config: MixingConfig, corpora: Mapping[str, Sequence[Recording]]) -> dict[str, Any]:
    """Return what mixtures depend on: the configuration and a digest of each corpus."""
    settings = asdict(config)
    for part in _PARTS:
        held = [(r.name, r.group, r.split, round(r.seconds, 3)) for r in corpora.get(part, ())]
        settings[part] = digest(held) if held else None
    return settings


def _make(plan: Plan, config: MixingConfig, folder: Path, seen: bool) -> Mixture:
    """Make one mixture; its description is written last and says that it is whole."""
    images = render(plan, config)
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[str, list[Path]] = {}
    for role in ("mixture", "speech", "noise"):
        for mic, samples in enumerate(getattr(images, role), start=1):
            path = folder / f"{role}_mic{mic}.wav"
            write_audio(path, samples, config.sample_rate)
            paths.setdefault(role, []).append(path)
    first = plan.utterances[0]
    grid = folder / "speech.TextGrid" if images.whole and first.textgrid else None
    if grid is not None and first.textgrid is not None:
        with atomic_path(grid) as temporary:
            shutil.copyfile(first.textgrid, temporary)
    facts = dict(images.facts)
    facts |= {
        "speech_files": [recording.name for recording in plan.utterances],
        "noise_file": plan.noise.name,
    }
    facts |= {"gender": first.gender} if first.gender else {}
    item = Mixture(
        id=plan.id,
        mixture=tuple(paths["mixture"]),
        speech=tuple(paths["speech"]),
        noise=tuple(paths["noise"]),
        length=images.mixture.shape[1],
        speaker=first.group,
        transcript=first.transcript if images.whole else None,
        textgrid=grid,
        noise_type=plan.noise.group,
        snr_db=facts.pop("snr_db"),
        seen=seen,
        extra=facts,
    )
    return write_item(folder / _ITEM, item, folder)


def describe(plans: Sequence[Plan], seen: Collection[str]) -> str:
    """Return what a set is made of, in a few lines: speakers and noise types of each split."""
    lines = []
    for split in SPLITS:
        mine = [plan for plan in plans if plan.split == split]
        speakers = Counter(plan.utterances[0].group for plan in mine)
        kinds = Counter(plan.noise.group for plan in mine)
        lines.append(f"{split}: {len(mine)} mixtures of {len(speakers)} speakers")
        for kind, count in sorted(kinds.items()):
            lines.append(f"  {count:5d} {kind}{'' if kind in seen else ' (unseen)'}")
    return "\n".join(lines)


def make_mixtures(
    out: str | Path,
    config: MixingConfig,
    sizes: Mapping[str, int],
    corpora: Mapping[str, Sequence[Recording]],
    *,
    jobs: int | None = None,
    overwrite: bool = False,
    allow_shared: bool = False,
    progress: bool | None = None,
) -> dict[str, Path]:
    """Make the mixtures that are not there yet and write train.json, valid.json and test.json.

    Args:
        out: Folder.
        config: How mixtures are made.
        sizes: Split -> how many mixtures.
        corpora: What `read_corpora` returned.
        jobs: Processes; None: one per core.
        overwrite: Whether mixtures made with other settings are replaced.
        allow_shared: Whether given splits may share recordings under two names.
        progress: Whether to show a progress bar; by default on a terminal.

    Returns:
        Split -> its manifest.

    Raises:
        DataError: If a split would be empty, a recording cannot be used, or ``out`` holds other
            mixtures.
    """
    out = Path(out)
    plans, seen = plan_mixtures(config, sizes, corpora, allow_shared=allow_shared)
    manifests = {split: out / f"{split}.json" for split in SPLITS}
    writes = [*SPLITS, *(path.name for path in manifests.values())]
    with claim_folder(out, _settings(config, corpora), writes, overwrite=overwrite):
        folders = {plan: out / plan.split / plan.id for plan in plans}
        finished = {plan: read_item(f / _ITEM, f) for plan, f in folders.items()}
        items = {plan: item for plan, item in finished.items() if item is not None}
        left = {plan: folder for plan, folder in folders.items() if plan not in items}
        with progress_bar("mixtures", "mix", len(plans), progress, len(items)) as bar:
            tasks = {
                plan.id: partial(_make, plan, config, folder, plan.noise.group in seen)
                for plan, folder in left.items()
            }
            made = run_tasks(tasks, out, jobs, bar)
            items |= {plan: made[plan.id] for plan in left}
        manifests = {split: path for split, path in manifests.items() if sizes.get(split)}
        for split, path in manifests.items():
            write_manifest(path, [items[plan] for plan in plans if plan.split == split])
    return manifests
