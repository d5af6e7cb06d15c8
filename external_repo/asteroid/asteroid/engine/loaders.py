"""The two loaders of a training run, from its manifests, arrays or lists."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .config import DataConfig, TrainingConfig

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

__all__ = ["training_loaders"]

_LOG = logging.getLogger(__name__)


def training_loaders(
    data: DataConfig, training: TrainingConfig, *, epoch: int = 0
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return the loaders of training (shuffled excerpts) and validation (whole utterances).

    Each may be whatever `asteroid.data.open_dataset` opens; all of it is checked first.

    Args:
        data: What to load.
        training: Batch sizes, workers and seed.
        epoch: The epoch that training begins with. A resumed run must say it: Lightning starts the
            workers of its first epoch before it tells the sampler which epoch that is.

    Raises:
        FileNotFoundError: No such data set.
        DataError: A data set or a file it names cannot be used; the message lists the offenders.
    """
    from asteroid.data import open_dataset
    from asteroid.data.dataset import build_loader

    excerpts = open_dataset(
        data.train_json,
        sample_rate=data.sample_rate,
        segment_s=data.segment,
        max_mics=data.max_mics,
        seed=training.seed,
        shuffle_mics=data.shuffle_mics,
    )
    whole = open_dataset(
        data.valid_json,
        sample_rate=data.sample_rate,
        max_mics=data.max_mics,
        seed=training.seed,
    )
    _LOG.info("%d mixtures to train on, %d to validate on", len(excerpts), len(whole))
    workers, seed = training.num_workers, training.seed
    shuffled = build_loader(
        excerpts, training.batch_size, shuffle=True, num_workers=workers, seed=seed
    )
    in_order = build_loader(
        whole, training.valid_batch_size, shuffle=False, num_workers=workers, seed=seed
    )
    shuffled.batch_sampler.sampler.set_epoch(epoch)  # type: ignore[union-attr]
    return shuffled, in_order
