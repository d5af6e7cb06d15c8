"""Labels to classes: the paper's table, IPA with marks, ARPAbet, and wrong tables."""

# ruff: noqa: RUF001 - IPA letters look like others
from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from evaluation.phonemes.classes import DEFAULT_FILE, SILENCE, UNMAPPED, read_classes

# The 13 classes of the paper with its phones (the dictionary of the Montreal Forced Aligner).
PUBLISHED = {
    "nasal": "m mʲ m̩ n n̩ ŋ ɲ",
    "plosive": "p pʰ pʲ pʷ b bʲ t̪ d̪ t tʰ tʲ tʷ d dʲ ɡ ɡb ɡʷ c cʰ cʷ ɟ ɟʷ k kʰ kʷ kp g ʔ",
    "affricate": "tʃ dʒ",
    "sibilant": "s z ʃ ʒ",
    "fricative": "f fʲ fʷ v vʲ vʷ θ ð ç h",
    "approximant": "w ɹ j",
    "tap": "ɾ ɾʲ ɾ̃",
    "lateral": "l ɫ ɫ̩ ʎ",
    "close": "i iː ʉ ʉː u uː",
    "near-close": "ɪ ʊ",
    "close-mid": "e ej o ow",
    "open-mid": "ə əw ɚ ɛ ɛː ɜ ɜː ɝ ɔ ɔj",
    "open": "æ ɐ a aj aw aː ɑ ɑː ɒ ɒː",
}
CMU = {
    "plosive": "P B T D K G",
    "affricate": "CH JH",
    "sibilant": "S Z SH ZH",
    "fricative": "F V TH DH HH",
    "nasal": "M N NG",
    "approximant": "W R Y",
    "lateral": "L",
    "close": "IY UW",
    "near-close": "IH UH",
    "close-mid": "EY OW",
    "open-mid": "AH EH ER AO OY",
    "open": "AA AE AW AY",
}


@pytest.fixture(scope="module")
def table():
    return read_classes()


@pytest.mark.parametrize("name", PUBLISHED)
def test_phones_of_the_paper_are_in_its_classes(table, name):
    for phone in PUBLISHED[name].split():
        assert table.classify(phone) == name
        assert table.classify(unicodedata.normalize("NFD", phone)) == name


def test_consonants_and_vowels_are_made_of_the_thirteen(table):
    assert list(table.classes) == list(PUBLISHED)
    assert table.names == (*PUBLISHED, "consonant", "vowel")
    assert (*table.members("consonant"), *table.members("vowel")) == tuple(PUBLISHED)
    assert table.members("tap") == ("tap",)


@pytest.mark.parametrize("name", CMU)
def test_arpabet_with_and_without_stress_in_either_case(table, name):
    for phone in CMU[name].split():
        for label in (phone, f"{phone}0", f"{phone}1", phone.lower(), f"{phone}_B", f" {phone} "):
            assert table.classify(label, "arpabet") == name, label


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("ˈɑː", "open"),
        ("n̪", "nasal"),
        ("ẽ", "close-mid"),
        ("t͡ʃ", "affricate"),
        ("pʼ", "plosive"),
        ("k̚", "plosive"),
        ("aɪ", "open"),
        ("oʊ", "close-mid"),
        ("ɜ˞", "open-mid"),
        ("ɹ̩", "approximant"),
        ("dʒʷ", "affricate"),
        ("x", "fricative"),
    ],
)
def test_marks_do_not_change_the_class(table, label, expected):
    assert table.classify(label) == expected


# WebMAUS, Praat users, Kaldi, Festival, P2FA, TIMIT, Buckeye, Sphinx, SPPAS, EasyAlign, Charsiu.
PAUSES = """
<p:> <usb> <nib> # _ - ... sil SIL sil_S SIL_B sp spn <eps> <unk> pau SSIL brth br lg cg ns {LG}
{SL} h# #h epi <SIL> VOCNOISE <LAUGH> +NSN+ +SPN+ +BREATH+ silB silE [SIL] [noise] breath laughter
dummy
"""


@pytest.mark.parametrize("label", ["", "  ", *PAUSES.split()])
def test_pauses_and_noises_of_every_aligner_are_no_phones(table, label):
    for alphabet in ("ipa", "arpabet", "sampa"):
        assert table.classify(label, alphabet) == SILENCE


