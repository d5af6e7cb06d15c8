"""Reading, checking and writing manifests."""

import json
import logging
import os
import pickle

import numpy as np
import pytest
import soundfile as sf

from seloss.data.formats.audio import read_header
from seloss.data.formats.manifest import (
    DataError,
    Problem,
    read_manifest,
    validate_manifest,
    write_manifest,
)
from tests.data import SAMPLE_RATE, make_manifest


def write(folder, entries):
    """Write entries as a manifest, one a line, the first on line 2."""
    path = folder / "manifest.json"
    path.write_text("[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n")
    return path


def entry(name="a", **fields):
    mic = {
        "mixture": f"{name}_m.wav",
        "speech": f"{name}_s.wav",
        "noise": f"{name}_n.wav",
        "length": 100,
    }
    return {"id": name, "1": mic, **fields}


def problems(path):
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    return caught.value.problems


def check(path, **options):
    return validate_manifest(path, sample_rate=SAMPLE_RATE, **options)


def complaint(path, **options):
    """Return the one problem the check finds."""
    with pytest.raises(DataError) as caught:
        check(path, **options)
    (problem,) = caught.value.problems
    return problem


def test_a_manifest_is_read_with_paths_relative_to_it(tmp_path):
    fields = {
        "speaker": "61",
        "transcript": "so",
        "noise_type": "rain",
        "snr_db": -2.5,
        "seen": False,
    }
    path = write(tmp_path, [entry("a", textgrid="g/a.TextGrid", rt60_s=0.3, **fields)])
    (item,) = read_manifest(path)
    assert item.mixture == (tmp_path / "a_m.wav",)
    assert item.speech == (tmp_path / "a_s.wav",)
    assert item.noise == (tmp_path / "a_n.wav",)
    assert item.textgrid == tmp_path / "g" / "a.TextGrid"
    assert {name: getattr(item, name) for name in fields} == fields
    assert (item.id, item.length, item.n_mics, item.line) == ("a", 100, 1, 2)
    assert item.extra == {"rt60_s": 0.3}
    assert item.has_sources


def test_paths_do_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    write(tmp_path, [entry()])
    monkeypatch.chdir(tmp_path)
    assert read_manifest("manifest.json")[0].mixture == (tmp_path / "a_m.wav",)


def test_microphones_are_sorted_as_numbers(tmp_path):
    mics = {key: {"mixture": f"m{key}.wav", "length": 5} for key in ("10", "2", "1", "9")}
    (item,) = read_manifest(write(tmp_path, [mics]))
    assert [path.name for path in item.mixture] == ["m1.wav", "m2.wav", "m9.wav", "m10.wav"]
    assert not item.has_sources


def test_the_manifests_of_asteroids_tac_recipe_are_read(tmp_path):
    mics = {
        str(mic): {
            "mixture": f"2mic/sample7/mixture_mic{mic}.wav",
            "spk1": f"2mic/sample7/spk1_mic{mic}.wav",
            "spk2": f"2mic/sample7/spk2_mic{mic}.wav",
            "length": 64000,
        }
        for mic in (2, 1)
    }
    path = tmp_path / "tac.json"
    path.write_text(json.dumps([mics], indent=4))
    (item,) = read_manifest(path)
    assert [p.name for p in item.speech] == ["spk1_mic1.wav", "spk1_mic2.wav"]
    assert [p.name for p in item.noise] == ["spk2_mic1.wav", "spk2_mic2.wav"]
    assert item.id == "2mic-sample7-mixture_mic1"


def test_what_is_written_is_read_again(tmp_path):
    original = read_manifest(make_manifest(tmp_path, n_items=3, n_mics=[1, 3], rt60_s=0.2))
    elsewhere = tmp_path / "other" / "again.json"
    write_manifest(elsewhere, original)
    again = read_manifest(elsewhere)
    assert again == original
    assert [item.line for item in again] == [2, 3, 4]
    assert not os.path.isabs(json.loads(elsewhere.read_text())[0]["1"]["mixture"])


def test_a_missing_manifest_and_an_empty_one_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        read_manifest(tmp_path / "none.json")
    assert "empty" in problems(write(tmp_path, []))[0].what


