"""What a folder holds, from its listing or its tree."""

import os
import shutil

import numpy as np
import pytest
import soundfile as sf

from seloss.data.corpus.listing import read_folder, write_listing
from seloss.data.formats.audio_files import find_audio
from seloss.data.formats.manifest import DataError


def sound(path, seconds=0.1, channels=1, rate=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (round(seconds * rate), channels)
    draw = np.random.default_rng(sum(str(path).encode()))
    sf.write(path, 0.1 * draw.standard_normal(shape), rate)


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
        ("tester/a.wav", "tester", None),
        ("TRAIN/DR1/FCJF0/SA1.wav", "FCJF0", "train"),
        ("val/anna/a.wav", "anna", "valid"),
        ("validation/anna/a.wav", "anna", "valid"),
        ("Eval/anna/a.wav", "anna", "test"),
        ("tr/anna/a.wav", "anna", "train"),
        ("cv/anna/a.wav", "anna", "valid"),
        ("tt/anna/a.wav", "anna", "test"),
        ("si_et_05/440/a.wav", "440", "test"),
        ("alice/2023-05-01.wav", "alice", None),
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


def test_linked_folders_are_searched_once_and_what_is_left_out_is_named(tmp_path, caplog):
    sound(tmp_path / "elsewhere" / "train" / "103" / "a.wav")
    corpus = tmp_path / "corpus"
    sound(corpus / "test" / "61" / "b.opus.flac")
    (corpus / "train").symlink_to(tmp_path / "elsewhere" / "train")
    (corpus / "test" / "61" / "loop").symlink_to(corpus)
    (corpus / "test" / "61" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (corpus / "test" / "61" / "c.m4a").write_bytes(b"not for libsndfile")
    (corpus / "test" / "61" / "._b.wav").write_bytes(b"\0\5\x16\7")
    assert groups(corpus) == {
        "train/103/a.wav": ("103", "train"),
        "test/61/b.opus.flac": ("61", "test"),
    }
    assert "1 left out, .m4a cannot be read (convert to FLAC): c.m4a" in caplog.text
    assert "1 left out, links that lead nowhere" in caplog.text
    assert "1 left out, folders that another path leads to" in caplog.text


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".opus", {"format": "OGG", "subtype": "OPUS"}),
        (".oga", {"format": "OGG", "subtype": "VORBIS"}),
        (".sph", {"format": "NIST"}),
        (".caf", {}),
        (".rf64", {"format": "RF64"}),
        (".MP3", {"format": "MP3", "subtype": "MPEG_LAYER_III"}),
        (".snd", {"format": "AU"}),
        (".aifc", {"format": "AIFF"}),
    ],
)
def test_every_suffix_that_can_be_read_is_taken(tmp_path, suffix, options):
    path = tmp_path / "anna" / f"a{suffix}"
    path.parent.mkdir()
    sf.write(path, 0.1 * np.random.default_rng(0).standard_normal(16000), 16000, **options)
    assert groups(tmp_path) == {f"anna/a{suffix}": ("anna", None)}


def test_names_that_are_not_utf8_are_left_out_named_and_counted(tmp_path, caplog):
    sound(tmp_path / "s1" / "fine.wav")
    for name in (b"s1/caf\xe9.wav", b"caf\xe9/a.wav"):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "s1" / "fine.wav", path)
    assert [one.name for one in read_folder(tmp_path, "speech")] == ["s1/fine.wav"]
    message = "2 left out, names that are not UTF-8 (rename them): caf\\xe9/a.wav, s1/caf\\xe9.wav"
    assert message in caplog.text
    assert len(find_audio(tmp_path, any_name=True)) == 3


def test_a_listing_is_reached_through_a_link_and_its_real_paths_count(tmp_path, caplog):
    real = tmp_path / "disk" / "speech"
    sound(real / "1.wav")
    sound(real / "2.wav")
    write_listing(real / "speech.csv", [{"path": real / "1.wav", "speaker": "s1", "split": "eval"}])
    (tmp_path / "link").symlink_to(real)
    assert groups(tmp_path / "link") == {"1.wav": ("s1", "test")}
    assert "1 audio files of the folder are not in it and are left out: 2.wav" in caplog.text
    write_listing(real / "speech.csv", [{"path": "../other/3.wav", "speaker": "s1"}])
    with pytest.raises(DataError, match=r"line 2, item '../other/3.wav': is not in this folder"):
        read_folder(tmp_path / "link", "speech")


