"""Work in processes: a function over many items, none of which can harm another's result."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from seloss.program import load_plugin, loaded_plugins

__all__ = ["Outcome", "prepare_workers", "run_each"]

I = TypeVar("I")  # noqa: E741 - an item
R = TypeVar("R")

# The longest folder for temporary files in which the fork server's socket can have its name: an
# address of 107 bytes (sun_path in unix(7)) less `/pymp-xxxxxxxx/listener-xxxxxxxx`.
LONGEST_FOLDER = 107 - 32
# Items handed out per worker at a time: enough that none waits, few enough that a crash has few
# suspects.
IN_FLIGHT = 2
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Outcome(Generic[I, R]):
    """Outcome of an item: its result, or its error."""

    item: I
    result: R | None
    error: str


_method = "spawn"


def prepare_workers(*modules: str) -> None:
    """Have a process import modules that the workers need, while this one imports its own.

    Workers are then copies of it, and start at once; it runs nothing else, so that the copies are
    safe. To be called before anything heavy is imported. Where a system has no such server
    (Windows), or its socket has no place (a long TMPDIR), each worker imports for itself.
    """
    global _method
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER:
        return
    _method = "forkserver"
    multiprocessing.get_context(_method).set_forkserver_preload(list(modules))
    with _single_threaded(), _interrupts_ignored():
        multiprocessing.forkserver.ensure_running()


def run_each(
    work: Callable[[I], R], items: Sequence[I], *, jobs: int, isolated: bool = False
) -> Iterator[Outcome[I, R]]:
    """Yield the outcome of `work(item)` for every item, in the order in which they end.

    An exception becomes that item's error. So does the death of a worker process (a crash inside a
    C library): the items that were with it are run again, each in a process of its own, to find the
    one that kills.

    Args:
        work: a function that a fresh process can import.
        items: picklable.
        jobs: number of processes; 1 runs in this one.
        isolated: let 1 be a process of its own, so that no crash ends this one.

    Raises:
        RuntimeError: no process can be started.
    """
    if jobs <= 1 and not isolated:
        for item in items:
            here: Future[R] = Future()
            try:
                here.set_result(work(item))
            except Exception as error:  # whatever one item raises is its own outcome
                here.set_exception(error)
            yield _outcome(item, here)
        return
    left = list(reversed(items))
    with _single_threaded():
        while left:
            suspects: list[I] = []
            yield from _run_pool(work, left, suspects, min(jobs, len(left)))
            if suspects:
                _check_start()
            for item in suspects:  # each in a process of its own
                with _pool(1) as pool:
                    outcome = _outcome(item, pool.submit(work, item))
                yield outcome


def _run_pool(
    work: Callable[[I], R], left: list[I], suspects: list[I], jobs: int
) -> Iterator[Outcome[I, R]]:
    """Take items from `left`; if the pool breaks, those in flight go to `suspects`."""
    pending: dict[Future[R], I] = {}
    pool = _pool(jobs)
    try:
        while left or pending:
            while left and len(pending) < IN_FLIGHT * jobs:
                item = left.pop()
                with _interrupts_ignored():  # a worker's start inherits it
                    pending[pool.submit(work, item)] = item
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                item = pending.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    suspects.append(item)
                else:
                    yield _outcome(item, future)
            if suspects:
                break
    except BrokenProcessPool:  # noticed while an item was handed over
        suspects.append(item)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    for future, item in pending.items():
        if future.cancelled() or isinstance(future.exception(), BrokenProcessPool):
            suspects.append(item)
        else:
            yield _outcome(item, future)


def _check_start() -> None:
    """Start a process that does nothing: one that cannot start looks like one that was killed.

    Raises:
        RuntimeError: it died.
    """
    try:
        with _pool(1) as pool:
            pool.submit(os.getpid).result()
    except BrokenProcessPool:
        raise RuntimeError(
            "worker processes cannot be started. A script that starts some must do so under "
            "`if __name__ == '__main__':`, since each of them imports it; jobs=0 starts none"
        ) from None


def _outcome(item: I, future: Future[R]) -> Outcome[I, R]:
    error = future.exception()
    if error is None:
        return Outcome(item, future.result(), "")
    if isinstance(error, BrokenProcessPool):
        return Outcome(item, None, "the process that worked on it died")
    return Outcome(item, None, f"{type(error).__name__}: {error}")


def _pool(jobs: int) -> ProcessPoolExecutor:
    # Not fork: the parent may hold threads and a GPU, which a fork does not survive.
    context = multiprocessing.get_context(_method)
    return ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_start_worker, initargs=loaded_plugins()
    )


def _start_worker(*plugins: str) -> None:
    """Set up a worker: one thread, the memory it frees kept, and gone when the parent is."""
    import torch  # here, so that workers can be prepared before it is imported

    from asteroid.utils.allocator import keep_freed_memory

    for file in plugins:
        load_plugin(file)
    torch.set_num_threads(1)
    keep_freed_memory()  # the next item needs as much again
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C, so that processes started inside always do: their parent ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Let processes started inside use one thread each: the processes fill the cores."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
