"""From transcripts to error rates: per utterance, in all, and what was taken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.phonemes.classes import PhoneClasses
from evaluation.testset.spoken_text import normalise

from .counts import DELETED, INSERTED, Errors, count_errors, total
from .pronunciation import pronounce
from .transcripts import Heard

__all__ = ["SIDES", "Judged", "confusions", "judge", "sample_table", "totals"]

# Suffix of the columns, file of the signal, what tables call it.
SIDES = {"clean": ("speech", "clean"), "in": ("mixture", "noisy"), "out": ("estimate", "enhanced")}
UNITS = (("WER", "words"), ("PER", "phones"))


@dataclass(frozen=True)
class Judged:
    """One signal of one utterance.

    Attributes:
        words: errors in words; None where there is nothing to judge.
        phones: errors in phones.
        hypothesis: the words that were heard.
        guessed: words of reference or hypothesis that the dictionary lacks.
        reason: why there is nothing to judge.
    """

    words: Errors | None
    phones: Errors | None
    hypothesis: str = ""
    guessed: tuple[str, ...] = ()
    reason: str = ""

    def errors(self, unit: str) -> Errors | None:
        """Return the errors in `words` or `phones`."""
        return self.words if unit == "words" else self.phones


def judge(transcript: str | None, heard: Heard, dictionary: Mapping[str, str]) -> Judged:
    """Count errors of what was heard against what was said."""
    said = normalise(transcript) if transcript else []
    if not said:
        return Judged(None, None, reason="no transcript" if not transcript else "no words in it")
    if heard.text is None:
        return Judged(None, None, reason=heard.reason)
    words = normalise(heard.text)
    reference, hypothesis = pronounce(said, dictionary), pronounce(words, dictionary)
    return Judged(
        count_errors(said, words),
        count_errors(reference.phones, hypothesis.phones),
        " ".join(words),
        tuple(dict.fromkeys((*reference.guessed, *hypothesis.guessed))),
    )


def sample_table(samples: pd.DataFrame, judged: Mapping[str, Mapping[str, Judged]]) -> pd.DataFrame:
    """Return a row per sample: rates, counts and texts of every signal.

    Args:
        samples: samples.csv.
        judged: by side, by `Sample_ID`.
    """
    rows: list[dict[str, object]] = []
    for record in samples.to_dict("records"):
        sample = str(record["Sample_ID"])
        sides = {side: by_sample[sample] for side, by_sample in judged.items()}
        row: dict[str, object] = {"Sample_ID": sample, "id": record["id"]}
        for name, unit in UNITS:
            known = [one for one in (part.errors(unit) for part in sides.values()) if one]
            row[unit] = known[0].said if known else np.nan
            for side, part in sides.items():
                row |= _counts(name, side, part.errors(unit))
        said = record.get("transcript")
        row["reference"] = " ".join(normalise(said)) if isinstance(said, str) else ""
        for side, part in sides.items():
            row[f"hypothesis_{side}"] = part.hypothesis
        row["guessed"] = " ".join(
            dict.fromkeys(word for part in sides.values() for word in part.guessed)
        )
        reasons = {side: part.reason for side, part in sides.items() if part.reason}
        row["reason"] = "; ".join(f"{side}: {reason}" for side, reason in reasons.items())
        hidden = ("transcript", "textgrid", "phones")
        row |= {key: value for key, value in record.items() if key not in row and key not in hidden}
        rows.append(row)
    return pd.DataFrame(rows)


def _counts(name: str, side: str, errors: Errors | None) -> dict[str, object]:
    letter = name[0].lower()
    if errors is None:
        return {
            f"{name}_{side}": np.nan,
            **{f"{letter}_{kind}_{side}": np.nan for kind in ("sub", "del", "ins")},
        }
    return {
        f"{name}_{side}": errors.rate,
        f"{letter}_sub_{side}": errors.substitutions,
        f"{letter}_del_{side}": errors.deletions,
        f"{letter}_ins_{side}": errors.insertions,
    }


def totals(judged: Mapping[str, Mapping[str, Judged]], recogniser: str) -> pd.DataFrame:
    """Return a row per signal and unit: sum of errors over sum of words (or phones)."""
    rows = []
    for side, by_sample in judged.items():
        for name, unit in UNITS:
            known = [one for one in (part.errors(unit) for part in by_sample.values()) if one]
            whole = total(known)
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
                    "utterances": len(known),
                    "failed": len(by_sample) - len(known),
                    "recogniser": recogniser,
                }
            )
    return pd.DataFrame(rows)


def confusions(
    judged: Mapping[str, Mapping[str, Judged]], classes: PhoneClasses | None = None
) -> pd.DataFrame:
    """Return how often which phone was heard for which, as a long table.

    Args:
        judged: by side, by sample.
        classes: count classes of phones instead of phones; a phone taken for another of its class
            then counts as one of the class heard as the class.

    Returns:
        Columns `signal`, `said`, `heard`, `count`, `share` (of all that was said so).
    """
    rows = []
    for side, by_sample in judged.items():
        pairs: Counter[tuple[str, str]] = Counter()
        for part in by_sample.values():
            if part.phones is not None:
                pairs.update(part.phones.pairs)
        if classes is not None:
            pairs = _by_class(pairs, classes)
        sums: Counter[str] = Counter()
        for (said, _), count in pairs.items():
            sums[said] += count
        order = _order(pairs, classes)
        for said in order:
            for heard in order:
                if count := pairs[said, heard]:
                    share = count / sums[said]
                    rows.append((SIDES[side][1], said, heard, count, share))
    return pd.DataFrame(rows, columns=["signal", "said", "heard", "count", "share"])


def _by_class(pairs: Counter[tuple[str, str]], classes: PhoneClasses) -> Counter[tuple[str, str]]:
    def named(phone: str) -> str:
        return phone if phone in (DELETED, INSERTED) else classes.classify(phone, "arpabet")

    grouped: Counter[tuple[str, str]] = Counter()
    for (said, heard), count in pairs.items():
        grouped[named(said), named(heard)] += count
    return grouped


def _order(pairs: Counter[tuple[str, str]], classes: PhoneClasses | None) -> Sequence[str]:
    """Return the labels in the order of the table of classes, or of the alphabet."""
    found = {label for pair in pairs for label in pair} - {DELETED, INSERTED}
    ordered = sorted(found) if classes is None else classes.ordered(sorted(found))
    return [*ordered, DELETED, INSERTED]
