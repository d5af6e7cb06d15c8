"""Phone classes: from a label of any alphabet to plosive, nasal, close, ...

The table is ``configs/phoneme-classes.json``, which users may edit. Labels may be IPA (with the
diacritics of the Montreal Forced Aligner's dictionaries), ARPAbet (with stress digits, upper or
lower case) or SAMPA (as WebMAUS writes it). A label in no class is unmapped, which is not silence,
and is reported.
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

from seloss.root import ROOT

__all__ = ["ALPHABETS", "DEFAULT_FILE", "SILENCE", "UNMAPPED", "PhoneClasses", "read_classes"]

DEFAULT_FILE = ROOT / "configs" / "phoneme-classes.json"
ALPHABETS = ("auto", "ipa", "arpabet", "sampa")
SILENCE, UNMAPPED = "silence", "unmapped"
#: Names that are no classes on a command line.
_RESERVED = (SILENCE, UNMAPPED, "all")
_KEYS = ("about", "classes", "groups", "arpabet", "sampa", "silence")
# IPA marks that do not change which class a phone is in: combining ones but the cedilla of ç, ties,
# spacing modifiers (length, stress, tone, superscript letters, rhotic hook, ejective), a tie.
_MARKS = re.compile(r"[\u0300-\u0326\u0328-\u036f\u02b0-\u02ff\u207f\u203f'.:]")
# Kaldi's position in the word.
_POSITION = re.compile(r"_[BIES]$")
# Brackets of aligners around labels that are no phones: <p:>, <usb>, {LG}, +NSN+.
_BRACKETED = re.compile(r"<.*>|\{.+\}|\+.+\+")
# Stress and diacritics of SAMPA.
_SAMPA_MARKS = re.compile(r"^[\"%']+|_\S")
# Characters of SAMPA that IPA does not have.
_SAMPA_ONLY = re.compile(r"[A-Z0-9@{}&?]")


@dataclass(frozen=True)
class PhoneClasses:
    """The table of classes.

    Attributes:
        classes: Name -> IPA phones; a phone is in one class only.
        groups: Name -> classes that it sums up, as consonant and vowel.
        arpabet: ARPAbet phone, upper case -> IPA phone.
        sampa: SAMPA symbol -> IPA; a phone may be several symbols.
        silence: Labels, lower case, that are no phones.
    """

    classes: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]
    arpabet: Mapping[str, str]
    sampa: Mapping[str, str]
    silence: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """Classes, then groups."""
        return (*self.classes, *self.groups)

    def members(self, name: str) -> tuple[str, ...]:
        """Return the classes of a group, or the class itself.

        Raises:
            ValueError: No class or group has this name.
        """
        if name in self.classes:
            return (name,)
        if name not in self.groups:
            raise ValueError(
                f"no class or group of phones {name!r}; there are {', '.join(self.names)}"
            )
        return self.groups[name]

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Return each name once: classes and groups in the table's order, then the others.

        Example:
            >>> read_classes().ordered(["vowel", "open", "unmapped", "nasal", "open"])
            ['nasal', 'open', 'vowel', 'unmapped']
        """
        given = dict.fromkeys(names)
        listed = [name for name in self.names if name in given]
        return [*listed, *(name for name in given if name not in listed)]

    def classify(self, label: str, alphabet: str = "ipa") -> str:
        """Return the class of a label, or SILENCE or UNMAPPED.

        Args:
            label: As it stands in the alignment.
            alphabet: "ipa", "arpabet" or "sampa"; IPA is read in each, ARPAbet beside IPA too.

        Example:
            >>> table = read_classes()
            >>> [table.classify(label) for label in ("tʰ", "aj", "", "ɝ", "AA1", "SH", "qqq")]
            ['plosive', 'open', 'silence', 'open-mid', 'open', 'sibilant', 'unmapped']
            >>> [table.classify(label, "sampa") for label in ("T", "V", "tS", "@U", "<p:>")]
            ['fricative', 'open-mid', 'affricate', 'open-mid', 'silence']
        """
        text = _normal(label)
        if self._is_silence(text):
            return SILENCE
        if alphabet == "sampa":
            return self._sampa(text) or self._ipa(text) or UNMAPPED
        order = (self._arpabet, self._ipa) if alphabet == "arpabet" else (self._ipa, self._arpabet)
        return order[0](text) or order[1](text) or UNMAPPED

    def alphabet_of(self, labels: Iterable[str]) -> str:
        """Return the alphabet of labels, since ``y``, ``r`` and ``T`` mean different phones.

        It is the one that has most of the different labels. ARPAbet is written in one case; SAMPA
        has letters, digits and signs that IPA does not have.

        Raises:
            ValueError: Two alphabets have as many and put a label into different classes.
        """
        phones = sorted({text for text in map(_normal, labels) if not self._is_silence(text)})
        arpabet = [text for text in phones if self._arpabet(text)]
        upper = sum(text[0].isupper() for text in arpabet)
        evidence = {
            "ipa": sum(bool(self._ipa(text)) for text in phones),
            "arpabet": max(upper, len(arpabet) - upper),
            "sampa": sum(bool(self._sampa(text)) for text in phones)
            * any(_SAMPA_ONLY.search(text) and self._sampa(text) for text in phones),
        }
        best, *others = [name for name, n in evidence.items() if n == max(evidence.values())]
        for other in others:
            for text in phones:
                first, second = self.classify(text, best), self.classify(text, other)
                if first != second:
                    raise ValueError(
                        f"the labels {', '.join(phones[:8])} may be {best} or {other}, in which "
                        f"{text!r} is {first} or {second}: give --alphabet"
                    )
        return best

    @cached_property
    def _by_phone(self) -> dict[str, str]:
        return {_normal(phone): name for name, phones in self.classes.items() for phone in phones}

    @cached_property
    def _symbols(self) -> re.Pattern[str]:
        """SAMPA's symbols, a longer one before its parts."""
        return re.compile("|".join(map(re.escape, sorted(self.sampa, key=len, reverse=True))))

    def _is_silence(self, text: str) -> bool:
        inner = text.lower()
        if inner.startswith("[") and inner.endswith("]"):
            inner = inner[1:-1]
        return not inner or inner in self.silence or bool(_BRACKETED.fullmatch(text))

    def _ipa(self, text: str) -> str:
        """Look up a phone; without its marks where it is not listed with them."""
        for form in ("NFC", "NFD"):  # NFD: marks that are one character with their letter, as in ã
            if text in self._by_phone:
                break
            text = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize(form, text)))
        return self._by_phone.get(text, "")

    def _arpabet(self, text: str) -> str:
        phone = self.arpabet.get(re.sub(r"[0-9]$", "", text).upper())
        return self._ipa(phone) if phone else ""

    def _sampa(self, text: str) -> str:
        bare = _SAMPA_MARKS.sub("", text)
        symbols = self._symbols.findall(bare) if self.sampa else []
        if not symbols or "".join(symbols) != bare:
            return ""
        return self._ipa("".join(self.sampa[symbol] for symbol in symbols))


