"""Recognition errors: counts of substitutions, deletions and insertions, rates, confusions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd

from asteroid.utils.optional import needed_for
from evaluation.phonemes.classes import PhoneClasses
from evaluation.phonemes.pronunciation import pronounce
from evaluation.score.columns import SPOKEN
from evaluation.testset.spoken_text import normalise

from .transcripts import Transcript

__all__ = [
    "DELETED",
    "INSERTED",
    "SIDES",
    "Errors",
    "Recognition",
    "confusions",
    "count_errors",
    "recognition_of",
    "sample_table",
    "total",
    "totals",
]

DELETED, INSERTED = "deleted", "inserted"
# Suffix of the columns: file of the signal, its name in tables.
SIDES = {"clean": ("speech", "clean"), "in": ("mixture", "noisy"), "out": ("estimate", "enhanced")}
UNITS = (("WER", "words"), ("PER", "phones"))


@dataclass(frozen=True)
class Errors:
    """Counts of correct tokens and of errors in one or more utterances.

    Attributes:
        hits: Tokens recognised as themselves.
        substitutions: Tokens recognised as others.
        deletions: Tokens of the reference without a counterpart.
        insertions: Recognised tokens without a counterpart.
        pairs: Counts of (spoken, recognised), with ``INSERTED`` or ``DELETED`` for the missing one.
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
    """Align two sequences of tokens with the fewest errors and count them.

    Raises:
        ModuleNotFoundError: Jiwer is not installed.
    """
    if not reference:
        pairs = Counter((INSERTED, token) for token in hypothesis)
        return Errors(insertions=len(hypothesis), pairs=pairs)
    with needed_for("an error rate"):
        import jiwer
    counts = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    pairs = Counter()
    for chunk in counts.alignments[0]:
        spoken = list(reference[chunk.ref_start_idx : chunk.ref_end_idx])
        recognised = list(hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx])
        spoken = spoken or [INSERTED] * len(recognised)
        recognised = recognised or [DELETED] * len(spoken)
        pairs.update(zip(spoken, recognised, strict=True))
    return Errors(counts.hits, counts.substitutions, counts.deletions, counts.insertions, pairs)


def total(parts: Iterable[Errors]) -> Errors:
    """Add the counts: the rate of the sum is that of the corpus, not a mean of rates."""
    parts = list(parts)
    counts = ("hits", "substitutions", "deletions", "insertions")
    sums = {name: sum(getattr(part, name) for part in parts) for name in counts}
    return Errors(**sums, pairs=sum((part.pairs for part in parts), Counter()))


@dataclass(frozen=True)
class Recognition:
    """Recognition of one signal of one utterance.

    Attributes:
        words: Errors in words; None where there is nothing to compare.
        phones: Errors in phones; likewise.
        hypothesis: The recognised words.
        guessed: Words of reference or hypothesis that the dictionary lacks.
        reason: Why there is nothing to compare.
    """

    words: Errors | None = None
    phones: Errors | None = None
    hypothesis: str = ""
    guessed: tuple[str, ...] = ()
    reason: str = ""

    def errors(self, unit: str) -> Errors | None:
        """Return the errors in ``words`` or ``phones``."""
        return self.words if unit == "words" else self.phones


def recognition_of(
    reference: str | None, transcript: Transcript | None, dictionary: Mapping[str, str]
) -> Recognition:
    """Count the errors of a recogniser's transcript against the reference."""
    if reference is None or transcript is None:
        return Recognition(reason="no transcript")
    spoken = normalise(reference)
    if not spoken:
        return Recognition(reason="no words in it" if reference else "no transcript")
    if transcript.text is None:
        return Recognition(reason=transcript.reason)
    words = normalise(transcript.text)
    expected, phones = pronounce(spoken, dictionary), pronounce(words, dictionary)
    return Recognition(
        count_errors(spoken, words),
        count_errors(expected.phones, phones.phones),
        " ".join(words),
        tuple(dict.fromkeys((*expected.guessed, *phones.guessed))),
    )