@pytest.mark.parametrize(
    "text", ["", "{}", "[{]", "[{} {}]", '[{"id": "a"}', "[] more", "[1,]", "\x00"]
)
def test_what_is_not_a_json_list_is_told_with_its_line(tmp_path, text):
    path = tmp_path / "manifest.json"
    path.write_text("\n\n" + text)
    (problem, *_) = problems(path)
    assert problem.line == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (7, "expected an object"),
        ({"id": "a"}, "no microphone"),
        ({"1": "m.wav"}, "must be an object"),
        ({"1": {"speech": "s.wav", "length": 3}}, "has no 'mixture'"),
        ({"1": {"mixture": "m.wav"}}, "'length'"),
        ({"1": {"mixture": "m.wav", "length": 0}}, "above 0; got 0"),
        ({"1": {"mixture": "m.wav", "length": True}}, "got True"),
        ({"1": {"mixture": "m.wav", "length": 2.0}}, "got 2.0"),
        ({"1": {"mixture": 5, "length": 2}}, "path of a file; got 5"),
        ({"1": {"mixture": "", "length": 2}}, "path of a file; got ''"),
        (
            entry(**{"2": {"mixture": "b.wav", "noise": "n", "speech": "s", "length": 99}}),
            "equally long",
        ),
        (
            entry(**{"2": {"mixture": "b.wav", "noise": "n", "length": 100}}),
            "microphone '2' has no 'speech'",
        ),
        (entry("../up"), "can name a file"),
        (entry("."), "can name a file"),
        (entry(""), "can name a file"),
        (entry(snr_db="3"), "'snr_db' must be float"),
        (entry(snr_db=True), "'snr_db' must be float"),
        (entry(snr_db=float("nan")), "must be finite"),
        (entry(seen="yes"), "'seen' must be bool"),
        (entry(transcript=["a"]), "'transcript' must be str"),
    ],
)
def test_a_wrong_entry_is_told_with_its_line(tmp_path, wrong, said):
    (problem,) = problems(write(tmp_path, [entry("first"), wrong, entry("last")]))
    assert problem.line == 3
    assert said in problem.what


def test_an_id_or_a_key_given_twice_is_told(tmp_path):
    (problem,) = problems(write(tmp_path, [entry("a"), entry("b"), entry("a")]))
    assert (problem.line, problem.item) == (4, "a")
    assert "taken on line 2" in problem.what
    path = tmp_path / "keys.json"
    path.write_text('[{"id": "a", "id": "b"}]')
    assert "'id' is given twice" in problems(path)[0].what


def test_an_error_crosses_processes_whole():
    error = DataError("x.json", [Problem(3, "a", "is wrong")])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.problems == error.problems


def test_the_message_shows_ten_offenders_and_counts_the_rest(tmp_path):
    with pytest.raises(DataError) as caught:
        read_manifest(write(tmp_path, [{"id": f"wrong{index}"} for index in range(13)]))
    message = str(caught.value)
    assert len(caught.value.problems) == 13
    assert "13 problem(s)" in message
    assert "line 11, item 'wrong9'" in message
    assert "wrong10" not in message
    assert "3 more" in message


def test_a_good_manifest_passes_and_keeps_its_order(tmp_path):
    items = check(make_manifest(tmp_path, n_items=5, n_mics=[2, 4], seconds=[0.2, 0.3]))
    assert [item.id for item in items] == [f"item{index}" for index in range(5)]


def spoil(path, how):
    """Rewrite one audio file with something wrong."""
    samples, rate = sf.read(path, dtype="float32")
    if how == "rate":
        rate = 8000
    elif how == "channels":
        samples = np.stack([samples, samples], axis=1)
    elif how == "short":
        samples = samples[:-1]
    elif how == "nan":
        samples[-1] = np.nan
    elif how == "inf":
        samples[0] = np.inf
    elif how == "empty":
        samples = samples[:0]
    elif how == "silent":
        samples[:] = 0
    sf.write(path, samples, rate, subtype="FLOAT")


@pytest.mark.parametrize("role", ["mixture", "speech", "noise"])
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("rate", "8000 Hz, expected 16000"),
        ("channels", "2 channels, expected 1"),
        ("short", "3199 samples, expected 'length' 3200"),
        ("nan", "not finite"),
        ("inf", "not finite"),
        ("empty", "is empty"),
    ],
)
def test_a_wrong_file_of_any_role_is_told(tmp_path, role, how, said):
    path = make_manifest(tmp_path, n_items=3, seconds=0.2)
    spoil(tmp_path / "audio" / "item1" / f"{role}_mic2.wav", how)
    problem = complaint(path)
    assert (problem.line, problem.item) == (3, "item1")
    assert f"{role} of microphone 2" in problem.what
    assert said in problem.what


@pytest.mark.parametrize("how", ["nan", "inf"])
def test_long_files_are_checked_in_every_block(tmp_path, how):
    path = make_manifest(tmp_path, n_items=1, seconds=6.0)  # of two blocks
    target = tmp_path / "audio" / "item0" / "speech_mic1.wav"
    samples, rate = sf.read(target, dtype="float32")
    samples[1000:] = 0  # sound in the first block alone is sound
    sf.write(target, samples, rate, subtype="FLOAT")
    assert len(check(path)) == 1
    spoil(target, how)
    assert "not finite" in complaint(path).what


