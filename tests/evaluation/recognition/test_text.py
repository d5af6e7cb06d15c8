"""Words, numbers and phones of texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.phonemes.classes import UNMAPPED, read_classes
from evaluation.recognition.pronunciation import pronounce, read_dictionary
from evaluation.recognition.text import normalise, number_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("THERE'S IRON, THEY SAY", "there's iron they say"),
        ("Mr. O’Neill — don't!", "mister o'neill don't"),  # noqa: RUF001
        ("rock-and-roll, 'quoted'", "rock and roll quoted"),
        ("It costs $5 & 3.5%", "it costs five dollars and three point five percent"),
        (
            "in 1984, on the 21st and 30th",
            "in nineteen eighty four on the twenty first and thirtieth",
        ),
        ("1,000,000 and 007", "one million and zero zero seven"),
        ("[noise] café <unk>", "cafe"),
        ("...", ""),
        ("3rd 12th 2nd 1900", "third twelfth second nineteen hundred"),
    ],
)
def test_texts_come_onto_one_form(text: str, expected: str) -> None:
    assert normalise(text) == expected.split()
    assert normalise(" ".join(normalise(text))) == expected.split()  # twice changes nothing


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (115, "one hundred fifteen"),
        (342_017, "three hundred forty two thousand seventeen"),
        (2_000_000_001, "two billion one"),
    ],
)
def test_numbers(number: int, expected: str) -> None:
    assert number_words(number) == expected.split()


def test_words_of_the_dictionary() -> None:
    found = pronounce(["the", "birch", "canoe"], read_dictionary())
    assert " ".join(found.phones) == "DH AH B ER CH K AH N UW"
    assert found.unknown == ()


def test_other_words_are_composed_or_spelled_out() -> None:
    dictionary = read_dictionary()
    assert pronounce(["birdsong"], dictionary).phones == ("B", "ER", "D", "S", "AO", "NG")
    assert pronounce(["birdsong"], dictionary).unknown == ()
    strange = pronounce(["shoppy", "zzyt"], dictionary)
    assert strange.unknown == ("shoppy", "zzyt")
    assert strange.phones[:4] == ("SH", "AA", "P", "IY")


def test_every_phone_has_a_class() -> None:
    classes, dictionary = read_classes(), read_dictionary()
    rules = Path(pronounce.__code__.co_filename).with_name("letters.csv").read_text().splitlines()
    spelled = {phone for line in rules[1:] for phone in line.split(",")[1].split()}
    phones = {phone for entry in dictionary.values() for phone in entry} | spelled
    assert len(phones) == 39
    assert UNMAPPED not in {classes.classify(phone, "arpabet") for phone in phones}


def test_a_dictionary_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "words.dict"
    path.write_text(";;; comment\nHELLO  HH AH0 L OW1\nHELLO(2)  HH EH0 L OW1 # other\n")
    assert dict(read_dictionary(path)) == {"hello": ("HH", "AH", "L", "OW")}
    with pytest.raises(FileNotFoundError, match="no pronouncing dictionary"):
        read_dictionary(tmp_path / "none")
    other = tmp_path / "text.dict"
    other.write_text("nothing here\n")
    with pytest.raises(ValueError, match="holds no entry"):
        read_dictionary(other)
