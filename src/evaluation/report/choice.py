"""Choice of utterances worth hearing, when not all can be in the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = ["choose_utterances"]


def choose_utterances(
    scores: pd.DataFrame, *, higher_is_better: bool = True, n: int = 12, first: Sequence[str] = ()
) -> list[str]:
    """Choose utterances that differ in what they show.

    In turn: the worst, the one on which the systems differ most, the best, the median, then the
    next of each.

    ``scores`` has a row per utterance (its id is the index) and a column per system; the ids in
    ``first`` are taken in any case.

    Raises:
        ValueError: one of `first` is not among the utterances.
    """
    unknown = [name for name in first if name not in scores.index]
    if unknown:
        ids = ", ".join(map(str, scores.index[:5]))
        raise ValueError(f"no utterance {unknown[0]!r}; there are {ids}, …")
    quality = scores.mean(axis=1) * (1 if higher_is_better else -1)
    spread = scores.max(axis=1) - scores.min(axis=1)
    ordered = quality.dropna().sort_values(kind="stable")
    # Places by their distance from the median's.
    middle = np.argsort(np.abs(np.arange(len(ordered)) - (len(ordered) - 1) / 2), kind="stable")
    queues = [
        list(ordered.index),
        list(spread.dropna().sort_values(ascending=False, kind="stable").index),
        list(ordered.index[::-1]),
        [ordered.index[place] for place in middle],
        list(scores.index),  # those without a score come last
    ]
    chosen = dict.fromkeys(first)
    while len(chosen) < n and any(queues):
        before = len(chosen)
        for queue in queues[:-1]:
            _take(queue, chosen)
        if len(chosen) == before:
            _take(queues[-1], chosen)
    return [str(name) for name in list(chosen)[: max(n, len(first))]]


def _take(queue: list[str], chosen: dict[str, None]) -> None:
    """Move the first of a queue that has not been chosen."""
    while queue:
        name = queue.pop(0)
        if name not in chosen:
            chosen[name] = None
            return
