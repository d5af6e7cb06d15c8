"""Pronunciations of words: a dictionary, the user's lexicon, and rules for other words."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from asteroid.utils.optional import needed_for

__all__ = [
    "Pronunciation",
    "guess",
    "letters_to_phones",
    "pronounce",
    "read_dictionary",
    "read_lexicon",
]

RULES_FILE = Path(__file__).with_name("letter_to_sound.csv")

_SIBILANTS = ("S", "Z", "SH", "ZH", "CH", "JH")
_VOICELESS = ("P", "T", "K", "F", "TH", "S", "SH", "CH")
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
# The phones of the acoustic model: ARPAbet as in the CMU dictionary.
_PHONES = frozenset(f"{_VOWELS} {_CONSONANTS}".split())

Lookup = Callable[[str], "str | None"]


class Pronunciation(NamedTuple):
    """Phones of a text, ARPAbet without stress, and the words pronounced by rules."""

    phones: tuple[str, ...]
    guessed: tuple[str, ...]


def read_lexicon(path: str | Path) -> dict[str, str]:
    """Read pronunciations: a word and its ARPAbet phones per line, separated by blanks or tabs.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line has no phones, or one that is not ARPAbet's; the message names it.
    """
    lexicon: dict[str, str] = {}
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no lexicon {file}")
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
        word, *phones = line.split() or [""]
        if not word or line.startswith((";;", "#")):
            continue
        phones = [re.sub(r"[0-2]$", "", phone.upper()) for phone in phones]
        wrong = [phone for phone in phones if phone not in _PHONES]
        if not phones or wrong:
            reason = f"{wrong[0]!r} is no ARPAbet phone" if wrong else "no phones"
            raise ValueError(f"{file}, line {number}: {reason}; expected a word and its phones")
        lexicon[word.lower()] = " ".join(phones)
    return lexicon


def read_dictionary(lexicon: str | Path | None = None) -> Mapping[str, str]:
    """Return phones by word, the first pronunciation of each.

    That of a lexicon goes before that of the dictionary, the American English one (CMU's, 126 000
    words) that soundswallower carries.

    Raises:
        ModuleNotFoundError: Soundswallower is not installed.
        FileNotFoundError, ValueError: See ``read_lexicon``.
    """
    own = read_lexicon(lexicon) if lexicon is not None else {}
    return {**_carried_dictionary(), **own}


@cache
def _carried_dictionary() -> Mapping[str, str]:
    with needed_for("the dictionary of phones"):
        from soundswallower import get_model_path
    entries: dict[str, str] = {}
    with (Path(get_model_path()) / "en-us" / "dict.txt").open(encoding="utf-8") as file:
        for line in file:
            word, _, phones = line.strip().partition(" ")
            if phones and not word.startswith(";;"):
                # "read(2)" is a further pronunciation: the first one counts.
                entries.setdefault(re.sub(r"\(\d+\)$", "", word), phones)
    return entries


def pronounce(words: Iterable[str], dictionary: Mapping[str, str]) -> Pronunciation:
    """Return the phones of normalised words."""
    phones: list[str] = []
    guessed: list[str] = []
    for word in words:
        entry = dictionary.get(word)
        if entry is None:
            guessed.append(word)
            entry = guess(word, dictionary.get)
        phones += entry.split()
    return Pronunciation(tuple(phones), tuple(guessed))


def guess(word: str, lookup: Lookup) -> str:
    """Return a pronunciation for a word that the dictionary lacks; "" if there is none.

    From an inflected form's stem, from two words written as one, else by rules from its letters.
    """
    return _inflected(word, lookup) or _compound(word, lookup) or letters_to_phones(word)


def _inflected(word: str, lookup: Lookup) -> str:
    for suffix, ending in (("'s", _plural), ("s'", _plural), ("s", _plural), ("ed", _past)):
        stem = word.removesuffix(suffix)
        if stem != word:
            for base in (stem, f"{stem}e"):
                if phones := lookup(base):
                    return f"{phones} {ending(phones.split()[-1])}"
    stem = word.removesuffix("ing")
    for base in (stem, f"{stem}e") if stem != word else ():
        if phones := lookup(base):
            return f"{phones} IH NG"
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
    for at in sorted(range(3, len(word) - 2), key=lambda at: abs(2 * at - len(word))):
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
    letters = "".join(letter for letter in letters if "a" <= letter <= "z")
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


@cache
def _rules() -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    with RULES_FILE.open(encoding="utf-8", newline="") as file:
        next(file)  # a comment: what the table is
        rows: list[Mapping[str, str]] = list(csv.DictReader(file))
    return tuple((re.compile(row["letters"]), tuple(row["phones"].split())) for row in rows)
