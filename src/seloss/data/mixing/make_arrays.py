"""Make arrays of noisy and clean segments: in parallel, in little memory, resumed after a kill."""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seloss.data.formats.array import ArrayInfo, read_header, sidecar_of, write_info
from seloss.data.formats.array_writer import ArrayWriter, is_complete
from seloss.data.formats.mixture import DataError, Problem
from seloss.data.formats.preparation import claim_folder, digest, progress_bar

from .additive import AdditivePlan, render_additive, snr_db
from .segments import ArrayConfig, ArrayPlan

__all__ = ["adopt_array", "describe_arrays", "make_arrays"]

_LOG = logging.getLogger(__name__)
#: Items made and written at a time.
_BLOCK = 32
Made = tuple[NDArray[np.float32], dict[str, Any]]


def describe_arrays(plans: Sequence[ArrayPlan]) -> str:
    """Return what would be made, in a few lines: shapes, sizes, speakers, noise types, ratios."""
    lines = []
    for plan in plans:
        size = ArrayWriter(plan.info).size / 1e6
        speakers = {item.speaker for item in plan.items}
        lines.append(
            f"{plan.info.path}: {list(plan.info.shape)}, {size:.1f} MB, "
            f"{len(plan.items)} items, {len(speakers)} speakers"
        )
        ratios = Counter(item.snr_db for item in plan.items)
        shown = ", ".join(f"{snr:g}" for snr in sorted(r for r in ratios if r is not None))
        lines.append(f"  SNR (dB): {shown or 'as the mixtures have it'}")
        kinds = Counter((str(item.noise_type), item.seen) for item in plan.items)
        for (kind, seen), count in sorted(kinds.items(), key=str):
            lines.append(f"  {count:7d} {kind}{' (unseen)' if seen is False else ''}")
    return "\n".join(lines)


def _make(plan: AdditivePlan, config: ArrayConfig) -> Made:
    """Return (2, samples) of one item and what was measured on it."""
    speech, noise = render_additive(plan, config.sample_rate, config.seed)
    if not speech.any():
        raise DataError(str(plan.speech), [Problem(0, plan.id, "the clean speech is silent")])
    pair = np.stack([speech + noise, speech]).astype(np.float32)
    ratio = plan.snr_db
    if ratio is None and noise.any():
        ratio = round(snr_db(speech, noise), 2)
    return pair, {"snr_db": ratio, "length": len(speech)}


def _blocks(items: Sequence[AdditivePlan], config: ArrayConfig, jobs: int) -> Iterator[list[Made]]:
    """Yield made items in order, block by block; only a few blocks are in memory at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        waiting: deque[Future[Made]] = deque()
        rest = iter(items)
        block: list[Made] = []
        try:
            for plan in rest:
                waiting.append(pool.submit(_make, plan, config))
                if len(waiting) >= 2 * _BLOCK:
                    block.append(waiting.popleft().result())
                if len(block) == _BLOCK:
                    yield block
                    block = []
            while waiting:
                block.append(waiting.popleft().result())
                if len(block) == _BLOCK or not waiting:
                    yield block
                    block = []
        finally:
            pool.shutdown(cancel_futures=True)


def make_arrays(
    plans: Sequence[ArrayPlan],
    config: ArrayConfig,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> list[ArrayInfo]:
    """Write the arrays that are not there yet, each with its description.

    Args:
        plans: What `plan_from_recordings` or `plan_from_mixtures` returned: arrays of one folder.
        config: How arrays are made.
        jobs: Threads; None: one per core.
        overwrite: Whether arrays made of other data or with other settings are replaced.
        progress: Whether to show a progress bar; by default on a terminal.

    Raises:
        DataError: If a recording cannot be used, another array is there, or the disk is too small.
    """
    settings = {**asdict(config), "recordings": digest([plan.info.made_of for plan in plans])}
    writers = [ArrayWriter(plan.info) for plan in plans]
    writes = [path.name for writer in writers for path in writer.paths]
    folder = plans[0].info.path.parent
    with claim_folder(folder, settings, writes, overwrite=overwrite):
        return [
            _make_array(writer, plan.items, config, jobs, progress)
            for writer, plan in zip(writers, plans, strict=True)
        ]


def _make_array(
    writer: ArrayWriter,
    items: Sequence[AdditivePlan],
    config: ArrayConfig,
    jobs: int | None,
    progress: bool | None,
) -> ArrayInfo:
    if is_complete(writer.info):
        _LOG.info("%s is there already", writer.info.path)
        return writer.info
    with writer:
        _refuse_small_disk(writer)
        name = writer.info.path.name
        with progress_bar(name, "item", len(items), progress, writer.done) as bar:
            for block in _blocks(items[writer.done :], config, jobs or os.cpu_count() or 1):
                writer.write([pair for pair, _ in block], [facts for _, facts in block])
                bar.update(len(block))
        return writer.finish()


def _refuse_small_disk(writer: ArrayWriter) -> None:
    folder = writer.info.path.parent
    part = writer.done / max(1, len(writer.info.ids))
    needed, free = int(writer.size * (1 - part)), shutil.disk_usage(folder).free
    if needed > free:
        what = f"needs {needed / 1e9:.1f} GB, but {folder} has {free / 1e9:.1f} GB left"
        raise DataError(str(writer.info.path), [Problem(0, "disk", what)])


def adopt_array(
    path: str | Path,
    *,
    sample_rate: int,
    noise_classes: Sequence[str],
    snr_db: Sequence[float],
) -> ArrayInfo:
    """Write the description of an array that came from elsewhere, in the published layout.

    Args:
        path: The array.
        sample_rate: Of its signals, Hz: the file does not say.
        noise_classes: What the first axis of a test array stands for.
        snr_db: What its second axis stands for.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it has another layout, or is described already.
    """
    path = Path(path)
    shape, _ = read_header(path)
    if sidecar_of(path).exists():
        what = f"is described already by {sidecar_of(path).name}"
        raise DataError(str(path), [Problem(0, "array", what)])
    axes: dict[str, Any] = {}
    columns: dict[str, list[Any]] = {}
    if len(shape) == 5:
        axes = {"noise_class": list(noise_classes), "snr_db": list(snr_db)}
        sizes = [len(noise_classes), len(snr_db)]
        if sizes != list(shape[:2]):
            what = f"is {list(shape)}, but {sizes[0]} noise classes and {sizes[1]} SNRs are given"
            raise DataError(str(path), [Problem(0, "array", what)])
        cells = [(kind, snr) for kind in noise_classes for snr in snr_db]
        ids = [f"{kind}@{snr:g}-{at:05d}" for kind, snr in cells for at in range(shape[2])]
        columns["seen"] = [kind == "seen" for kind, _ in cells for _ in range(shape[2])]
        columns["noise_type"] = [kind for kind, _ in cells for _ in range(shape[2])]
        columns["snr_db"] = [snr for _, snr in cells for _ in range(shape[2])]
    else:
        ids = [f"{path.stem}-{at:06d}" for at in range(shape[0])]
    info = ArrayInfo(path, shape, sample_rate, tuple(ids), columns, axes, "elsewhere")
    write_info(info)
    return info
