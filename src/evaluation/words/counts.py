"""Errors of a hypothesis: substitutions, deletions, insertions, and what was taken for what."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["DELETED", "INSERTED", "Errors", "count_errors", "total"]

DELETED, INSERTED = "deleted", "inserted"


@dataclass(frozen=True)
class Errors:
    """Counts of one or more utterances.

    Attributes:
        hits: tokens that were understood.
        substitutions: tokens taken for another.
        deletions: tokens that were not heard.
        insertions: tokens that were not said.
        pairs: how often (said, heard) came, `INSERTED` and `DELETED` in the missing place.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def said(self) -> int:
        """The number of tokens of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Errors per 100 tokens of the reference; NaN without a reference, above 100 possible."""
        errors = self.substitutions + self.deletions + self.insertions
        return 100 * errors / self.said if self.said else math.nan


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Errors:
    """Align two rows of tokens with the fewest errors and count them.

    Raises:
        ModuleNotFoundError: jiwer is not installed.
    """
    if not reference:
        pairs = Counter((INSERTED, token) for token in hypothesis)
        return Errors(insertions=len(hypothesis), pairs=pairs)
    try:
        import jiwer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("error rates need jiwer: pip install jiwer") from error
    found = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    pairs = Counter()
    for chunk in found.alignments[0]:
        said = list(reference[chunk.ref_start_idx : chunk.ref_end_idx])
        heard = list(hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx])
        said = said or [INSERTED] * len(heard)
        heard = heard or [DELETED] * len(said)
        pairs.update(zip(said, heard, strict=True))
    return Errors(found.hits, found.substitutions, found.deletions, found.insertions, pairs)


def total(parts: Iterable[Errors]) -> Errors:
    """Add the counts: the rate of the sum is that of the corpus, not a mean of rates."""
    listed = list(parts)
    pairs: Counter[tuple[str, str]] = Counter()
    for part in listed:
        pairs.update(part.pairs)
    return Errors(
        sum(part.hits for part in listed),
        sum(part.substitutions for part in listed),
        sum(part.deletions for part in listed),
        sum(part.insertions for part in listed),
        pairs,
    )
