"""Loaders of a run's training and validation data, each process with its share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seloss.train.options.recipe import DataConfig, TrainingConfig
from seloss.train.run.experiment import Experiment

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from seloss.data.formats.batch import SizedDataset

__all__ = ["training_loaders"]

_LOG = logging.getLogger(__name__)


def training_loaders(
    data: DataConfig,
    training: TrainingConfig,
    experiment: Experiment,
    adapt: Callable[[SizedDataset, str, float | None], Any] | None = None,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return the loaders of training (shuffled excerpts) and validation (whole utterances).

    Each data set may be whatever `seloss.data.open_dataset` opens; all of it is checked first.

    Args:
        data: What to load.
        training: Batch sizes, workers, processes and seed. Of several processes each gets its part.
        experiment: A stopped run resumes with the mixture that it would have seen next.
        adapt: Puts something around a data set of whole utterances, such as stored features, and
            then takes the excerpts itself: ``(data set, its path, longest excerpt in s or None)``.

    Raises:
        FileNotFoundError: No such data set.
        DataError: A data set or a file it names cannot be used; the message lists the offenders.
        ValueError: There are fewer validation mixtures than processes.
    """
    from seloss.data import open_dataset
    from seloss.data.load.loader import build_loader
    from seloss.data.load.samplers import StepSampler, describe_padding
    from seloss.train.run.distributed import find_layout

    signals: dict[str, Any] = {
        "sample_rate": data.sample_rate,
        "max_mics": data.max_mics,
        "seed": training.seed,
    }
    excerpts = open_dataset(
        data.train_json,
        segment_s=None if adapt else data.segment,
        shuffle_mics=data.shuffle_mics,
        **signals,
    )
    whole = open_dataset(data.valid_json, **signals)
    if adapt is not None:
        excerpts = adapt(excerpts, data.train_json, data.segment)
        whole = adapt(whole, data.valid_json, None)
    layout = find_layout(training)
    _LOG.info("%d mixtures to train on, %d to validate on", len(excerpts), len(whole))
    _LOG.info("%s", layout.describe(training.batch_size, training.accumulate_batches))
    if len(whole) < layout.world:
        raise ValueError(
            f"{len(whole)} validation mixture(s) are too few for {layout.world} processes: use at "
            "most one process for each"
        )
    options: dict[str, Any] = {
        "num_workers": training.num_workers,
        "seed": training.seed,
        "rank": layout.rank,
        "world": layout.world,
        "pin_memory": layout.on_gpu,
    }
    shuffled = build_loader(
        excerpts, training.batch_size, shuffle=True, bucket_steps=data.bucket_steps, **options
    )
    in_order = build_loader(whole, training.valid_batch_size, shuffle=False, **options)
    sampler = shuffled.batch_sampler
    assert isinstance(sampler, StepSampler)
    # Lightning starts the workers before it sets the sampler's epoch.
    sampler.sampler.set_epoch(*experiment.position())
    if padding := describe_padding(excerpts.lengths, sampler, data.bucket_steps):
        _LOG.info("%s", padding)
    return shuffled, in_order
