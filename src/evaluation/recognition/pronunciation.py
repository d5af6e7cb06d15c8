"""From words to phones: a pronouncing dictionary, and rules for the words it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Pronunciation", "pronounce", "read_dictionary"]

_RULES = Path(__file__).with_name("letters.csv")
_LONGEST = 6
# Endings that dictionaries do not list for every word.
_ENDINGS = (("'s", "Z"), ("s'", "Z"), ("s", "Z"))


@dataclass(frozen=True)
class Pronunciation:
    """A text as phones.

    Attributes:
        phones: ARPAbet without stress.
        unknown: the words that no dictionary has and rules spelled out.
    """

    phones: tuple[str, ...]
    unknown: tuple[str, ...]


@cache
def read_dictionary(path: Path | None = None) -> Mapping[str, tuple[str, ...]]:
    """Return phones by word, the first pronunciation of each.

    Args:
        path: a file in CMU's format, `WORD  P1 P2 ...`; None: the American English one (CMU's,
            134 000 words) that soundswallower carries.

    Raises:
        ModuleNotFoundError: no path is given and soundswallower is not installed.
        FileNotFoundError: there is no such file.
        ValueError: no line of the file is an entry.
    """
    if path is None:
        try:
            from soundswallower import get_model_path
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "phones of words need soundswallower's dictionary: pip install soundswallower"
            ) from error
        path = Path(get_model_path()) / "en-us" / "dict.txt"
    if not path.is_file():
        raise FileNotFoundError(f"no pronouncing dictionary {path}")
    entries: dict[str, tuple[str, ...]] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            word, *phones = line.split("#")[0].split() or [""]
            if not phones or word.startswith(";;") or not all(map(_is_phone, phones)):
                continue
            bare = re.sub(r"\(\w+\)$", "", word).lower()
            entries.setdefault(bare, tuple(phone.rstrip("012") for phone in phones))
    if not entries:
        raise ValueError(f"{path} holds no entry of the form 'word P1 P2 ...'")
    return entries


def _is_phone(text: str) -> bool:
    return re.fullmatch(r"[A-Z]{1,3}[0-2]?", text) is not None


def pronounce(words: Iterable[str], dictionary: Mapping[str, tuple[str, ...]]) -> Pronunciation:
    """Return the phones of normalised words.

    A word that the dictionary lacks is tried without a plural or possessive ending and as two
    words joined, then spelled out by rules; only the last counts as unknown.
    """
    phones: list[str] = []
    unknown: list[str] = []
    for word in words:
        found = dictionary.get(word) or _composed(word, dictionary)
        if found is None:
            unknown.append(word)
            found = _by_rules(word)
        phones += found
    return Pronunciation(tuple(phones), tuple(unknown))


def _composed(word: str, dictionary: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    for ending, phone in _ENDINGS:
        stem = dictionary.get(word.removesuffix(ending)) if word.endswith(ending) else None
        if stem:
            return (*stem, phone)
    # The most even of the ways to split it into two words of three letters or more.
    places = sorted(range(3, len(word) - 2), key=lambda place: abs(2 * place - len(word)))
    for place in places:
        first, second = dictionary.get(word[:place]), dictionary.get(word[place:])
        if first and second:
            return (*first, *second)
    return None


@cache
def _rules() -> dict[str, tuple[str, ...]]:
    lines = _RULES.read_text(encoding="utf-8").splitlines()[1:]
    pairs = (line.split(",") for line in lines if line)
    return {letters: tuple(phones.split()) for letters, phones in pairs}


def _by_rules(word: str) -> tuple[str, ...]:
    """Spell a word out; letters that no rule knows (of other scripts, digits) are silent."""
    rules, marked, at = _rules(), f"^{word}$", 0
    phones: list[str] = []
    while at < len(marked):
        for length in range(min(_LONGEST, len(marked) - at), 0, -1):
            piece = marked[at : at + length]
            if piece in rules:
                phones += rules[piece]
                at += length
                break
        else:
            at += 1
    return tuple(phones)
