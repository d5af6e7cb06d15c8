"""Worker processes of a loader: how their batches reach the trainer, and how a failure ends it."""

from __future__ import annotations

import logging
import multiprocessing.queues
import os
import re
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch.multiprocessing.reductions import reduce_tensor

__all__ = ["start_worker", "worker_failure"]

_LOG = logging.getLogger(__name__)
# The address of a socket has at most 107 bytes, of which multiprocessing appends
# "/pymp-xxxxxxxx/listener-xxxxxxxx".
_LONGEST_TMPDIR = 107 - 32
_SHARED = Path("/dev/shm")
Handle = tuple[Callable[..., Any], tuple[Any, ...]]


def start_worker(worker: int) -> None:
    """Prepare a worker process (``worker_init_fn`` of a ``DataLoader``).

    Batches are shared with the trainer through ``/dev/shm``. Where that is too small (64 MB is
    Docker's default), or ``TMPDIR`` too long for the socket by which it is shared, they are sent
    through the worker's pipe instead. A batch that cannot be sent either way ends the worker, and
    thereby the run: PyTorch would wait for it for ever.

    Args:
        worker: Its number, from 0.
    """
    ForkingPickler.register(torch.Tensor, _TensorReducer(speaks=worker == 0))
    queue: Any = multiprocessing.queues.Queue
    queue._on_queue_feeder_error = staticmethod(_end_worker)


def worker_failure(error: BaseException) -> str | None:
    """Return why a worker ended, without its traceback; None if this is no error of a worker."""
    text = str(error).strip()
    if caught := re.match(r"Caught (\w+) in DataLoader worker process", text):
        return re.split(rf"^[\w.]*{caught[1]}: ", text, flags=re.MULTILINE)[-1]
    if not text.startswith("DataLoader worker"):
        return None
    return (
        f"a process that reads data ended: {text.splitlines()[0].rstrip('. ')}. If memory ran out, "
        "use fewer --num_workers or a smaller --batch_size"
    )


class _TensorReducer:
    """Pickle tensors as handles of shared memory; by value once that has failed.

    A failed attempt leaves an empty file in ``/dev/shm``, which is removed.

    Args:
        speaks: Whether this worker says so, for all of them.
    """

    def __init__(self, speaks: bool) -> None:
        self._speaks, self._by_value = speaks, False
        if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_TMPDIR:
            self._give_up(f"TMPDIR is longer than {_LONGEST_TMPDIR} bytes")

    def __call__(self, tensor: torch.Tensor) -> Handle:
        """Return what rebuilds the tensor in another process, and its arguments."""
        if not self._by_value:
            try:
                if tensor.numel():
                    tensor.share_memory_()
                handle: Handle = reduce_tensor(tensor)
                return handle
            except (RuntimeError, OSError) as error:
                self._give_up(reason := str(error).splitlines()[0])
                for name in re.findall(r"</(torch_\w+)>", reason):
                    (_SHARED / name).unlink(missing_ok=True)
        return torch.from_numpy, (tensor.detach().numpy(),)

    def _give_up(self, reason: str) -> None:
        self._by_value = True
        if self._speaks:
            _LOG.warning("batches are sent through pipes, not shared memory: %s", reason)


def _end_worker(error: Exception, batch: object) -> NoReturn:
    print(f"a data worker cannot send its batch: {error}", file=sys.stderr, flush=True)
    os._exit(1)
