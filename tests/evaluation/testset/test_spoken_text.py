"""Words, numbers and phones of texts."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from evaluation.phonemes.classes import UNMAPPED, read_classes
from evaluation.phonemes.pronunciation import pronounce, read_dictionary
from evaluation.testset.spoken_text import normalise, number_words


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
        (
            "Well-known; she's 1,204 'odd' things & more\u2026",
            "well known she's one thousand two hundred four odd things and more",
        ),
        ("\u2018Don\u2019t\u2019 70", "don't seventy"),
        ("3rd 12th 2nd 1900", "third twelfth second nineteen hundred"),
    ],
)
def test_texts_come_onto_one_form(text: str, expected: str) -> None:
    assert normalise(text) == expected.split()
    assert normalise(" ".join(normalise(text))) == expected.split()  # twice changes nothing


PHRASES = Path(__file__).with_name("spoken_phrases.csv")


def test_a_hundred_phrases_are_said_as_their_reference() -> None:
    with PHRASES.open(encoding="utf-8", newline="") as file:
        phrases = list(csv.DictReader(file))
    assert len(phrases) > 100
    wrong = {
        row["written"]: " ".join(normalise(row["written"]))
        for row in phrases
        if normalise(row["written"]) != row["spoken"].split()
    }
    assert not wrong
    for row in phrases:  # what is said already stays as it is
        assert normalise(row["spoken"]) == row["spoken"].split()


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
    assert found.guessed == ()


def test_other_words_are_guessed_and_named() -> None:
    dictionary = read_dictionary()
    found = pronounce(["dogsong", "the", "shoppy"], dictionary)
    assert found.phones[:6] == ("D", "AO", "G", "S", "AO", "NG")
    assert found.phones[-5:-1] == ("AH", "SH", "AA", "P")
    assert found.guessed == ("dogsong", "shoppy")


def test_every_phone_has_a_class() -> None:
    classes = read_classes()
    phones = {phone for entry in read_dictionary().values() for phone in entry.split()}
    assert len(phones) == 39
    assert UNMAPPED not in {classes.classify(phone, "arpabet") for phone in phones}


def test_a_lexicon_goes_before_the_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(";; mine\nSHOPPY  SH AO1 P IY0\nthe  DH IY\n", encoding="utf-8")
    found = pronounce(["the", "shoppy", "cat"], read_dictionary(path))
    assert " ".join(found.phones) == "DH IY SH AO P IY K AE T"
    assert found.guessed == ()
    with pytest.raises(FileNotFoundError, match="no lexicon"):
        read_dictionary(tmp_path / "none")
