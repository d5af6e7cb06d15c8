"""Pronunciations of words: a user's lexicon, and rules for what a dictionary lacks."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

__all__ = ["guess", "letters_to_phones", "read_lexicon"]

RULES_FILE = Path(__file__).with_name("letter_to_sound.csv")

_SIBILANTS = ("S", "Z", "SH", "ZH", "CH", "JH")
_VOICELESS = ("P", "T", "K", "F", "TH", "S", "SH", "CH")

Lookup = Callable[[str], "str | None"]


def read_lexicon(path: str | Path) -> dict[str, str]:
    """Read pronunciations: a word and its ARPAbet phones per line, apart by blanks or tabs.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line has no phones, or one that is not ARPAbet's; the message names it.
    """
    found: dict[str, str] = {}
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no lexicon {file}")
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
        word, *phones = line.split() or [""]
        if not word or line.startswith((";;", "#")):
            continue
        phones = [re.sub(r"[0-2]$", "", phone.upper()) for phone in phones]
        wrong = [phone for phone in phones if phone not in _phones()]
        if not phones or wrong:
            what = f"{wrong[0]!r} is no ARPAbet phone" if wrong else "no phones"
            raise ValueError(f"{file}, line {number}: {what}; expected a word and its phones")
        found[word.lower()] = " ".join(phones)
    return found


def guess(word: str, lookup: Lookup) -> str:
    """Return a pronunciation for a word that the dictionary lacks; "" if there is none.

    From an inflected form's stem, from two words written as one, else by rules from its letters.

    Args:
        word: lower case.
        lookup: word -> phones of the dictionary, None where it has none.
    """
    return _inflected(word, lookup) or _compound(word, lookup) or letters_to_phones(word)


def _inflected(word: str, lookup: Lookup) -> str:
    for suffix, ending in (("'s", _plural), ("s'", _plural), ("s", _plural), ("ed", _past)):
        stem = word.removesuffix(suffix)
        if stem != word:
            for base in (stem, f"{stem}e"):
                if known := lookup(base):
                    return f"{known} {ending(known.split()[-1])}"
    stem = word.removesuffix("ing")
    for base in (stem, f"{stem}e") if stem != word else ():
        if known := lookup(base):
            return f"{known} IH NG"
    return ""


def _plural(last: str) -> str:
    if last in _SIBILANTS:
        return "IH Z"
    return "S" if last in _VOICELESS else "Z"


def _past(last: str) -> str:
    if last in ("T", "D"):
        return "IH D"
    return "T" if last in _VOICELESS else "D"


def _compound(word: str, lookup: Lookup) -> str:
    """Split in the middle first; parts of fewer than 3 letters are no words."""
    places = sorted(range(3, len(word) - 2), key=lambda at: abs(2 * at - len(word)))
    for at in places:
        first, second = lookup(word[:at]), lookup(word[at:])
        if first and second:
            return f"{first} {second}"
    return ""


def letters_to_phones(word: str) -> str:
    """Return phones by rules, which get four phones in five right.

    Example:
        >>> letters_to_phones("zoomed")
        'Z UW M D'
    """
    letters = unicodedata.normalize("NFD", word)
    letters = "".join(one for one in letters if "a" <= one <= "z")
    phones: list[str] = []
    at = 0
    while at < len(letters):
        for pattern, sounds in _rules():
            hit = pattern.match(letters, at)
            if hit and hit.end() > at:
                phones += sounds
                at = hit.end()
                break
        else:
            at += 1
    return " ".join(phones)


@lru_cache(maxsize=1)
def _rules() -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    with RULES_FILE.open(encoding="utf-8", newline="") as file:
        next(file)  # what it is
        rows: list[Mapping[str, str]] = list(csv.DictReader(file))
    return tuple((re.compile(row["letters"]), tuple(row["phones"].split())) for row in rows)


@lru_cache(maxsize=1)
def _phones() -> frozenset[str]:
    """The phones of the acoustic model: ARPAbet as in the CMU dictionary."""
    vowels = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
    consonants = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
    return frozenset(f"{vowels} {consonants}".split())
