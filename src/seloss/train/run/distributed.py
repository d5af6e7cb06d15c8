"""Processes that train one network together: their number, and what they exchange."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist

from seloss.train.options.recipe import TrainingConfig

__all__ = [
    "Layout",
    "RunningStatistics",
    "average",
    "check_agreement",
    "find_layout",
    "first_rank_says",
    "gather_values",
    "join",
    "total",
]

_LOG = logging.getLogger(__name__)
# Longer than any validation of which one process has more than another.
PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Layout:
    """Which process of how many this is.

    Attributes:
        nodes: Number of machines.
        per_node: Processes on each.
        rank: This one among all, from 0.
        on_gpu: Whether each has a GPU; else they use the CPU.
        launched: Whether torchrun or srun started all of them; else Lightning starts the others.
    """

    nodes: int = 1
    per_node: int = 1
    rank: int = 0
    on_gpu: bool = False
    launched: bool = False

    @property
    def world(self) -> int:
        """Number of processes."""
        return self.nodes * self.per_node

    @property
    def backend(self) -> str:
        """The backend of their collective operations; the CPU's too where GPUs are used."""
        return "cpu:gloo,cuda:nccl" if self.on_gpu else "gloo"

    def describe(self, batch_size: int, accumulated: int) -> str:
        """Say how many mixtures go into a step, and why."""
        device = "GPU" if self.on_gpu else "CPU process"
        per_step = batch_size * self.world * accumulated
        parts = f"{batch_size} per {device} x {self.per_node} per node x {self.nodes} node(s)"
        more = f" x {accumulated} accumulated batches" if accumulated > 1 else ""
        return f"effective batch size {per_step}: {parts}{more}"


def find_layout(training: TrainingConfig) -> Layout:
    """Return the layout that the options ask for, or that torchrun or srun has made.

    Raises:
        ValueError: More GPUs are requested than there are, or other numbers of nodes or processes
            than the launcher started.
    """
    gpus = _count_gpus(training.gpus)
    _adopt_srun()
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        if training.nodes > 1:
            raise ValueError(
                f"training.nodes is {training.nodes}, but nothing has started processes on several "
                "nodes: use the launchers in scripts/train, torchrun, or srun"
            )
        rank = int(os.environ.get("LOCAL_RANK", 0))  # Lightning sets it for those it starts
        return Layout(1, gpus or training.ranks, rank, gpus > 0)
    world, per_node = (int(os.environ[name]) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    nodes = world // per_node
    requested = {"nodes": training.nodes, "ranks": training.ranks, "gpus": max(training.gpus, 1)}
    for name, there in (("nodes", nodes), ("gpus" if gpus else "ranks", per_node)):
        if requested[name] not in (1, there):
            raise ValueError(
                f"training.{name} is {requested[name]}, but the launcher started {there}"
            )
    if gpus and per_node > gpus:
        raise ValueError(f"{per_node} processes were started on a node with {gpus} GPU(s)")
    return Layout(nodes, per_node, int(os.environ["RANK"]), gpus > 0, launched=True)


def join(layout: Layout) -> None:
    """Meet the other processes, if a launcher started them; all leave this function together."""
    if not layout.launched or layout.world == 1:
        return
    if not dist.is_initialized():
        if layout.on_gpu:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group(layout.backend, timeout=PATIENCE)
    gather_values([])


def gather_values(values: Sequence[float]) -> list[float]:
    """Return the values of all processes, in the order of ranks."""
    if not _several():
        return list(values)
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, list(values))
    return [value for of_rank in gathered for value in of_rank]


def average(values: Iterable[float]) -> float:
    """Return the mean of the values that are not NaN; exactly rounded, so their order is nothing.

    NaN if there is none.
    """
    numbers = [value for value in values if not math.isnan(value)]
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def total(values: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor over all processes."""
    if _several():
        values = values.clone()
        dist.all_reduce(values)
    return values


def first_rank_says(number: int, device: torch.device) -> int:
    """Return the number that process 0 gave; every process must ask."""
    if not _several():
        return number
    tensor = torch.tensor([number], device=device)
    dist.broadcast(tensor, src=0)
    return int(tensor)


def check_agreement(what: str, value: Any) -> None:
    """Raise in every process if they do not have the same value.

    Raises:
        RuntimeError: With the value of each rank.
    """
    if not _several():
        return
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    if any(other != values[0] for other in values):
        answers = ", ".join(f"rank {rank}: {other}" for rank, other in enumerate(values))
        raise RuntimeError(
            f"the processes disagree on {what} ({answers}): do all nodes see the same files?"
        )


class RunningStatistics(pl.Callback):
    """Average what batch normalisation keeps of the data, after every step.

    Each process has seen other items. With the same statistics everywhere validation does not
    depend on which process scores an utterance, and the checkpoint of process 0 holds them all.
    """

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object
    ) -> None:
        """Average the running statistics of the network."""
        if not _several():
            return
        for name, buffer in pl_module.named_buffers():
            if "running_" in name and buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= dist.get_world_size()


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _count_gpus(requested: int) -> int:
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if requested > present:
        raise ValueError(f"training.gpus is {requested}, but this machine shows {present}")
    return present if requested < 0 else requested


def _adopt_srun() -> None:
    """Let processes that srun started itself look like those of torchrun.

    Lightning's own support of SLURM saves inside a signal handler, where processes that are not at
    the same place of a step wait for each other for ever.
    """
    several = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1
    if not several or "SLURM_STEP_ID" not in os.environ or "TORCHELASTIC_RUN_ID" in os.environ:
        return
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    job, step = os.environ["SLURM_JOB_ID"], os.environ["SLURM_STEP_ID"]
    n_tasks, n_nodes = (int(os.environ[f"SLURM_STEP_NUM_{x}"]) for x in ("TASKS", "NODES"))
    root = SLURMEnvironment.resolve_root_node_address(os.environ["SLURM_STEP_NODELIST"])
    os.environ.update(
        TORCHELASTIC_RUN_ID=f"{job}.{step}",
        RANK=os.environ["SLURM_PROCID"],
        LOCAL_RANK=os.environ["SLURM_LOCALID"],
        GROUP_RANK=os.environ["SLURM_NODEID"],
        WORLD_SIZE=str(n_tasks),
        LOCAL_WORLD_SIZE=str(n_tasks // n_nodes),
        MASTER_ADDR=root,
        # Jobs that share a node must not share a port.
        MASTER_PORT=str(20000 + int(job) % 20000),
    )
