"""Which utterances get into the page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.report.choice import choose_utterances

SCORES = pd.DataFrame(
    {"a": [0.0, 5.0, 10.0, 4.0, 6.0], "b": [1.0, 5.0, 11.0, 9.0, 6.0]},
    index=["worst", "plain", "best", "apart", "mid"],
)


def test_worst_then_most_different_then_best() -> None:
    assert choose_utterances(SCORES, n=3) == ["worst", "apart", "best"]


def test_worst_is_highest_where_lower_is_better() -> None:
    assert choose_utterances(SCORES, higher_is_better=False, n=1) == ["best"]


def test_all_are_taken_once_if_there_is_room_also_those_without_a_score() -> None:
    scores = pd.concat([SCORES, pd.DataFrame({"a": [np.nan], "b": [np.nan]}, index=["none"])])
    chosen = choose_utterances(scores, n=50)
    assert sorted(chosen) == sorted(scores.index)
    assert chosen[-1] == "none"


def test_asked_ones_come_first_and_are_never_dropped() -> None:
    assert choose_utterances(SCORES, n=2, first=["mid"])[0] == "mid"
    assert choose_utterances(SCORES, n=1, first=["mid", "plain"]) == ["mid", "plain"]


def test_an_unknown_utterance_is_named() -> None:
    with pytest.raises(ValueError, match="no utterance 'nobody'; there are worst"):
        choose_utterances(SCORES, first=["nobody"])


def test_an_id_that_comes_twice_is_taken_once() -> None:
    """A missing name once made this search without end."""
    scores = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=["x", "x", "y"])
    assert sorted(choose_utterances(scores, n=5)) == ["x", "y"]
