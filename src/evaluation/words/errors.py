"""Recognition errors: counts of substitutions, deletions and insertions, rates, confusions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from asteroid.utils.optional import needed_for
from evaluation.phonemes.classes import PhoneClasses
from evaluation.phonemes.pronunciation import pronounce
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
# Suffix of the columns: file of the signal, what tables call it.
SIDES = {"clean": ("speech", "clean"), "in": ("mixture", "noisy"), "out": ("estimate", "enhanced")}
UNITS = (("WER", "words"), ("PER", "phones"))
# What is known of a sample and is no condition to compare values by.
_HIDDEN = ("transcript", "textgrid", "phones", "speech_file")


@dataclass(frozen=True)
class Errors:
    """Counts of one or more utterances.

    Attributes:
        hits: Tokens that were understood.
        substitutions: Tokens taken for another.
        deletions: Tokens that were not heard.
        insertions: Tokens that were not said.
        pairs: How often (said, heard) came, ``INSERTED`` and ``DELETED`` in the missing place.
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
        said = list(reference[chunk.ref_start_idx : chunk.ref_end_idx])
        heard = list(hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx])
        said = said or [INSERTED] * len(heard)
        heard = heard or [DELETED] * len(said)
        pairs.update(zip(said, heard, strict=True))
    return Errors(counts.hits, counts.substitutions, counts.deletions, counts.insertions, pairs)


def total(parts: Iterable[Errors]) -> Errors:
    """Add the counts: the rate of the sum is that of the corpus, not a mean of rates."""
    hits = substitutions = deletions = insertions = 0
    pairs: Counter[tuple[str, str]] = Counter()
    for part in parts:
        hits += part.hits
        substitutions += part.substitutions
        deletions += part.deletions
        insertions += part.insertions
        pairs.update(part.pairs)
    return Errors(hits, substitutions, deletions, insertions, pairs)


@dataclass(frozen=True)
class Recognition:
    """What became of the words of one signal of one utterance.

    Attributes:
        words: Errors in words; None where there is nothing to compare.
        phones: Errors in phones.
        hypothesis: The words of the recogniser.
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
    reference: str | None, transcript: Transcript, dictionary: Mapping[str, str]
) -> Recognition:
    """Count the errors of a recogniser's transcript against what was said."""
    said = normalise(reference) if reference else []
    if not said:
        return Recognition(reason="no words in it" if reference else "no transcript")
    if transcript.text is None:
        return Recognition(reason=transcript.reason)
    words = normalise(transcript.text)
    expected, phones = pronounce(said, dictionary), pronounce(words, dictionary)
    return Recognition(
        count_errors(said, words),
        count_errors(expected.phones, phones.phones),
        " ".join(words),
        tuple(dict.fromkeys((*expected.guessed, *phones.guessed))),
    )


def sample_table(
    samples: pd.DataFrame, recognised: Mapping[str, Mapping[str, Recognition]]
) -> pd.DataFrame:
    """Return a row per sample: rates, counts and texts of every signal.

    Args:
        samples: Samples.csv.
        recognised: By side, by ``Sample_ID``.
    """
    rows: list[dict[str, object]] = []
    for facts in samples.to_dict("records"):
        sample = str(facts["Sample_ID"])
        sides = {side: by_sample[sample] for side, by_sample in recognised.items()}
        row: dict[str, object] = {"Sample_ID": sample, "id": facts["id"]}
        for name, unit in UNITS:
            errors = {side: part.errors(unit) for side, part in sides.items()}
            row[unit] = next((one.said for one in errors.values() if one), np.nan)
            for side, one in errors.items():
                row |= _counts(name, side, one)
        said = facts.get("transcript")
        row["reference"] = " ".join(normalise(said)) if isinstance(said, str) else ""
        row |= {f"hypothesis_{side}": part.hypothesis for side, part in sides.items()}
        guessed = dict.fromkeys(word for part in sides.values() for word in part.guessed)
        row["guessed"] = " ".join(guessed)
        reasons = [f"{side}: {part.reason}" for side, part in sides.items() if part.reason]
        row["reason"] = "; ".join(reasons)
        row |= {key: value for key, value in facts.items() if key not in {*row, *_HIDDEN}}
        rows.append(row)
    return pd.DataFrame(rows)


def _counts(name: str, side: str, errors: Errors | None) -> dict[str, object]:
    letter = name[0].lower()
    return {
        f"{name}_{side}": errors.rate if errors else np.nan,
        f"{letter}_sub_{side}": errors.substitutions if errors else np.nan,
        f"{letter}_del_{side}": errors.deletions if errors else np.nan,
        f"{letter}_ins_{side}": errors.insertions if errors else np.nan,
    }


def totals(recognised: Mapping[str, Mapping[str, Recognition]], recogniser: str) -> pd.DataFrame:
    """Return a row per signal and unit: sum of errors over sum of words (or phones)."""
    rows = []
    for side, by_sample in recognised.items():
        for name, unit in UNITS:
            parts = [one for part in by_sample.values() if (one := part.errors(unit))]
            whole = total(parts)
            rows.append(
                {
                    "signal": SIDES[side][1],
                    "rate": name,
                    "percent": whole.rate,
                    "said": whole.said,
                    "hits": whole.hits,
                    "substitutions": whole.substitutions,
                    "deletions": whole.deletions,
                    "insertions": whole.insertions,
                    "utterances": len(parts),
                    "failed": len(by_sample) - len(parts),
                    "recogniser": recogniser,
                }
            )
    return pd.DataFrame(rows)


def confusions(
    recognised: Mapping[str, Mapping[str, Recognition]], classes: PhoneClasses | None = None
) -> pd.DataFrame:
    """Return how often which phone was heard for which, as a long table.

    Args:
        recognised: By side, by sample.
        classes: Count classes of phones instead of phones; a phone taken for another of its class
            then counts as one of the class heard as the class.

    Returns:
        Columns ``signal``, ``said``, ``heard``, ``count``, ``share`` (of all that was said so).
    """
    rows = []
    for side, by_sample in recognised.items():
        pairs = total(part.phones for part in by_sample.values() if part.phones).pairs
        if classes is not None:
            pairs = _by_class(pairs, classes)
        sums: Counter[str] = Counter()
        for (said, _), count in pairs.items():
            sums[said] += count
        labels = sorted({label for pair in pairs for label in pair} - {DELETED, INSERTED})
        order = [*(classes.ordered(labels) if classes else labels), DELETED, INSERTED]
        rows += [
            (SIDES[side][1], said, heard, pairs[said, heard], pairs[said, heard] / sums[said])
            for said in order
            for heard in order
            if pairs[said, heard]
        ]
    return pd.DataFrame(rows, columns=["signal", "said", "heard", "count", "share"])


def _by_class(pairs: Counter[tuple[str, str]], classes: PhoneClasses) -> Counter[tuple[str, str]]:
    def class_of(phone: str) -> str:
        return phone if phone in (DELETED, INSERTED) else classes.classify(phone, "arpabet")

    grouped: Counter[tuple[str, str]] = Counter()
    for (said, heard), count in pairs.items():
        grouped[class_of(said), class_of(heard)] += count
    return grouped
