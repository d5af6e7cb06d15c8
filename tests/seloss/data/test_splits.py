"""Splits that share no speaker and no noise."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seloss.data.corpus.listing import Recording
from seloss.data.corpus.splits import SPLITS, split_noise, split_rooms, split_speech
from seloss.data.formats.manifest import DataError


def recordings(counts, split=None):
    """Return ``counts`` (group -> number) recordings."""
    return [
        Recording(Path(f"/{group}/{index}"), f"{group}/{index}", group, split, 1.0, 1)
        for group, count in counts.items()
        for index in range(count)
    ]


COUNTS = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4), st.integers(1, 9), min_size=3, max_size=25
)


def names(pools):
    return {split: {one.name for one in pool} for split, pool in pools.items()}


def groups(pool):
    return {one.group for one in pool}


@given(COUNTS, st.integers(0, 5))
def test_speakers_and_rooms_are_disjoint_and_all_are_used(counts, seed):
    counts = {group: count + 1 for group, count in counts.items()}
    for divide in (split_speech, split_rooms):
        pools = divide(recordings(counts), seed)
        assert all(pools[split] for split in SPLITS)
        assert sum(len(pool) for pool in pools.values()) == sum(counts.values())
        train, valid, test = (groups(pools[split]) for split in SPLITS)
        assert not train & valid
        assert not (train | valid) & test
        assert all(one.split == split for split in SPLITS for one in pools[split])


def test_a_tenth_of_the_speakers_is_held_out_each():
    pools = split_speech(recordings({f"s{index}": 2 for index in range(40)}), 0)
    assert [len(groups(pools[split])) for split in SPLITS] == [32, 4, 4]


@given(COUNTS, st.integers(0, 5))
def test_noises_are_disjoint_and_the_test_has_unseen_types(counts, seed):
    pools = split_noise(recordings(counts), seed)
    held = names(pools)
    assert sum(len(pool) for pool in pools.values()) == sum(counts.values())
    assert len(held["train"] | held["valid"] | held["test"]) == sum(counts.values())
    assert groups(pools["test"]) - groups(pools["train"]) - groups(pools["valid"])
    assert all(pools[split] for split in SPLITS)


def test_a_fifth_of_the_types_is_unseen_and_a_tenth_of_the_rest_held_out():
    pools = split_noise(recordings({f"n{index}": 20 for index in range(10)}), 0)
    unseen = groups(pools["test"]) - groups(pools["train"])
    assert len(unseen) == 2
    assert [len(pools[split]) for split in SPLITS] == [8 * 16, 8 * 2, 8 * 2 + 2 * 20]
    assert groups(pools["valid"]) == groups(pools["train"])


def test_splits_depend_on_the_seed_alone():
    some = recordings({f"s{index}": 3 for index in range(12)})
    for divide in (split_speech, split_noise, split_rooms):
        assert names(divide(some, 1)) == names(divide(list(reversed(some)), 1))
        assert names(divide(some, 1)) != names(divide(some, 2))


def test_given_splits_are_kept():
    given = [
        *recordings({"a": 2, "b": 3}, "train"),
        *recordings({"c": 2}, "valid"),
        *recordings({"d": 2, "e": 2}, "test"),
    ]
    for divide in (split_speech, split_noise, split_rooms):
        pools = divide(given, 0)
        assert [groups(pools[split]) for split in SPLITS] == [{"a", "b"}, {"c"}, {"d", "e"}]


def test_a_speaker_in_two_given_splits_is_refused():
    with pytest.raises(DataError, match="'a': speaker is in test and train"):
        split_speech([*recordings({"a": 1, "b": 1}, "train"), *recordings({"a": 1}, "test")], 0)


def test_too_few_speakers_are_told_and_few_rooms_are_shared():
    few = recordings({"a": 4, "b": 4})
    with pytest.raises(DataError, match="at least 3 speakers to split; found 2: a, b"):
        split_speech(few, 0)
    assert all(names(split_rooms(few, 0))[split] == {one.name for one in few} for split in SPLITS)


def test_rooms_with_one_response_are_left_out():
    rooms = recordings({"a": 2, "b": 2, "c": 3, "lonely": 1})
    assert groups([one for pool in split_rooms(rooms, 0).values() for one in pool]) == {
        "a",
        "b",
        "c",
    }
