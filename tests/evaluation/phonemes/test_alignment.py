"""Alignments: repairs with a note, refusals, TextGrids of every format and tier."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from evaluation.phonemes.alignment import Phone, alignment_of, fitted, phones_from_list
from evaluation.phonemes.textgrid import read_textgrid, write_textgrid

PHONES = [Phone(0.0, 0.1, ""), Phone(0.1, 0.25, "ɹ"), Phone(0.25, 0.5, 'a"b'), Phone(0.5, 1.0, "")]


def test_zero_length_and_overlapping_phones_are_repaired_with_a_note():
    made = alignment_of(
        [Phone(0.3, 0.5, "b"), Phone(0.0, 0.35, "a"), Phone(0.4, 0.4, "x"), Phone(0.5, 0.6, "c")],
        "textgrid",
    )
    assert made.phones == (Phone(0.0, 0.3, "a"), Phone(0.3, 0.5, "b"), Phone(0.5, 0.6, "c"))
    assert "1 phone(s) without duration left out" in made.notes
    assert "1 phone(s) overlap the next: ended at its start" in made.notes


def test_phones_that_only_touch_need_no_note():
    assert alignment_of([Phone(0.0, 0.3000001, "a"), Phone(0.3, 0.5, "b")], "x").notes == ()


@pytest.mark.parametrize(
    ("phones", "message"),
    [
        ([Phone(math.nan, 0.1, "a")], "not finite"),
        ([Phone(-0.1, 0.1, "a")], "must not be negative"),
        ([Phone(0.2, 0.1, "a")], "nor the end before the start"),
        ([Phone(0.2, 0.2, "a")], "no phone"),
        ([], "no phone"),
    ],
)
def test_impossible_times_are_refused(phones, message):
    with pytest.raises(ValueError, match=message):
        alignment_of(phones, "textgrid")


def test_an_alignment_longer_than_the_audio_is_cut_with_a_note():
    made = fitted(alignment_of(PHONES, "textgrid"), 0.3)
    assert [phone.end for phone in made.phones] == [0.1, 0.25, 0.3]
    assert "ends at 1.00 s, the audio at 0.30 s: cut, 1 phone(s) lost" in made.notes[0]
    rounded = fitted(alignment_of(PHONES, "textgrid"), 0.99)
    assert rounded.notes == ()
    assert rounded.phones[-1].end == 0.99


def test_an_alignment_wholly_behind_the_audio_is_refused():
    late = alignment_of([Phone(2.0, 3.0, "a")], "textgrid")
    with pytest.raises(ValueError, match=r"starts at 2.00 s, the audio ends at 1.00 s"):
        fitted(late, 1.0)


@pytest.mark.parametrize(
    "value", ["AA", [1, 2], [[0, 0.1]], [["0", "0.1", "a"]], [[0, True, "a"]], {"a": 1}]
)
def test_wrong_phones_of_a_manifest_say_what_is_expected(value):
    with pytest.raises(ValueError, match=r"\[start, end, label\]"):
        phones_from_list(value)


def _short(**tiers: list[Phone]) -> str:
    """Write the short format."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "1", "<exists>"]
    lines.append(str(len(tiers)))
    for name, phones in tiers.items():
        lines += ['"IntervalTier"', f'"{name}"', "0", "1", str(len(phones))]
        for phone in phones:
            label = phone.label.replace('"', '""')
            lines += [str(phone.start), str(phone.end), f'"{label}"']
    return "\n".join(lines) + "\n"


WORDS = [Phone(0.0, 0.1, ""), Phone(0.1, 1.0, "word")]
#: Written by Praat 6.4 in its four formats; the long and the chronological one are UTF-16.
PRAAT = Path(__file__).with_name("praat")
BY_PRAAT = [Phone(0, 0.1, ""), Phone(0.1, 0.25, "ɹ"), Phone(0.25, 0.5, "AA1"), Phone(0.5, 1, "")]


@pytest.mark.parametrize("form", ["long", "short", "chronological", "binary"])
def test_every_format_of_praat_is_read(form):
    file = PRAAT / f"{form}.TextGrid"
    assert list(read_textgrid(file).phones) == BY_PRAAT
    assert read_textgrid(file).seconds == 1.0
    words = read_textgrid(file, "words").phones
    assert [phone.label for phone in words] == ["", 'item [1]: "x"', ""]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("first", ["words", "phones"])
