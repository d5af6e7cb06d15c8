"""Classes of phones: from a label of any alphabet to plosive, nasal, close, ...

The table is `configs/phoneme-classes.json`, which users may edit; IPA (with the diacritics of the
Montreal Forced Aligner's dictionaries) and ARPAbet (with stress digits, upper or lower case) are
understood. A label that is in no class is told apart from silence, so that it can be reported.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

__all__ = ["ALPHABETS", "DEFAULT_FILE", "SILENCE", "UNMAPPED", "PhoneClasses", "read_classes"]

DEFAULT_FILE = Path(__file__).parents[3] / "configs" / "phoneme-classes.json"
ALPHABETS = ("auto", "ipa", "arpabet")
SILENCE, UNMAPPED = "silence", "unmapped"
#: What a command line may ask for beside the names of classes and groups.
_RESERVED = (SILENCE, UNMAPPED, "all")
# IPA marks that do not change which class a phone is in: combining ones but the cedilla of ç, ties,
# spacing modifiers (length, stress, tone, superscript letters, rhotic hook, ejective), a tie.
_MARKS = re.compile(r"[\u0300-\u0326\u0328-\u036f\u02b0-\u02ff\u207f\u203f'.:]")
# ARPAbet: stress digit, and Kaldi's position in the word
_STRESS = re.compile(r"[0-9]?(_[BIES])?$")


@dataclass(frozen=True)
class PhoneClasses:
    """The table of classes.

    Attributes:
        classes: name -> IPA phones; a phone is in one class only.
        groups: name -> classes that it sums up, as consonant and vowel.
        arpabet: ARPAbet phone, upper case -> IPA phone.
        silence: labels, lower case, that are no phones.
    """

    classes: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]
    arpabet: Mapping[str, str]
    silence: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """All that can be asked for: classes, then groups."""
        return (*self.classes, *self.groups)

    def members(self, name: str) -> tuple[str, ...]:
        """Return the classes of a group, or the class itself.

        Raises:
            ValueError: no class or group has this name.
        """
        if name in self.classes:
            return (name,)
        if name not in self.groups:
            raise ValueError(
                f"no class or group of phones {name!r}; there are {', '.join(self.names)}"
            )
        return self.groups[name]

    def ordered(self, found: Iterable[str]) -> list[str]:
        """Return each name once: classes and groups in the table's order, then what else came.

        Example:
            >>> read_classes().ordered(["vowel", "open", "unmapped", "nasal", "open"])
            ['nasal', 'open', 'vowel', 'unmapped']
        """
        there = dict.fromkeys(found)
        known = [name for name in self.names if name in there]
        return [*known, *(name for name in there if name not in known)]

    def classify(self, label: str, alphabet: str = "ipa") -> str:
        """Return the class of a label, or SILENCE or UNMAPPED.

        Args:
            label: as it stands in the alignment.
            alphabet: "ipa" or "arpabet"; what is not found in it is looked up in the other.

        Example:
            >>> table = read_classes()
            >>> [table.classify(label) for label in ("tʰ", "aj", "", "ɝ", "AA1", "SH", "qqq")]
            ['plosive', 'open', 'silence', 'open-mid', 'open', 'sibilant', 'unmapped']
        """
        text = unicodedata.normalize("NFC", label.strip())
        if not text or text.lower() in self.silence or text.lower().strip("+") in self.silence:
            return SILENCE
        order = (self._arpabet, self._ipa) if alphabet == "arpabet" else (self._ipa, self._arpabet)
        return order[0](text) or order[1](text) or UNMAPPED

    def alphabet_of(self, labels: Iterable[str]) -> str:
        """Tell which alphabet labels are of, since `y` and `r` mean different phones.

        The one to which more of the different labels belong alone: ARPAbet has digraphs as `sh`,
        and upper case.
        """
        texts = {unicodedata.normalize("NFC", label.strip()) for label in labels}
        phones = [text for text in texts if self.classify(text) != SILENCE]
        ipa = sum(bool(self._ipa(text)) and not self._arpabet(text) for text in phones)
        arpabet = sum(bool(self._arpabet(text)) and not self._ipa(text) for text in phones)
        return "arpabet" if arpabet > ipa else "ipa"

    @cached_property
    def _by_phone(self) -> dict[str, str]:
        return {_plain(phone): name for name, phones in self.classes.items() for phone in phones}

    def _ipa(self, text: str) -> str:
        """Look up a phone; without its marks where it is not listed with them."""
        found = self._by_phone.get(text)
        if found is None:
            bare = _MARKS.sub("", unicodedata.normalize("NFC", text))
            found = self._by_phone.get(bare)
        if found is None:  # marks that are one character with their letter, as in ã
            bare = _MARKS.sub("", unicodedata.normalize("NFD", text))
            found = self._by_phone.get(unicodedata.normalize("NFC", bare))
        return found or ""

    def _arpabet(self, text: str) -> str:
        phone = self.arpabet.get(_STRESS.sub("", text).upper())
        return self._ipa(phone) if phone else ""


def _plain(phone: str) -> str:
    return unicodedata.normalize("NFC", phone)


def read_classes(path: str | Path | None = None) -> PhoneClasses:
    """Read and check a table of classes.

    Args:
        path: JSON as `configs/phoneme-classes.json`; or flat, class -> phones, as published: then
            groups, ARPAbet and silence are those of the default table, as far as their classes are
            there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a table; the message names file, key and value.
    """
    file = DEFAULT_FILE if path is None else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no table of phone classes {file}")
    try:
        table = json.loads(file.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not JSON: {error}") from None
    if not isinstance(table, dict) or not table:
        raise ValueError(f"{file} must be an object with 'classes'; got {type(table).__name__}")
    try:
        return _checked(table if "classes" in table else _completed(table))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _completed(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Make a whole table of a flat one."""
    default = json.loads(DEFAULT_FILE.read_text(encoding="utf-8"))
    groups = {name: [one for one in of if one in flat] for name, of in default["groups"].items()}
    named = {name: phones for name, phones in flat.items() if name not in groups}
    classes = {name: list(phones) for name, phones in _lists(named, "classes").items()}
    groups = {name: of for name, of in groups.items() if of}
    arpabet = {}
    for symbol, phone in default["arpabet"].items():
        if not any(phone in phones for phones in classes.values()):
            home = next(name for name, phones in default["classes"].items() if phone in phones)
            if home not in classes:
                continue
            classes[home].append(phone)
        arpabet[symbol] = phone
    return {**default, "classes": classes, "groups": groups, "arpabet": arpabet}


