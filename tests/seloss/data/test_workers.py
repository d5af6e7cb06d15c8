"""Data workers: batches arrive where memory cannot be shared, and a dead worker ends the run."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import resource
import signal
import tempfile
from pathlib import Path

import pytest
import torch

from seloss.data.formats.batch import Item, collate
from seloss.data.formats.mixture import DataError, Problem
from seloss.data.load.loader import build_loader
from seloss.data.load.workers import worker_failure

N_ITEMS, N_SAMPLES = 6, 50_000


class Numbers:
    """Items that hold their own number; in a worker, something happens before each is read."""

    def __init__(self, happens=lambda: None) -> None:
        self.happens = happens

    def __len__(self) -> int:
        return N_ITEMS

    def __getitem__(self, key: tuple[int, int]) -> Item:
        self.happens()
        sources = torch.full((2, N_SAMPLES), float(key[1]))
        return Item(sources.sum(0, keepdim=True), sources, str(key[1]))


class Unsendable(Numbers):
    @staticmethod
    def collate(items):
        return [*collate(items), lambda: "no function can be pickled"]


def load(dataset: Numbers) -> list[float]:
    loader = build_loader(dataset, 2, shuffle=False, num_workers=1)
    batches = [batch for _ in range(2) for batch in loader]
    for batch in batches:
        batch.mixture.add_(1)  # what arrives may be written to
    return [float(value) for batch in batches for value in batch.sources[:, 0, -1]]


def limit_memory() -> None:
    """Let the system refuse to share more than 100 kB, as a full ``/dev/shm`` does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


@pytest.mark.parametrize("cause", ["long TMPDIR", "small /dev/shm"])
def test_batches_arrive_where_memory_cannot_be_shared(tmp_path, monkeypatch, capfd, cause):
    happens = limit_memory if cause == "small /dev/shm" else lambda: None
    if cause == "long TMPDIR":
        folder = tmp_path / ("x" * 80)
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        monkeypatch.delitem(multiprocessing.current_process()._config, "tempdir", raising=False)
    logger = logging.getLogger("seloss.data.load.workers")
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler()])  # as a program's
    before = set(Path("/dev/shm").glob("torch_*"))
    assert load(Numbers(happens)) == 2 * list(map(float, range(N_ITEMS)))
    left = {path for path in Path("/dev/shm").glob("torch_*") if path.stat().st_size == 0}
    assert left <= before  # attempts leave no files
    reason = "TMPDIR is longer than 75 bytes" if cause == "long TMPDIR" else "File too large"
    errors = capfd.readouterr().err
    assert errors.count(reason) == 1, errors  # said once, not for every batch


def fall_over() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise DataError("train.json", [Problem(3, "a", "a.wav is cut")])


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Numbers(fall_over), r"a process that reads data ended: .*(killed|exited).*--num_workers"),
        (Unsendable(), r"a process that reads data ended: .* exited unexpectedly"),
        (Numbers(refuse), r"^train\.json: 1 problem\(s\)\n  line 3, item 'a': a\.wav is cut$"),
    ],
    ids=["killed", "batch that cannot be sent", "damaged data"],
)
def test_a_worker_that_fails_ends_the_run_with_its_reason(dataset, message, capfd):
    with pytest.raises((RuntimeError, ValueError)) as caught:
        load(dataset)
    reason = worker_failure(caught.value)
    assert reason is not None
    assert re.search(message, reason), reason
    sent = "a data worker cannot send its batch: " in capfd.readouterr().err
    assert sent == isinstance(dataset, Unsendable)


def test_another_error_is_not_a_workers():
    assert worker_failure(RuntimeError("CUDA out of memory")) is None
