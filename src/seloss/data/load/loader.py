"""Batches of a data set for training or evaluation, on one of several processes."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader

from seloss.data.formats.batch import Item, SizedDataset, collate

from .samplers import BucketSampler, EpochSampler, StepSampler
from .workers import start_worker

__all__ = ["build_loader"]


def build_loader(
    dataset: SizedDataset,
    batch_size: int,
    *,
    shuffle: bool,
    num_workers: int = 0,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
    bucket_steps: int = 0,
    pin_memory: bool | None = None,
) -> DataLoader[Item]:
    """Return a loader of `Batch`; the last, smaller batch is kept.

    Args:
        dataset: What to load; its own ``collate``, if it has one, makes the batches.
        batch_size: Mixtures per batch (of one process).
        shuffle: Whether each epoch has an order of its own; then the batches are those of
            `StepSampler`. Else each process gets its share of the items, none of them twice.
        num_workers: Processes that read ahead; 0 reads in this one.
        seed: Of the order, and of the global generators in each worker, which a user's own
            transform may draw from.
        rank: Which of several training processes this is.
        world: How many there are.
        bucket_steps: Sort the items of so many shuffled steps by length (the dataset's
            ``lengths``); 0: leave them as they are drawn. See `BucketSampler`.
        pin_memory: Whether batches are copied to memory that a GPU reads by itself, meanwhile;
            None: if there is a GPU.
    """
    options: dict[str, object] = {"batch_size": batch_size}
    if shuffle:
        order = _order(dataset, batch_size * world, bucket_steps, seed)
        options = {"batch_sampler": StepSampler(order, batch_size, rank=rank, world=world)}
    else:
        options["sampler"] = EpochSampler(len(dataset), seed, False, rank=rank, world=world)
    return DataLoader(
        dataset,  # type: ignore[arg-type]
        num_workers=num_workers,
        collate_fn=getattr(dataset, "collate", collate),
        generator=torch.Generator().manual_seed(seed),
        persistent_workers=num_workers > 0,
        worker_init_fn=start_worker,
        pin_memory=torch.cuda.is_available() if pin_memory is None else pin_memory,
        **options,  # type: ignore[arg-type]
    )


def _order(dataset: SizedDataset, step_size: int, n_steps: int, seed: int) -> EpochSampler:
    if not n_steps:
        return EpochSampler(len(dataset), seed)
    lengths = getattr(dataset, "lengths", None)
    if lengths is None:
        raise ValueError(
            f"bucket_steps must be 0 for a {type(dataset).__name__}, whose lengths are not known"
        )
    return BucketSampler(lengths, step_size, n_steps, seed)
