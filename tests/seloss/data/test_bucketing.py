from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from seloss.data.formats.manifest import validate_manifest
from seloss.data.load.loader import build_loader
from seloss.data.load.mixture_dataset import MixtureDataset
from seloss.data.load.samplers import BucketSampler, EpochSampler, StepSampler, padding_share
from tests.data import make_manifest

LENGTHS = np.random.default_rng(0).integers(1_000, 9_000, 83).tolist()


def steps(batch_size: int, world: int = 1, n_steps: int = 5, epoch: int = 2, resume=()):
    """Return each step's indices, of all ranks together."""
    samplers = []
    for rank in range(world):
        order = BucketSampler(LENGTHS, batch_size * world, n_steps, seed=3)
        order.set_epoch(epoch, *resume)
        samplers.append(StepSampler(order, batch_size, rank=rank, world=world))
    parts = [list(sampler) for sampler in samplers]
    first = len(samplers[0]) - len(parts[0])
    return [
        list(
            chain(
                *(
                    [i for _, i in keys][: sampler.real(first + number)[0]]
                    for keys, sampler in zip(row, samplers, strict=True)
                )
            )
        )
        for number, row in enumerate(zip(*parts, strict=True))
    ]


@pytest.mark.parametrize(("batch_size", "world"), [(4, 1), (2, 2), (1, 4), (7, 1), (3, 3)])
@pytest.mark.parametrize("n_steps", [1, 5, 100])
def test_every_item_once_and_each_epoch_another_order(batch_size, world, n_steps):
    found = steps(batch_size, world, n_steps)
    assert sorted(chain(*found)) == list(range(len(LENGTHS)))
    assert {len(step) for step in found[:-1]} == {batch_size * world}
    assert found == steps(batch_size, world, n_steps)
    assert found != steps(batch_size, world, n_steps, epoch=3)


def test_a_step_holds_the_same_items_however_many_share_it():
    assert steps(4, 1) == steps(2, 2) == steps(1, 4)


def test_a_stopped_epoch_goes_on_with_the_next_step():
    whole = steps(4)
    assert steps(4, resume=(24, 4)) == whole[6:]
    assert steps(2, 2, resume=(24, 4)) == whole[6:]


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_with_steps_of_another_size_no_item_is_lost_or_repeated(batch_size):
    done = list(chain(*steps(4)[:6]))
    rest = list(chain(*steps(batch_size, resume=(24, 4))))
    assert sorted([*done, *rest]) == list(range(len(LENGTHS)))
    order = BucketSampler(LENGTHS, batch_size, 5, seed=3)
    order.set_epoch(2, 24, 4)
    order.set_epoch(3)  # its own size counts again
    fresh = BucketSampler(LENGTHS, batch_size, 5, seed=3)
    fresh.set_epoch(3)
    assert order.order().tolist() == fresh.order().tolist()


def test_items_of_a_step_are_of_similar_length_and_steps_of_any_order():
    lengths = np.asarray(LENGTHS)
    sorted_all = steps(4, n_steps=100)
    spread = [np.ptp(lengths[step]) for step in sorted_all[:-1]]
    plain = StepSampler(EpochSampler(len(LENGTHS), 3), 4)
    drawn = [np.ptp(lengths[[i for _, i in step]]) for step in plain]
    assert np.mean(spread) < 0.15 * np.mean(drawn)
    means = [lengths[step].mean() for step in sorted_all[:-1]]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5


def test_padding_share_by_hand():
    order = EpochSampler(4, shuffle=False)
    # Batches (10, 30) and (20, 20): 60 + 40 samples, of which 20 are padding.
    assert padding_share(order, [10, 30, 20, 20], 2) == pytest.approx(0.2)
    assert padding_share(order, [10, 30, 20, 20], 1) == 0
    assert padding_share(EpochSampler(3, shuffle=False), [10, 20, 5], 2) == pytest.approx(10 / 45)
    buckets = BucketSampler(LENGTHS, 4, 8)
    assert padding_share(buckets, LENGTHS, 4) < 0.5 * padding_share(
        EpochSampler(len(LENGTHS)), LENGTHS, 4
    )


def test_a_loader_pads_less(tmp_path):
    seconds = [0.1, 0.5, 0.12, 0.52, 0.11, 0.51, 0.1, 0.5]
    manifest = make_manifest(tmp_path, n_items=8, n_mics=1, seconds=seconds)
    mixtures = validate_manifest(manifest, sample_rate=16000)
    data = MixtureDataset(mixtures, sample_rate=16000)
    padded = {}
    for n_steps in (0, 4):
        batches = list(build_loader(data, 2, shuffle=True, bucket_steps=n_steps, seed=5))
        assert sorted(i for batch in batches for i in batch.ids) == sorted(m.id for m in mixtures)
        samples = sum(batch.mixture.shape[0] * batch.mixture.shape[-1] for batch in batches)
        padded[n_steps] = 1 - sum(int(batch.lengths.sum()) for batch in batches) / samples
    assert padded[4] < 0.05 < padded[0]
    short = MixtureDataset(mixtures, sample_rate=16000, segment_s=0.2)
    assert set(short.lengths) == {1600, 1920, 1760, 3200}


def test_wrong_arguments():
    with pytest.raises(ValueError, match="must be at least 1; got 0 and 4"):
        BucketSampler([1, 2], 0, 4)

    class NoLengths:
        sample_rate = 16000

        def __len__(self):
            return 3

    with pytest.raises(ValueError, match="bucket_steps must be 0 for a NoLengths"):
        build_loader(NoLengths(), 1, shuffle=True, bucket_steps=2)