def _normal(label: str) -> str:
    return _POSITION.sub("", unicodedata.normalize("NFC", label.strip()))


def read_classes(path: str | Path | None = None) -> PhoneClasses:
    """Read and check a table of classes.

    Args:
        path: JSON as ``configs/phoneme-classes.json``; or flat, class -> phones, as published: then
            groups, ARPAbet, SAMPA and silence are those of the default table, as far as their
            classes are there.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not such a table; the message names file, key and value.
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
    members = {
        name: [part for part in of if part in flat] for name, of in default["groups"].items()
    }
    groups = {name: of for name, of in members.items() if of}
    named = {name: phones for name, phones in flat.items() if name not in members}
    classes = {name: list(phones) for name, phones in _lists(named, "classes").items()}
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
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; expected {', '.join(_KEYS)}")
    classes = _lists(table["classes"], "classes")
    owner: dict[str, str] = {}
    for name, phones in classes.items():
        for phone in map(_normal, phones):
            if owner.setdefault(phone, name) != name:
                raise ValueError(f"phone {phone!r} is in two classes: {owner[phone]}, {name}")
    groups = _lists(table.get("groups", {}), "groups")
    for name, members in groups.items():
        missing = [member for member in members if member not in classes]
        if missing or name in classes:
            reason = f"of {missing[0]!r}, which is no class" if missing else "has a class's name"
            raise ValueError(f"group {name!r} {reason}; classes are {', '.join(classes)}")
    silence = table.get("silence", [])
    if not _is_texts(silence):
        raise ValueError(f"'silence' must be a list of labels; got {silence!r}")
    checked = PhoneClasses(
        classes,
        groups,
        {symbol.upper(): _normal(phone) for symbol, phone in _symbols(table, "arpabet").items()},
        _symbols(table, "sampa"),
        frozenset(label.strip().lower() for label in silence),
    )
    for symbol, phone in checked.arpabet.items():
        if not checked._ipa(phone):
            raise ValueError(f"'arpabet': {symbol!r} stands for {phone!r}, which is in no class")
    return checked


def _symbols(table: Mapping[str, Any], key: str) -> dict[str, str]:
    """Return a table from the symbols of an alphabet to IPA."""
    symbols = table.get(key, {})
    if not isinstance(symbols, dict) or not _is_texts(list(symbols.values())):
        raise ValueError(f"{key!r} must map {key.upper()} symbols to IPA; got {symbols!r:.200}")
    return symbols


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
        and all(isinstance(text, str) and text.strip() for text in value)
    )