def _checked(table: Mapping[str, Any]) -> PhoneClasses:
    unknown = sorted(set(table) - {"about", "classes", "groups", "arpabet", "silence"})
    if unknown:
        raise ValueError(
            f"unknown key {unknown[0]!r}; expected about, classes, groups, arpabet, silence"
        )
    classes = _lists(table["classes"], "classes")
    owner: dict[str, str] = {}
    for name, phones in classes.items():
        for phone in map(_plain, phones):
            if owner.setdefault(phone, name) != name:
                raise ValueError(f"phone {phone!r} is in two classes: {owner[phone]}, {name}")
    groups = _lists(table.get("groups", {}), "groups")
    for name, members in groups.items():
        missing = [one for one in members if one not in classes]
        if missing or name in classes:
            what = f"of {missing[0]!r}, which is no class" if missing else "has a class's name"
            raise ValueError(f"group {name!r} {what}; classes are {', '.join(classes)}")
    silence = table.get("silence", [])
    if not _is_texts(silence):
        raise ValueError(f"'silence' must be a list of labels; got {silence!r}")
    made = PhoneClasses(
        classes, groups, _arpabet_of(table), frozenset(one.strip().lower() for one in silence)
    )
    for symbol, phone in made.arpabet.items():
        if not made._ipa(phone):
            raise ValueError(f"'arpabet': {symbol!r} stands for {phone!r}, which is in no class")
    return made


def _arpabet_of(table: Mapping[str, Any]) -> dict[str, str]:
    arpabet = table.get("arpabet", {})
    if not isinstance(arpabet, dict) or not _is_texts(list(arpabet.values())):
        raise ValueError(f"'arpabet' must map ARPAbet phones to IPA phones; got {arpabet!r}")
    return {symbol.upper(): _plain(phone) for symbol, phone in arpabet.items()}


def _lists(value: object, key: str) -> dict[str, tuple[str, ...]]:
    """Return an object of lists of text, checked."""
    if not isinstance(value, dict):
        raise ValueError(f"{key!r} must be an object of lists; got {type(value).__name__}")
    for name, texts in value.items():
        if name in _RESERVED or not re.fullmatch(r"[^\s/\\,]+", name):
            raise ValueError(f"{key!r}: {name!r} cannot name a class (nor can a name with a slash)")
        if not _is_texts(texts) or not texts:
            raise ValueError(f"{key}.{name} must be a list of one text or more; got {texts!r}")
    return {name: tuple(texts) for name, texts in value.items()}


def _is_texts(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(one, str) and one.strip() for one in value)
    )