def test_a_split_of_an_unknown_name_is_refused_with_its_line(tmp_path):
    rows = [
        {"path": f"{name}.wav", "speaker": name, "split": split}
        for name, split in (("a", "validation"), ("b", "TEST"), ("c", "heldout"), ("d", ""))
    ]
    for row in rows:
        sound(tmp_path / row["path"])
    write_listing(tmp_path / "speech.csv", rows)
    with pytest.raises(DataError, match=r"line 4, item 'c.wav': split must be .*got 'heldout'"):
        read_folder(tmp_path, "speech")
    write_listing(tmp_path / "speech.csv", [rows[0], rows[1], rows[3]])
    assert [split for _, split in groups(tmp_path).values()] == ["valid", "test", None]


def test_a_folder_beside_those_of_the_splits_is_named_and_a_noise_may_be_called_train(
    tmp_path, caplog
):
    sound(tmp_path / "speech" / "train-clean-100" / "103" / "a.wav")
    sound(tmp_path / "speech" / "own" / "me" / "a.wav")
    assert groups(tmp_path / "speech") == {
        "own/me/a.wav": ("me", None),
        "train-clean-100/103/a.wav": ("103", "train"),
    }
    assert "own beside train-clean-100 is no name of a split" in caplog.text
    for kind in ("street", "train"):
        sound(tmp_path / "noise" / kind / "2023-05-01.wav")
    assert groups(tmp_path / "noise", "noise") == {
        "street/2023-05-01.wav": ("street", None),
        "train/2023-05-01.wav": ("train", None),
    }


def origins(folder, part="noise"):
    return {one.name: one.origin for one in read_folder(folder, part)}


def test_channels_and_copies_are_one_recording_whatever_their_names(tmp_path):
    draw = np.random.default_rng(1)
    scene, other = 0.1 * draw.standard_normal((2, 32000))
    hum = 0.2 * np.sin(2 * np.pi * 50 * np.arange(32000) / 16000)

    def put(name, signal, subtype="PCM_16"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        sf.write(tmp_path / name, signal, 16000, subtype=subtype)

    put("cafe/ch01.wav", scene)
    put("cafe/ch02.wav", draw.standard_normal(32000) * 0.1)  # by its name alone
    put("park/left.wav", scene[::-1])
    put("park/right.wav", np.roll(scene[::-1], 11) + 0.02 * draw.standard_normal(32000))
    put("park/later.wav", other)
    put("hall/one.wav", hum + 0.01 * draw.standard_normal(32000))  # of one hum, but not one sound
    put("hall/two.wav", hum + 0.01 * draw.standard_normal(32000))
    put("bus/renamed.flac", sf.read(tmp_path / "park" / "later.wav")[0])
    found = origins(tmp_path)
    assert found["cafe/ch01.wav"] == found["cafe/ch02.wav"] == "cafe"
    assert found["park/right.wav"] == found["park/left.wav"]
    assert found["bus/renamed.flac"] == found["park/later.wav"]
    assert len({found[name] for name in found if name.startswith(("park", "hall"))}) == 4


def test_a_column_of_the_listing_names_the_recording(tmp_path):
    rows = [{"path": f"{n}.wav", "noise_type": "bus", "recording": "ride"} for n in "ab"]
    for row in rows:
        sound(tmp_path / row["path"])
    write_listing(tmp_path / "noise.csv", rows)
    assert set(origins(tmp_path).values()) == {"ride"}


def test_responses_that_lie_flat_belong_to_the_room_that_their_names_begin_with(tmp_path):
    for name in ("meeting_head0", "meeting_head1", "meeting_far0", "hall-1"):
        sound(tmp_path / f"{name}.wav")
    assert {group for group, _ in groups(tmp_path, "rir").values()} == {"meeting", "hall"}


@pytest.mark.parametrize("part", ["speech", "noise"])
def test_one_sample_that_is_not_finite_is_named_before_any_work(tmp_path, part):
    signal = 0.1 * np.random.default_rng(0).standard_normal(80000)
    signal[70000] = np.nan
    (tmp_path / "a").mkdir()
    sf.write(tmp_path / "a" / "x.wav", signal, 16000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"a/x.wav': has samples that are not finite.*from 70000"):
        read_folder(tmp_path, part)
    sf.write(tmp_path / "a" / "x.wav", np.nan_to_num(signal), 16000, subtype="FLOAT")
    assert len(read_folder(tmp_path, part)) == 1