def test_silence_is_refused_but_for_noise(tmp_path):
    path = make_manifest(tmp_path, n_items=2, seconds=0.2)
    spoil(tmp_path / "audio" / "item0" / "noise_mic1.wav", "silent")
    assert len(check(path)) == 2
    spoil(tmp_path / "audio" / "item0" / "speech_mic1.wav", "silent")
    assert "is silent" in complaint(path).what


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "does not exist"), (b"no audio", "not readable audio"), ("folder", "is not a file")],
)
def test_what_is_not_audio_is_told(tmp_path, content, said):
    path = make_manifest(tmp_path, n_items=2, seconds=0.2)
    target = tmp_path / "audio" / "item1" / "mixture_mic1.wav"
    target.unlink()
    if content == "folder":
        target.mkdir()
    elif content is not None:
        target.write_bytes(content)
    assert said in complaint(path).what


def test_a_damaged_end_is_found(tmp_path):
    path = make_manifest(tmp_path, n_items=1, seconds=1.0)
    target = tmp_path / "audio" / "item0" / "mixture_mic1.wav"
    samples, rate = sf.read(target)
    flac = target.with_suffix(".flac")
    sf.write(flac, samples, rate)
    flac.write_bytes(flac.read_bytes()[: flac.stat().st_size // 2])
    flac.rename(target)
    assert complaint(path)


def test_entries_and_files_are_told_together_in_the_order_of_lines(tmp_path):
    path = make_manifest(tmp_path, n_items=3, seconds=0.2)
    lines = path.read_text().splitlines()
    lines[3] = '{"id": "broken"}'
    path.write_text("\n".join(lines))
    (tmp_path / "audio" / "item0" / "noise_mic1.wav").unlink()
    with pytest.raises(DataError) as caught:
        check(path)
    assert [problem.line for problem in caught.value.problems] == [2, 4]


def test_sources_are_needed_unless_said_otherwise(tmp_path):
    path = make_manifest(tmp_path, n_items=1, seconds=0.2)
    entries = json.loads(path.read_text())
    for mic in ("1", "2"):
        del entries[0][mic]["speech"], entries[0][mic]["noise"]
    path.write_text(json.dumps(entries))
    assert "no 'speech'" in complaint(path).what
    assert len(check(path, require_sources=False)) == 1


def test_a_second_check_only_reads_what_changed(tmp_path, monkeypatch):
    path = make_manifest(tmp_path, n_items=3, seconds=0.2)
    check(path)
    opened = []

    def watched(path):
        opened.append(path.name)
        return read_header(path)

    monkeypatch.setattr("seloss.data.formats.validation.read_header", watched)
    monkeypatch.setattr("seloss.data.formats.manifest.warn_if_not_a_sum", lambda items: None)
    check(path)
    assert opened == []
    spoil(tmp_path / "audio" / "item2" / "speech_mic2.wav", "nan")
    opened.clear()
    assert "not finite" in complaint(path).what
    assert opened == ["speech_mic2.wav"]


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": [1, 2, 3, 4, 5, 6, 7, 8, 9]}'])
def test_a_damaged_memory_is_made_anew(tmp_path, content):
    path = make_manifest(tmp_path, n_items=1, seconds=0.2)
    check(path)
    (memory,) = tmp_path.glob(".*.json")
    memory.write_text(content)
    assert len(check(path)) == 1
    assert "mixture_mic1" in memory.read_text()


def test_mixtures_already_read_can_be_checked(tmp_path):
    items = read_manifest(make_manifest(tmp_path, n_items=2, seconds=0.2))
    assert check(items) == items
    assert not list(tmp_path.glob(".*.json"))
    items[1].noise[1].unlink()
    assert complaint(items).item == "item1"


def test_a_mixture_that_is_not_the_sum_is_only_warned_about(tmp_path, caplog):
    path = make_manifest(tmp_path, n_items=2, seconds=0.2)
    with caplog.at_level(logging.WARNING):
        check(path)
        assert not caplog.records
        target = tmp_path / "audio" / "item0" / "mixture_mic1.wav"
        samples, rate = sf.read(target)
        sf.write(target, 0.5 * samples, rate, subtype="FLOAT")
        check(path)
    # half the mixture is missing: the residual is as strong as what is left
    assert "is not speech + noise (-0.0 dB)" in caplog.text or "(0.0 dB)" in caplog.text
