"""Alignments: repairs with a note, refusals, TextGrids of every variant."""

from __future__ import annotations

import math
import sys
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
    assert "goes on to 1.00 s, the audio ends at 0.30 s: cut, 1 phone(s) lost" in made.notes[0]
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


def _long(name: str, phones: list[Phone], number: int = 1) -> str:
    lines = [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
    lines += ["        xmin = 0", "        xmax = 1", f"        intervals: size = {len(phones)}"]
    for place, phone in enumerate(phones, start=1):
        label = phone.label.replace('"', '""')
        lines += [
            f"        intervals [{place}]:",
            f"            xmin = {phone.start}",
            f"            xmax = {phone.end}",
            f'            text = "{label}"',
        ]
    return "\n".join(lines) + "\n"


def _grid(*tiers: str) -> str:
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 1\n'
    return f"{head}tiers? <exists>\nsize = {len(tiers)}\nitem []:\n{''.join(tiers)}"


WORDS = [Phone(0.0, 0.1, ""), Phone(0.1, 1.0, "word")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("first", ["phones", "words"])
def test_long_files_in_any_encoding_and_order_of_tiers(tmp_path: Path, encoding, first):
    tiers = {"phones": PHONES, "words": WORDS}
    order = [first, *(name for name in tiers if name != first)]
    text = _grid(*(_long(name, tiers[name], at + 1) for at, name in enumerate(order)))
    file = tmp_path / "one.TextGrid"
    file.write_bytes(text.encode(encoding))
    assert list(read_textgrid(file).phones) == PHONES


def test_latin_1_files_are_read_too(tmp_path):
    file = tmp_path / "one.TextGrid"
    file.write_bytes(_grid(_long("phones", [Phone(0.0, 1.0, "æ")])).encode("latin-1"))
    assert read_textgrid(file).phones[0].label == "æ"


def test_the_short_format_and_ours_give_the_same(tmp_path):
    short = tmp_path / "short.TextGrid"
    rows = "".join(f'{p.start}\n{p.end}\n"{p.label}"\n' for p in PHONES[:2])
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1\n<exists>\n1\n'
    short.write_text(f'{head}"IntervalTier"\n"phones"\n0\n1\n2\n{rows}', encoding="utf-8")
    assert list(read_textgrid(short).phones) == PHONES[:2]
    ours = tmp_path / "ours.TextGrid"
    write_textgrid(ours, alignment_of(PHONES, "aligner"), 1.0)
    assert list(read_textgrid(ours).phones) == PHONES


@pytest.mark.parametrize(
    "name", ["phones", "Phone", "jo - phones", "phonemes", "PHN", "Mary - Phones"]
)
def test_common_names_of_the_tier_are_found(tmp_path, name):
    file = tmp_path / "one.TextGrid"
    file.write_text(_grid(_long("words", WORDS), _long(name, PHONES, 2)), encoding="utf-8")
    assert len(read_textgrid(file).phones) == 4


def test_a_tier_can_be_named_and_unclear_ones_are_listed(tmp_path):
    file = tmp_path / "one.TextGrid"
    file.write_text(
        _grid(
            _long("sounds", PHONES), _long("a - phones", PHONES, 2), _long("b - phones", WORDS, 3)
        ),
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match=r"2 tiers fit .*'a - phones', 'b - phones'.*--tier"):
        read_textgrid(file)
    assert len(read_textgrid(file, "^b").phones) == 2
    with pytest.raises(ValueError, match=r"no tier fits 'none'.*'sounds'"):
        read_textgrid(file, "none")


def test_of_two_tiers_of_phones_the_silent_speaker_is_left_out(tmp_path):
    file = tmp_path / "one.TextGrid"
    empty = [Phone(0.0, 1.0, "")]
    file.write_text(
        _grid(_long("a - phones", empty), _long("b - phones", PHONES, 2)), encoding="utf-8"
    )
    assert len(read_textgrid(file).phones) == 4


@pytest.mark.parametrize("content", [b"", b"no grid", b"\x89PNG\r\n\x1a\n" + bytes(300)])
def test_what_is_no_textgrid_is_refused_by_name(tmp_path, content):
    file = tmp_path / "odd.TextGrid"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"odd\.TextGrid"):
        read_textgrid(file)
    with pytest.raises(FileNotFoundError, match="none"):
        read_textgrid(tmp_path / "none.TextGrid")


def test_a_missing_library_is_named_with_its_command(tmp_path, monkeypatch):
    file = tmp_path / "one.TextGrid"
    file.write_text(_grid(_long("phones", PHONES)), encoding="utf-8")
    for module in ("utilities.textgrid_io", "data_classes.textgrid"):
        monkeypatch.setitem(sys.modules, f"praatio.{module}", None)
    with pytest.raises(ModuleNotFoundError, match="pip install praatio"):
        read_textgrid(file)
    with pytest.raises(ModuleNotFoundError, match="pip install praatio"):
        write_textgrid(file, alignment_of(PHONES, "aligner"), 1.0)
