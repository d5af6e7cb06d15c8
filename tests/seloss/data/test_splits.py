"""Splits that share no speaker and no noise."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seloss.data.corpus.recording import Recording
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


@settings(deadline=None)
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


@settings(deadline=None)
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


def test_too_few_speakers_or_rooms_are_refused():
    few = recordings({"a": 4, "b": 4})
    with pytest.raises(DataError, match="at least 3 speakers to split; found 2: a, b"):
        split_speech(few, 0)
    with pytest.raises(DataError, match=r"a room for each of train, valid, test.*found 2: a, b"):
        split_rooms(few, 0)
    pools = split_rooms(few, 0, ["train", "test"])
    assert sorted([*groups(pools["train"]), *groups(pools["test"])]) == ["a", "b"]
    assert len(groups(split_rooms(recordings({"a": 2}), 0, ["test"])["test"])) == 1


@settings(deadline=None)
@given(st.integers(0, 5))
def test_the_files_of_one_recording_go_to_one_split(seed):
    """DEMAND: 16 channels of each place; a type with several places is divided by place."""
    channels = [
        replace(one, recording=f"{one.group}{int(one.name.split('/')[1]) // 16}")
        for one in recordings({f"n{index}": 64 for index in range(5)})
    ]
    pools = split_noise(channels, seed)
    origins = [{one.origin for one in pools[split]} for split in SPLITS]
    assert all(origins)
    assert sum(map(len, origins)) == len(set.union(*origins)) == 20
    assert sum(map(len, pools.values())) == 5 * 64


@pytest.mark.parametrize("divide", [split_speech, split_noise, split_rooms])
def test_one_recording_in_two_given_splits_is_refused_or_allowed(divide, caplog):
    some = [
        *recordings({"a": 2}, "train"),
        *recordings({"b": 2}, "valid"),
        *recordings({"c": 2}, "test"),
    ]
    copy = replace(some[-1], recording=some[0].name)
    with pytest.raises(
        DataError, match=r"'a/0': recording \(or the same audio.* in test and train"
    ):
        divide([*some[:-1], copy], 0)
    assert not caplog.text
    pools = divide([*some[:-1], copy], 0, allow_shared=True)
    assert sum(map(len, pools.values())) == len(some)
    assert "allowed (--allow_shared)" in caplog.text
    assert "'a/0': recording (or the same audio" in caplog.text


def test_texts_that_two_splits_have_are_counted(caplog):
    """Speakers of given sentences cannot be divided by text: that is said, not refused."""
    some = [
        replace(one, transcript=text)
        for name, split, text in (
            ("a", "train", "Please call Stella."),
            ("b", "train", "please, call stella"),
            ("c", "valid", "Six spoons of snow peas"),
            ("d", "test", "please call  STELLA!"),
            ("e", "test", None),
        )
        for one in recordings({name: 1}, split)
    ]
    split_speech(some, 0)
    assert "speech: 1 of 2 texts are spoken in two splits" in caplog.text
    assert "please call stella" in caplog.text


def test_speakers_with_audio_in_common_go_together():
    """Of two names for one voice, neither may be tested if the other is trained on."""
    for seed in range(10):
        some = recordings({f"s{index}": 2 for index in range(6)})
        some[2] = replace(some[2], recording="s5/0")  # s1 says what s5 says, s5 what s0 says
        some[1] = replace(some[1], recording="s5/1")
        pools = split_speech(some, seed)
        together = [split for split in SPLITS if {"s0", "s1", "s5"} & groups(pools[split])]
        assert len(together) == 1


def test_rooms_with_one_response_are_left_out():
    rooms = recordings({"a": 2, "b": 2, "c": 3, "lonely": 1})
    assert groups([one for pool in split_rooms(rooms, 0).values() for one in pool]) == {
        "a",
        "b",
        "c",
    }
