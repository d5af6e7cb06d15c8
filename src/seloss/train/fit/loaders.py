"""The two loaders of a training run, from its manifests, arrays or lists."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seloss.train.options.recipe import DataConfig, TrainingConfig
from seloss.train.run.experiment import Experiment

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from seloss.data.load.mixture_dataset import SizedDataset
    from seloss.data.load.samplers import StepSampler

__all__ = ["training_loaders"]

_LOG = logging.getLogger(__name__)
MUCH_PADDING, SUGGESTED_STEPS = 0.1, 16


def training_loaders(
    data: DataConfig,
    training: TrainingConfig,
    experiment: Experiment,
    adapt: Callable[[SizedDataset, str, float | None], Any] | None = None,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return the loaders of training (shuffled excerpts) and validation (whole utterances).

    Each may be whatever `seloss.data.open_dataset` opens; all of it is checked first.

    Args:
        data: What to load.
        training: Batch sizes, workers, processes and seed. Of several processes each gets its part.
        experiment: A run that was stopped goes on with the mixture it would have seen next.
            (Lightning starts the workers before it tells the sampler which epoch that is.)
        adapt: Puts something around a data set of whole utterances, such as stored features, and
            then takes the excerpts itself: ``(data set, its path, longest excerpt in s or None)``.

    Raises:
        FileNotFoundError: No such data set.
        DataError: A data set or a file it names cannot be used; the message lists the offenders.
        ValueError: There are fewer validation mixtures than processes.
    """
    from seloss.data import open_dataset
    from seloss.data.load.samplers import StepSampler, build_loader
    from seloss.train.run.distributed import find_layout

    excerpts = open_dataset(
        data.train_json,
        sample_rate=data.sample_rate,
        segment_s=None if adapt else data.segment,
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
    if adapt is not None:
        excerpts, whole = (
            adapt(excerpts, data.train_json, data.segment),
            adapt(whole, data.valid_json, None),
        )
    layout = find_layout(training)
    _LOG.info("%d mixtures to train on, %d to validate on", len(excerpts), len(whole))
    _LOG.info("%s", layout.describe(training.batch_size, training.accumulate_batches))
    if len(whole) < layout.world:
        raise ValueError(
            f"{len(whole)} validation mixture(s) are too few for {layout.world} processes: use at "
            "most one process for each"
        )
    options: dict[str, Any] = {"num_workers": training.num_workers, "seed": training.seed}
    options |= {"rank": layout.rank, "world": layout.world}
    options |= {"pin_memory": layout.on_gpu}
    shuffled = build_loader(
        excerpts, training.batch_size, shuffle=True, bucket_steps=data.bucket_steps, **options
    )
    in_order = build_loader(whole, training.valid_batch_size, shuffle=False, **options)
    sampler = shuffled.batch_sampler
    assert isinstance(sampler, StepSampler)
    sampler.sampler.set_epoch(*experiment.position())
    _tell_padding(excerpts, sampler, data.bucket_steps)
    return shuffled, in_order


def _tell_padding(dataset: SizedDataset, sampler: StepSampler, bucket_steps: int) -> None:
    """Say how much of the batches is padding, with buckets and without."""
    from seloss.data.load.buckets import BucketSampler, padding_share
    from seloss.data.load.samplers import EpochSampler

    lengths, size, order = dataset.lengths, sampler.batch_size, sampler.sampler
    plain = EpochSampler(order.n_items, order.seed)
    plain.set_epoch(order.epoch)
    without = padding_share(plain, lengths, size)
    if bucket_steps:
        share = padding_share(order, lengths, size)
        _LOG.info(
            "padding: %.1f %% of the batches (%.1f %% without data.bucket_steps)",
            100 * share,
            100 * without,
        )
    elif without > MUCH_PADDING:
        buckets = BucketSampler(lengths, sampler.step_size, SUGGESTED_STEPS, order.seed)
        share = padding_share(buckets, lengths, size)
        _LOG.info(
            "padding: %.1f %% of the batches; --bucket_steps %d makes it %.1f %%",
            100 * without,
            SUGGESTED_STEPS,
            100 * share,
        )
