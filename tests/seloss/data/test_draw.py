"""Randomness that follows from a key alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seloss.data.draw import generator, rank

NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=20)


@given(st.lists(st.integers(), min_size=1, max_size=3))
def test_a_key_gives_the_same_numbers_every_time(key):
    assert np.array_equal(generator(*key).random(4), generator(*key).random(4))


def test_every_part_of_a_key_and_their_borders_count():
    keys = [(0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2), (0, "a"), (0, "a1"), ("0a", 1)]
    first = {float(generator(*key).random()) for key in keys}
    assert len(first) == len(keys)


@given(NAMES, st.integers(0, 9))
def test_a_ranking_does_not_depend_on_the_order_of_arrival(names, seed):
    ranked = rank(names, seed)
    assert ranked == rank(list(reversed(names)), seed)
    assert sorted(ranked) == sorted(set(names))


@given(NAMES, st.text(min_size=1, max_size=8))
def test_a_new_name_changes_no_order_among_the_others(names, new):
    grown = [name for name in rank([*names, new], 3) if name in names]
    assert grown == rank(names, 3)


def test_a_ranking_depends_on_the_key_and_is_not_the_alphabet():
    names = [f"name{index}" for index in range(20)]
    assert rank(names, 0) != rank(names, 1)
    assert rank(names, 0) != sorted(names)
