"""What a folder holds, from its listing or its tree."""

import numpy as np
import pytest
import soundfile as sf

from seloss.data.corpus.listing import read_folder, write_listing
from seloss.data.formats.manifest import DataError


def sound(path, seconds=0.1, channels=1, rate=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.full((round(seconds * rate), channels), 0.1), rate)


def groups(folder, part="speech"):
    return {one.name: (one.group, one.split) for one in read_folder(folder, part)}


def test_a_librispeech_tree_is_read_as_it_is(tmp_path):
    for split, speaker, chapter in [
        ("train-clean-100", 103, 1240),
        ("dev-clean", 84, 121),
        ("test-other", 61, 7),
    ]:
        folder = tmp_path / split / str(speaker) / str(chapter)
        sound(folder / f"{speaker}-{chapter}-0000.flac")
        (folder / f"{speaker}-{chapter}.trans.txt").write_text(
            f"{speaker}-{chapter}-0000 HE SAID  NO\n"
        )
    found = read_folder(tmp_path, "speech")
    assert {(one.group, one.split) for one in found} == {
        ("103", "train"),
        ("84", "valid"),
        ("61", "test"),
    }
    assert {one.transcript for one in found} == {"he said  no"}


@pytest.mark.parametrize(
    ("name", "group", "split"),
    [
        ("anna/day1/a.wav", "day1", None),
        ("anna/a.ogg", "anna", None),
        ("valid/anna/a.wav", "anna", "valid"),
        ("anna/test/a.wav", "anna", "test"),
        ("train/103-1240-0000.flac", "103", "train"),
        ("rain_2-50667-B.wav", "rain", None),
        ("p225_001.wav", "p225", None),
        ("babble7.wav", "babble", None),
        ("123.wav", "123", None),
        ("testing/a.wav", "testing", None),
    ],
)
def test_a_tree_says_group_and_split(tmp_path, name, group, split):
    sound(tmp_path / name.replace(".ogg", ".flac"))
    assert list(groups(tmp_path).values()) == [(group, split)]


def test_what_is_no_audio_is_passed_over(tmp_path):
    sound(tmp_path / "a" / "x.wav", 0.25, channels=3, rate=8000)
    (tmp_path / "a" / "notes.txt").write_text("no audio")
    sound(tmp_path / "a" / ".hidden.wav")
    (one,) = read_folder(tmp_path, "rir")
    assert (one.name, one.seconds, one.channels) == ("a/x.wav", 0.25, 3)


def test_a_listing_goes_before_the_tree(tmp_path):
    sound(tmp_path / "b" / "1.wav")
    sound(tmp_path / "a" / "2.wav")
    sound(tmp_path / "a" / "unlisted.wav")
    rows = [
        {
            "path": "b/1.wav",
            "speaker": "s1",
            "transcript": "one, two",
            "textgrid": "g/1.TextGrid",
            "split": "dev",
        },
        {"path": "a/2.wav", "speaker": "s2", "transcript": "", "textgrid": "", "split": ""},
    ]
    write_listing(tmp_path / "speech.csv", rows)
    second, first = read_folder(tmp_path, "speech")
    assert (first.group, first.split, first.transcript) == ("s1", "valid", "one, two")
    assert first.textgrid == tmp_path / "g" / "1.TextGrid"
    assert (second.name, second.group, second.split, second.transcript) == (
        "a/2.wav",
        "s2",
        None,
        None,
    )
    assert second.textgrid is None


def test_a_manifest_beside_the_folder_tells_of_what_is_in_it(tmp_path):
    sound(tmp_path / "noise" / "1.wav")
    sound(tmp_path / "speech" / "2.wav")
    rows = [
        {"path": "noise/1.wav", "label": "rain", "split": "train"},
        {"path": "speech/2.wav", "label": "anna", "split": "test"},
    ]
    write_listing(tmp_path / "manifest.csv", rows)
    assert groups(tmp_path / "noise", "noise") == {"1.wav": ("rain", "train")}
    assert groups(tmp_path / "speech") == {"2.wav": ("anna", "test")}


def test_a_listing_of_other_folders_leaves_the_tree(tmp_path):
    sound(tmp_path / "mine" / "anna" / "1.wav")
    write_listing(tmp_path / "manifest.csv", [{"path": "other/1.wav", "speaker": "s"}])
    assert groups(tmp_path / "mine") == {"anna/1.wav": ("anna", None)}


def test_errors_say_what_and_where(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        read_folder(tmp_path / "none", "speech")
    with pytest.raises(DataError, match="holds no audio"):
        read_folder(tmp_path, "speech")
    write_listing(tmp_path / "speech.csv", [{"path": "a.wav", "who": "x"}])
    with pytest.raises(DataError, match=r"columns path and speaker \(or label\); has path, who"):
        read_folder(tmp_path, "speech")
    rows = [{"path": name, "speaker": "x"} for name in ("none.wav", "bad.wav", "empty.wav")]
    write_listing(tmp_path / "speech.csv", rows)
    (tmp_path / "bad.wav").write_text("no audio")
    sound(tmp_path / "empty.wav", seconds=0)
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path, "speech")
    told = [(problem.line, problem.what[:12]) for problem in caught.value.problems]
    assert told == [(2, "does not exi"), (3, "is not reada"), (4, "is empty")]