# English SAMPA as WebMAUS writes it.
SAMPA = {
    "plosive": "p b t d k g ?",
    "affricate": "tS dZ",
    "fricative": "f v T D h",
    "sibilant": "s z S Z",
    "nasal": "m n N n=",
    "lateral": "l l=",
    "approximant": "r w j",
    "tap": "4",
    "close": "i: u:",
    "near-close": "I U I@ U@",
    "close-mid": "eI",
    "open-mid": "e V @ 3: 3` @` O: OI @U e@",
    "open": "{ Q A: aI aU",
}


def test_sampa_is_told_from_arpabet_and_ipa_and_has_its_classes(table):
    labels = " ".join(SAMPA.values()).split()
    assert table.alphabet_of([*labels, "<p:>"]) == "sampa"
    for name, phones in SAMPA.items():
        for phone in phones.split():
            assert table.classify(phone, "sampa") == name, phone
            assert table.classify(f'"{phone}', "sampa") == name  # stressed
    assert table.classify("qq", "sampa") == UNMAPPED


def test_labels_of_which_two_alphabets_make_different_phones_are_refused(table):
    with pytest.raises(ValueError, match="'T' is plosive or fricative: give --alphabet"):
        table.alphabet_of(["S", "T"])
    with pytest.raises(ValueError, match="may be ipa or arpabet"):
        table.alphabet_of(["y"])
    assert table.alphabet_of(["S", "m"]) in ("arpabet", "sampa")  # alike in both
    assert table.alphabet_of(["T", "@"]) == "sampa"
    assert table.alphabet_of(["T", "AA1", "IY0"]) == "arpabet"


@pytest.mark.parametrize("label", ["qqq", "7", "ʘ", "AA+"])
def test_other_labels_are_unmapped_and_not_silence(table, label):
    assert table.classify(label) == UNMAPPED


def test_the_alphabet_is_told_by_the_labels(table):
    assert table.alphabet_of(["HH", "AH0", "L", "OW1", "", "sil"]) == "arpabet"
    assert table.alphabet_of(["y", "r", "sh", "iy", "sp"]) == "arpabet"
    assert table.alphabet_of(["j", "ɹ", "i", "a", "t"]) == "ipa"
    assert table.alphabet_of(["y", "a"]) == "ipa"
    assert table.alphabet_of(["iy", "sh", "t", "qq"]) == "arpabet"  # one odd label decides nothing
    # the same letter, two phones
    assert table.classify("y", "arpabet") == "approximant"
    assert table.classify("y", "ipa") == "close"


def test_a_flat_table_as_published_is_completed(tmp_path: Path):
    file = tmp_path / "flat.json"
    flat = {name: phones.split() for name, phones in PUBLISHED.items()}
    file.write_text(json.dumps(flat), encoding="utf-8")
    table = read_classes(file)
    assert table.classify("AA1") == "open"
    assert table.members("vowel")[0] == "close"
    assert table.classify("x") == UNMAPPED  # the paper does not have it


def _edited(**changes: object) -> dict[str, object]:
    return {**json.loads(DEFAULT_FILE.read_text(encoding="utf-8")), **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": {"a": ["x"], "b": ["y", "x"]}}, "'x' is in two classes: a, b"),
        ({"classes": {"a": []}}, r"classes.a must be a list of one text or more; got \[\]"),
        ({"classes": {"a": "xy"}}, "classes.a must be a list"),
        ({"classes": {"all": ["x"]}}, "'all' cannot name a class"),
        ({"classes": {"a/b": ["x"]}}, "cannot name a class"),
        ({"classes": []}, "'classes' must be an object"),
        ({"groups": {"vowel": ["opn"]}}, "of 'opn', which is no class; classes are nasal"),
        ({"groups": {"nasal": ["open"]}}, "has a class's name"),
        ({"arpabet": {"AA": "ʘ"}}, "'AA' stands for 'ʘ', which is in no class"),
        ({"silence": "sil"}, "'silence' must be a list"),
        ({"sampa": ["T"]}, "'sampa' must map SAMPA symbols to IPA"),
        ({"vowels": []}, "unknown key 'vowels'; expected about, classes"),
    ],
)
def test_a_wrong_table_is_refused_by_file_and_key(tmp_path, changes, message):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(_edited(**changes)), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        read_classes(file)
    assert str(file) in str(caught.value)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        read_classes(tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="is not JSON"):
        read_classes(broken)
    with pytest.raises(ValueError, match="no class or group of phones 'plosives'; there are nasal"):
        read_classes().members("plosives")