def sample_table(
    samples: pd.DataFrame, recognised: Mapping[str, Mapping[str, Recognition]]
) -> pd.DataFrame:
    """Return a row per sample: rates, counts and texts of every signal."""
    rows: list[dict[str, object]] = []
    for facts in samples.to_dict("records"):
        sample = str(facts["Sample_ID"])
        sides = {side: by_sample[sample] for side, by_sample in recognised.items()}
        row: dict[str, object] = {"Sample_ID": sample, "id": facts["id"]}
        for name, unit in UNITS:
            errors = {side: part.errors(unit) for side, part in sides.items()}
            row[unit] = next((counts.said for counts in errors.values() if counts), np.nan)
            letter = name[0].lower()
            for side, counts in errors.items():
                row[f"{name}_{side}"] = counts.rate if counts else np.nan
                for error in ("substitutions", "deletions", "insertions"):
                    count = getattr(counts, error) if counts else np.nan
                    row[f"{letter}_{error[:3]}_{side}"] = count
        reference = facts.get("transcript")
        row["reference"] = " ".join(normalise(reference)) if isinstance(reference, str) else ""
        row |= {f"hypothesis_{side}": part.hypothesis for side, part in sides.items()}
        guessed = dict.fromkeys(word for part in sides.values() for word in part.guessed)
        row["guessed"] = " ".join(guessed)
        reasons = [f"{side}: {part.reason}" for side, part in sides.items() if part.reason]
        row["reason"] = "; ".join(reasons)
        row |= {key: value for key, value in facts.items() if key not in {*row, *SPOKEN}}
        rows.append(row)
    return pd.DataFrame(rows)


def totals(recognised: Mapping[str, Mapping[str, Recognition]], recogniser: str) -> pd.DataFrame:
    """Return a row per signal and unit: sum of errors over sum of words (or phones)."""
    rows = []
    for side, by_sample in recognised.items():
        for name, unit in UNITS:
            parts = [errors for part in by_sample.values() if (errors := part.errors(unit))]
            whole = total(parts)
            row = {"signal": SIDES[side][1], "rate": name, "percent": whole.rate}
            for count in ("said", "hits", "substitutions", "deletions", "insertions"):
                row[count] = getattr(whole, count)
            row |= {"utterances": len(parts), "failed": len(by_sample) - len(parts)}
            rows.append(row | {"recogniser": recogniser})
    return pd.DataFrame(rows)


def confusions(
    recognised: Mapping[str, Mapping[str, Recognition]], classes: PhoneClasses | None = None
) -> pd.DataFrame:
    """Return the counts of spoken and recognised phones, as a long table.

    With ``classes`` those are counted instead of phones; a phone taken for another of its class
    then counts as recognised.

    Returns:
        Columns ``signal``, ``said``, ``heard``, ``count``, ``share`` (of all of that ``said``).
    """
    rows = []
    for side, by_sample in recognised.items():
        pairs = total(part.phones for part in by_sample.values() if part.phones).pairs
        if classes is not None:
            pairs = _by_class(pairs, classes)
        sums: Counter[str] = Counter()
        for (spoken, _), count in pairs.items():
            sums[spoken] += count
        labels = sorted({label for pair in pairs for label in pair} - {DELETED, INSERTED})
        order = [*(classes.ordered(labels) if classes else labels), DELETED, INSERTED]
        rows += [
            (SIDES[side][1], *pair, pairs[pair], pairs[pair] / sums[pair[0]])
            for pair in product(order, order)
            if pairs[pair]
        ]
    return pd.DataFrame(rows, columns=["signal", "said", "heard", "count", "share"])


def _by_class(pairs: Counter[tuple[str, str]], classes: PhoneClasses) -> Counter[tuple[str, str]]:
    def class_of(phone: str) -> str:
        return phone if phone in (DELETED, INSERTED) else classes.classify(phone, "arpabet")

    grouped: Counter[tuple[str, str]] = Counter()
    for (spoken, recognised), count in pairs.items():
        grouped[class_of(spoken), class_of(recognised)] += count
    return grouped
