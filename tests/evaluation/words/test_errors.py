"""Error counts against an edit distance of its own."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from evaluation.words.errors import DELETED, INSERTED, count_errors, total


def edit_distance(first: list[str], second: list[str]) -> int:
    """Levenshtein's, by the textbook."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        row, before = [i], row
        for j, b in enumerate(second, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def test_counts_by_hand() -> None:
    found = count_errors(["the", "cat", "sat", "on"], ["the", "bat", "sat", "down", "on"])
    assert (found.hits, found.substitutions, found.deletions, found.insertions) == (3, 1, 0, 1)
    assert found.rate == pytest.approx(50.0)
    assert found.pairs == Counter(
        {("the", "the"): 1, ("cat", "bat"): 1, ("sat", "sat"): 1, ("on", "on"): 1}
        | {(INSERTED, "down"): 1}
    )
    assert count_errors(["a", "b"], []).pairs == Counter({("a", DELETED): 1, ("b", DELETED): 1})


def test_counts_are_the_fewest_errors() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        said, heard = (list(draw.choice(list("abcd"), draw.integers(1, 12))) for _ in range(2))
        found = count_errors(said, heard)
        errors = found.substitutions + found.deletions + found.insertions
        assert errors == edit_distance(said, heard)
        assert found.said == len(said)
        assert sum(found.pairs.values()) == len(said) + found.insertions


def test_the_corpus_has_the_rate_of_sums() -> None:
    parts = [count_errors(["a"], ["b"]), count_errors(["a"] * 9, ["a"] * 9)]
    assert total(parts).rate == pytest.approx(10.0)
    assert np.mean([part.rate for part in parts]) == 50.0
    assert math.isnan(total([]).rate)


def test_without_a_reference_there_is_no_rate() -> None:
    found = count_errors([], ["a", "b"])
    assert math.isnan(found.rate)
    assert found.insertions == 2
