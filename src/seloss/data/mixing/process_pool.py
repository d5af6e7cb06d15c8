"""Work on files in several processes: a failure is named, a killed process costs no result."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from tqdm.auto import tqdm

from asteroid.utils.optional import needed_for
from seloss.data.formats.mixture import DataError, Problem
from seloss.program import mark_resumable

with needed_for("a simulated room"):
    import pyroomacoustics as pra

__all__ = ["run_tasks"]

_LOG = logging.getLogger(__name__)
R = TypeVar("R")


def _start_worker(parent: int) -> None:
    """Keep a worker to one core, of which each has its own, and end it with its parent."""
    pra.constants.set("num_threads", 1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)  # the parent was killed: nobody waits for this, and a resumed run does it

    threading.Thread(target=watch, daemon=True).start()


def _run_pool(
    tasks: Mapping[str, Callable[[], R]],
    folder: Path,
    jobs: int,
    bar: tqdm[Any],
    results: dict[str, R],
) -> None:
    """Run tasks and add what they return to ``results``."""
    with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(os.getpid(),)) as pool:
        names = {pool.submit(task): name for name, task in tasks.items()}
        try:
            for done in as_completed(names):
                name = names[done]
                results[name] = done.result()
                mark_resumable()
                bar.update()
        except (ValueError, OSError) as error:
            pool.shutdown(cancel_futures=True)
            raise DataError(str(folder), [Problem(0, name, str(error))]) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def run_tasks(
    tasks: Mapping[str, Callable[[], R]], folder: Path, jobs: int | None, bar: tqdm[Any]
) -> dict[str, R]:
    """Run tasks; with half as many processes after one of them was killed.

    Args:
        tasks: Name -> function of a module, or a ``partial`` of one.
        folder: Where they write, for messages.
        jobs: Processes; None: one per core.
        bar: Counts those that are done.

    Returns:
        Name -> what the task returned.

    Raises:
        DataError: A task failed, or the only process was killed; names the task.
    """
    if not tasks:
        return {}
    jobs = max(1, min(jobs or os.cpu_count() or 1, len(tasks)))
    results: dict[str, R] = {}
    try:
        _run_pool(tasks, folder, jobs, bar, results)
    except BrokenProcessPool:
        why = "a process was killed, as the system does when memory runs out"
        left = {name: task for name, task in tasks.items() if name not in results}
        if jobs == 1:
            problem = Problem(0, next(iter(left)), f"{why}; there was one process only")
            raise DataError(str(folder), [problem]) from None
        _LOG.warning("%s: going on with %d", why, jobs // 2)
        results |= run_tasks(left, folder, jobs // 2, bar)
    return results
