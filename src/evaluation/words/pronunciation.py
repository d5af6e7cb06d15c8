"""From words to phones: a pronouncing dictionary, and rules for the words it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evaluation.phonemes.transcript import guess, read_lexicon

__all__ = ["Pronunciation", "pronounce", "read_dictionary"]


@dataclass(frozen=True)
class Pronunciation:
    """A text as phones.

    Attributes:
        phones: ARPAbet without stress.
        guessed: the words that the dictionary lacks: inflected, composed or spelled out by rules.
    """

    phones: tuple[str, ...]
    guessed: tuple[str, ...]


def read_dictionary(lexicon: str | Path | None = None) -> Mapping[str, str]:
    """Return phones by word, the first pronunciation of each.

    Args:
        lexicon: pronunciations that go before those of the dictionary, which is the American
            English one (CMU's, 126 000 words) that soundswallower carries.

    Raises:
        ModuleNotFoundError: soundswallower is not installed.
        FileNotFoundError, ValueError: see `phonemes.transcript.read_lexicon`.
    """
    own = read_lexicon(lexicon) if lexicon is not None else {}
    return {**_carried(), **own}


@cache
def _carried() -> Mapping[str, str]:
    try:
        from soundswallower import get_model_path
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "phones of words need soundswallower's dictionary: pip install soundswallower"
        ) from error
    entries: dict[str, str] = {}
    with (Path(get_model_path()) / "en-us" / "dict.txt").open(encoding="utf-8") as file:
        for line in file:
            word, _, phones = line.strip().partition(" ")
            if phones and not word.startswith(";;"):
                entries.setdefault(re.sub(r"\(\d+\)$", "", word), phones)
    return entries


def pronounce(words: Iterable[str], dictionary: Mapping[str, str]) -> Pronunciation:
    """Return the phones of normalised words."""
    phones: list[str] = []
    guessed: list[str] = []
    for word in words:
        found = dictionary.get(word)
        if found is None:
            guessed.append(word)
            found = guess(word, dictionary.get)
        phones += found.split()
    return Pronunciation(tuple(phones), tuple(guessed))
