from __future__ import annotations

from itertools import chain

import pytest

from seloss.data.load.samplers import EpochSampler, StepSampler


def steps(n_items: int, batch_size: int, world: int, epoch: int = 0, done: int = 0, seed: int = 3):
    """Return, for each step, the indices of each rank that count there."""
    samplers = [
        StepSampler(EpochSampler(n_items, seed), batch_size, rank=rank, world=world)
        for rank in range(world)
    ]
    for sampler in samplers:
        sampler.sampler.set_epoch(epoch, done)
    parts = [list(sampler) for sampler in samplers]
    assert len({len(part) for part in parts}) == 1, "every rank must take part in every step"
    first = len(samplers[0]) - len(parts[0])
    return [
        [
            [i for _, i in keys][: sampler.real(first + k)[0]]
            for keys, sampler in zip(row, samplers, strict=True)
        ]
        for k, row in enumerate(zip(*parts, strict=True))
    ]


def flat(found) -> list[int]:
    return list(chain(*chain(*found)))


@pytest.mark.parametrize("n_items", [1, 3, 8, 11, 13])
@pytest.mark.parametrize(("batch_size", "world"), [(4, 1), (2, 2), (1, 4), (3, 2)])
def test_ranks_share_every_item_once(n_items, batch_size, world):
    found = steps(n_items, batch_size, world)
    assert sorted(flat(found)) == list(range(n_items))
    for step in found:
        sizes = [len(part) for part in step]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("world", [2, 4])
def test_a_step_holds_the_same_items_however_many_share_it(world):
    alone = [step[0] for step in steps(11, 4, 1)]
    shared = [list(chain(*step)) for step in steps(11, 4 // world, world)]
    assert shared == alone


def test_each_epoch_is_shuffled_anew():
    first, second = (flat(steps(50, 2, 2, epoch=epoch)) for epoch in (0, 1))
    assert first != second
    assert sorted(first) == sorted(second)
    assert first == flat(steps(50, 2, 2, epoch=0))


@pytest.mark.parametrize(("batch_size", "world"), [(4, 1), (1, 2), (3, 1), (2, 4)])
def test_a_stopped_epoch_goes_on_with_the_next_item_on_any_number_of_ranks(batch_size, world):
    order = flat(steps(23, 1, 1))
    rest = flat(steps(23, batch_size, world, done=6))
    assert rest == order[6:]


def test_what_is_done_counts_in_its_epoch_only():
    sampler = StepSampler(EpochSampler(10, 0), 2)
    sampler.sampler.set_epoch(3, done=4)
    sampler.sampler.set_epoch(3)  # as Lightning does when the epoch begins
    assert len(list(sampler)) == 3
    assert len(sampler) == 5
    assert [sampler.position(step) for step in (2, 3, 4)] == [6, 8, 10]
    sampler.sampler.set_epoch(4)
    assert len(list(sampler)) == 5


def test_a_rank_without_an_item_borrows_one_that_does_not_count():
    sampler = StepSampler(EpochSampler(5, 0), 1, rank=0, world=4)
    assert [len(keys) for keys in sampler] == [1, 1]
    assert [sampler.real(step) for step in (0, 1)] == [(1, 4), (0, 1)]


def test_validation_is_divided_without_repeating_an_item():
    parts = [[i for _, i in EpochSampler(7, shuffle=False, rank=r, world=3)] for r in range(3)]
    assert parts == [[0, 3, 6], [1, 4], [2, 5]]
    assert [len(EpochSampler(7, shuffle=False, rank=r, world=3)) for r in range(3)] == [3, 2, 2]


def test_wrong_arguments():
    order = EpochSampler(4)
    with pytest.raises(ValueError, match="rank must be from 0 to 1; got 2"):
        StepSampler(order, 1, rank=2, world=2)
    with pytest.raises(ValueError, match="batch_size must be at least 1; got 0"):
        StepSampler(order, 0)
    with pytest.raises(ValueError, match="divided among processes already"):
        StepSampler(EpochSampler(4, world=2), 1)
    with pytest.raises(ValueError, match="rank must be from 0 to 0; got 1"):
        EpochSampler(4, rank=1)