def test_any_encoding_and_any_order_of_tiers(tmp_path, encoding, first):
    tiers = {"words": WORDS, "phones": PHONES}
    text = _short(**{first: tiers.pop(first)}, **tiers)
    file = tmp_path / "one.TextGrid"
    file.write_bytes(text.encode(encoding))
    assert list(read_textgrid(file).phones) == PHONES


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", " "),
        lambda text: text.replace("0.25", "2.5e-1").replace("0.1\n", "1E-01\n"),
        lambda text: text.replace("<exists>", '<exists> ! 7 tiers "of" 9'),
        lambda text: text.replace("\n0\n1\n", "\nxmin = 0\nxmax=1\n"),
    ],
    ids=["old Mac", "Windows", "one line", "exponents", "comments", "names"],
)
def test_how_a_text_file_is_laid_out_does_not_count(tmp_path, change):
    file = tmp_path / "one.TextGrid"
    file.write_bytes(change(_short(phones=PHONES)).encode())
    assert list(read_textgrid(file).phones) == PHONES


def test_json_of_the_montreal_forced_aligner_and_of_praatio(tmp_path):
    entries = [[0.1, 0.25, "ɹ"], [0.25, 0.5, "AA1"]]
    tiers = {"phones": {"type": "interval", "entries": entries}}
    tiers["beeps"] = {"type": "point", "entries": [[0.3, "x"]]}
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"start": 0, "end": 1.0, "tiers": tiers}), encoding="utf-8")
    assert list(read_textgrid(file).phones) == BY_PRAAT[1:3]
    listed = [{"class": "IntervalTier", "name": "phones", "entries": entries}]
    file.write_text(json.dumps({"xmin": 0, "xmax": 1.0, "tiers": listed}), encoding="utf-8")
    assert list(read_textgrid(file).phones) == BY_PRAAT[1:3]
    assert read_textgrid(file).seconds == 1.0


def test_latin_1_files_are_read_too(tmp_path):
    file = tmp_path / "one.TextGrid"
    file.write_bytes(_short(phones=[Phone(0.0, 1.0, "æ")]).encode("latin-1"))
    assert read_textgrid(file).phones[0].label == "æ"


def test_what_is_written_is_read_again(tmp_path):
    file = tmp_path / "ours.TextGrid"
    write_textgrid(file, alignment_of(PHONES, "aligner"), 1.0)
    assert list(read_textgrid(file).phones) == PHONES
    phones = [Phone(5e-5, 0.2, "a"), Phone(0.3, 0.4, "b")]  # too small for a plain str(), a gap
    write_textgrid(file, alignment_of(phones, "aligner"), 0.5)
    labels = ["", "a", "", "b", ""]
    assert [phone.label for phone in read_textgrid(file).phones] == labels
    assert [phone for phone in read_textgrid(file).phones if phone.label] == phones
    assert "e-" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["phones", "Phone", "jo - phones", "phonemes", "PHN", "Mary - Phones", "MAU"]
)
def test_common_names_of_the_tier_are_found(tmp_path, name):
    file = tmp_path / "one.TextGrid"
    file.write_text(_short(**{"words": WORDS, name: PHONES}), encoding="utf-8")
    assert len(read_textgrid(file).phones) == 4


def test_a_tier_can_be_named_and_unclear_ones_are_listed(tmp_path):
    file = tmp_path / "one.TextGrid"
    tiers = {"sounds": PHONES, "a - phones": PHONES, "b - phones": WORDS}
    file.write_text(_short(**tiers), encoding="utf-8")
    with pytest.raises(ValueError, match=r"2 tiers fit .*'a - phones', 'b - phones'.*--tier"):
        read_textgrid(file)
    assert len(read_textgrid(file, "^b").phones) == 2
    with pytest.raises(ValueError, match=r"no tier fits 'none'.*'sounds'"):
        read_textgrid(file, "none")
    tiers["a - phones"] = [Phone(0.0, 1.0, "")]  # a speaker who says nothing
    file.write_text(_short(**tiers), encoding="utf-8")
    assert len(read_textgrid(file).phones) == 2


BINARY = (PRAAT / "binary.TextGrid").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends too early"),
        (b"no grid", "ends too early"),
        (b"\x89PNG\r\n\x1a\n" + bytes(300), ""),
        (b'File type = "ooTextFile"\nObject class = "PitchTier"\n', "holds a PitchTier"),
        (_short(phones=PHONES)[:-20].encode(), "a quoted text has no end|ends too early"),
        (_short(phones=PHONES).replace("0.25", '"x"').encode(), "expected a number; got"),
        (BINARY[:200], "buffer"),
        (b'{"tiers": 3}', "not iterable"),
    ],
)
def test_what_is_no_textgrid_is_refused_by_name(tmp_path, content, message):
    file = tmp_path / "odd.TextGrid"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"odd\.TextGrid") as caught:
        read_textgrid(file)
    assert re.search(message, str(caught.value))
    with pytest.raises(FileNotFoundError, match="none"):
        read_textgrid(tmp_path / "none.TextGrid")
