"""A folder of mixtures with manifests, made in parallel and carried on after a kill."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyroomacoustics as pra
import soundfile as sf
from tqdm.auto import tqdm

from asteroid.utils.files import atomic_path
from seloss.data.corpus.listing import Recording, read_folder
from seloss.data.corpus.splits import SPLITS, split_noise, split_rooms, split_speech
from seloss.data.formats.manifest import write_manifest
from seloss.data.formats.mixture import (
    DataError,
    Mixture,
    Problem,
    mixture_from_json,
    mixture_to_json,
)
from seloss.program import mark_resumable

from .room_mixture import render
from .room_plan import MixingConfig, Plan, draw_plan

__all__ = ["claim_folder", "describe", "make_mixtures", "plan_mixtures", "read_corpora"]

_LOG = logging.getLogger(__name__)
_SETTINGS = "settings.json"
_ITEM = "item.json"
_SPLITTERS = {"speech": split_speech, "noise": split_noise, "rir": split_rooms}


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
    config: MixingConfig, sizes: Mapping[str, int], corpora: Mapping[str, Sequence[Recording]]
) -> tuple[list[Plan], set[str]]:
    """Draw what every mixture is made of; no audio is read.

    Args:
        config: How mixtures are made.
        sizes: Split -> how many mixtures.
        corpora: What `read_corpora` returned.

    Returns:
        The plans, and the noise types that occur in training.

    Raises:
        DataError: If a split that is asked for would be empty or two splits would share a speaker.
    """
    pools = {part: _SPLITTERS[part](found, config.seed) for part, found in corpora.items()}
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
    return plans, {one.group for one in pools["noise"]["train"]}


def _fingerprint(
    config: MixingConfig, corpora: Mapping[str, Sequence[Recording]]
) -> dict[str, Any]:
    """Return what a mixture depends on: settings and, for each corpus, a hash of what it holds."""
    state: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    for part in _SPLITTERS:
        held = [(r.name, r.group, r.split, round(r.seconds, 3)) for r in corpora.get(part, ())]
        state[part] = hashlib.sha256(json.dumps(held).encode()).hexdigest()[:16] if held else None
    return state


def claim_folder(out: Path, state: Mapping[str, Any], overwrite: bool) -> None:
    """Note the settings in the folder; refuse one that holds mixtures of other settings."""
    path = out / _SETTINGS
    if overwrite:
        for split in SPLITS:
            shutil.rmtree(out / split, ignore_errors=True)
        path.unlink(missing_ok=True)
    if path.is_file():
        old = json.loads(path.read_text(encoding="utf-8"))
        changed = [
            f"{key} was {old.get(key)!r}, is {value!r}"
            for key, value in state.items()
            if old.get(key) != value
        ]
        if changed:
            what = (
                f"holds other mixtures ({'; '.join(changed)}); choose another folder or overwrite"
            )
            raise DataError(str(out), [Problem(0, _SETTINGS, what)])
        return
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(state, indent=1), encoding="utf-8")


def _make(plan: Plan, config: MixingConfig, folder: Path, seen: bool) -> None:
    """Make one mixture; its description is written last and says that it is whole."""
    images = render(plan, config)
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[str, list[Path]] = {}
    for role in ("mixture", "speech", "noise"):
        for mic, samples in enumerate(getattr(images, role), start=1):
            path = folder / f"{role}_mic{mic}.wav"
            with atomic_path(path) as temporary:
                sf.write(temporary, samples, config.sample_rate, subtype="PCM_16")
            paths.setdefault(role, []).append(path)
    first = plan.utterances[0]
    grid = folder / "speech.TextGrid" if images.whole and first.textgrid else None
    if grid is not None and first.textgrid is not None:
        with atomic_path(grid) as temporary:
            shutil.copyfile(first.textgrid, temporary)
    facts = dict(images.facts)
    facts |= {"speech_files": [one.name for one in plan.utterances], "noise_file": plan.noise.name}
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
    with atomic_path(folder / _ITEM) as temporary:
        temporary.write_text(json.dumps(mixture_to_json(item, folder)), encoding="utf-8")


def _one_thread() -> None:
    """Keep each process to one core: there are as many processes as cores."""
    pra.constants.set("num_threads", 1)


def _run(
    plans: Sequence[Plan],
    config: MixingConfig,
    out: Path,
    seen: Collection[str],
    jobs: int,
    bar: tqdm[Any],
) -> None:
    with ProcessPoolExecutor(jobs, initializer=_one_thread) as pool:
        tasks = {
            pool.submit(
                _make, plan, config, out / plan.split / plan.id, plan.noise.group in seen
            ): plan
            for plan in plans
        }
        try:
            for task in as_completed(tasks):
                task.result()
                mark_resumable()
                bar.update()
        except (ValueError, OSError) as error:
            pool.shutdown(cancel_futures=True)
            failed = next(
                plan.id for done, plan in tasks.items() if done.done() and done.exception() is error
            )
            raise DataError(str(out), [Problem(0, failed, str(error))]) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _read_items(plans: Iterable[Plan], out: Path) -> list[Mixture]:
    folders = [out / plan.split / plan.id for plan in plans]
    return [
        mixture_from_json(json.loads((f / _ITEM).read_text(encoding="utf-8")), f.absolute())
        for f in folders
    ]


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
        progress: Whether to show a progress bar; by default on a terminal.

    Returns:
        Split -> its manifest.

    Raises:
        DataError: If a split would be empty, a recording cannot be used, or ``out`` holds other
            mixtures.
    """
    out = Path(out)
    plans, seen = plan_mixtures(config, sizes, corpora)
    claim_folder(out, _fingerprint(config, corpora), overwrite)
    left = [plan for plan in plans if not (out / plan.split / plan.id / _ITEM).is_file()]
    quiet = None if progress is None else not progress
    done = len(plans) - len(left)
    with tqdm(total=len(plans), initial=done, desc="mixtures", unit="mix", disable=quiet) as bar:
        if left:
            count = max(1, min(jobs or os.cpu_count() or 1, len(left)))
            _run(left, config, out, seen, count, bar)
    manifests = {split: out / f"{split}.json" for split in SPLITS if sizes.get(split)}
    for split, path in manifests.items():
        write_manifest(path, _read_items([plan for plan in plans if plan.split == split], out))
    return manifests
