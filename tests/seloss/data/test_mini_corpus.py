"""The mini corpus, made of small archives here and, marked slow, of the real ones."""

import csv
import hashlib
import io
import tarfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import yaml

from seloss.data.corpus.listing import read_folder
from seloss.data.corpus.splits import split_noise, split_speech
from seloss.data.formats.manifest import DataError
from seloss.data.mini.corpus import SAMPLE_RATE, prepare
from tests.data import noise_like, speech_like

TABLE = Path(__file__).parents[3] / "configs" / "mini_corpus.yml"


def wav(signal, rate):
    file = io.BytesIO()
    sf.write(file, signal, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def tone_on_offset(rate):
    """Return a tone on an offset, as some recordings have one."""
    time = np.arange(rate) / rate
    return 0.1 * np.sin(2 * np.pi * 500 * time) + 0.5


@pytest.fixture
def small(tmp_path):
    """Return a table and the folder of the archive it takes from."""
    left, right = np.zeros((2, 160))
    left[3], right[7] = 0.5, 2.0
    members = {
        "a/anna.wav": wav(tone_on_offset(16000), 16000),
        "a/anna.TextGrid": b"labels",
        "a/ben.raw": (speech_like(0.5) * 32767).astype("<i2").tobytes(),
        "a/cleo.wav": wav(speech_like(1.0, 44100), 44100),
        "a/rain.wav": wav(noise_like(2.0, kind="white"), 16000),
        "a/left.wav": wav(left, 16000),
        "a/right.wav": wav(right, 16000),
        "a/unused.wav": b"never read",
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"mini-1/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    archives = tmp_path / "archives"
    archives.mkdir()
    (archives / "mini-1.tar.gz").write_bytes(content.getvalue())
    pinned = {
        "project": "mini",
        "version": "1",
        "file": "mini-1.tar.gz",
        "root": "mini-1",
        "licence": "MIT",
    }
    pinned |= {"sha256": hashlib.sha256(content.getvalue()).hexdigest()}
    speaker = {"archive": "mini", "source": "here"}
    table = {
        "archives": {"mini": pinned},
        "speech": [
            {"name": "anna", "split": "train", "light_split": "test", "textgrids": True, **speaker}
            | {"files": {"a/anna.wav": "i am anna"}},
            {"name": "ben", "split": "valid", **speaker, "files": {"a/ben.raw": None}},
            {"name": "cleo", "split": "test", **speaker, "files": {"a/cleo.wav": "cleo"}},
        ],
        "noise": [
            {"name": "rain", "split": "train", "light_split": "train", "start": 0, "end": 1.5}
            | {"file": "a/rain.wav", **speaker},
            {
                "name": "rain",
                "split": "test",
                "start": 1.5,
                "end": 2.0,
                "file": "a/rain.wav",
                **speaker,
            },
        ],
        "responses": [
            {"name": "door", "room": "hall", "parts": ["a/left.wav", "a/right.wav"], **speaker}
        ],
        "multichannel": [],
    }
    (tmp_path / "table.yml").write_text(yaml.safe_dump(table))
    return tmp_path / "table.yml", archives


def files(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def test_the_full_set_is_taken_as_the_table_says(small, tmp_path):
    table, archives = small
    out = tmp_path / "out"
    counts = prepare(out, table, archives=archives, progress=False)
    assert counts == {"speech": 3, "noise": 2, "rir": 1}
    for path in out.rglob("*.flac"):
        info = sf.info(path)
        assert (info.samplerate, info.format, info.subtype) == (16000, "FLAC", "PCM_16")
    assert {
        p: len(sf.read(out / p)[0])
        for p in ("speech/test/cleo/cleo.flac", "speech/valid/ben/ben.flac")
    } == {
        "speech/test/cleo/cleo.flac": 16000,
        "speech/valid/ben/ben.flac": 8000,
    }
    assert (out / "speech/train/anna/anna.TextGrid").read_bytes() == b"labels"
    with (out / "speech/speech.csv").open() as listing:
        rows = list(csv.DictReader(listing))
    assert rows[0]["transcript"] == "i am anna"
    assert rows[0]["textgrid"] == "train/anna/anna.TextGrid"
    assert {row["licence"] for row in rows} == {"MIT"}
    text = (out / "README.md").read_text()
    assert all(word in text for word in ("mini-1.tar.gz", "MIT", "here", "anna", "rain", "hall"))


def test_offsets_are_removed_and_speech_is_not(small, tmp_path):
    table, archives = small
    prepare(tmp_path / "out", table, archives=archives, progress=False)
    got = sf.read(tmp_path / "out/speech/train/anna/anna.flac")[0]
    wanted = tone_on_offset(16000) - 0.5
    inner = slice(2000, -2000)
    assert np.abs(got[inner].mean()) < 1e-4
    assert np.abs(got - wanted)[inner].max() < 2e-3


def test_cuts_of_a_noise_share_no_moment(small, tmp_path):
    table, archives = small
    prepare(tmp_path / "out", table, archives=archives, progress=False)
    cuts = {path.stem: sf.read(path)[0] for path in (tmp_path / "out/noise").rglob("*.flac")}
    assert {name: len(cut) for name, cut in cuts.items()} == {
        "rain_0-1.5s": 24000,
        "rain_1.5-2.0s": 8000,
    }
    whole = noise_like(2.0, kind="white")
    inner = slice(2000, 6000)  # away from the filter's ends
    match = [
        np.corrcoef(cuts["rain_1.5-2.0s"][inner], whole[at:][inner])[0, 1] for at in (24000, 16000)
    ]
    assert match[0] > 0.9
    assert match[1] < 0.5


def test_responses_are_put_side_by_side_in_order(small, tmp_path):
    table, archives = small
    prepare(tmp_path / "out", table, archives=archives, progress=False)
    response = sf.read(tmp_path / "out/rir/hall/door.flac")[0]
    assert response.shape == (160, 2)
    left, right = np.abs(response).max(0)
    assert right == pytest.approx(0.9, abs=0.01)
    assert right / left == pytest.approx(4.0, rel=0.01)  # one gain for all channels
    assert np.abs(response).argmax(0).tolist() == [3, 7]


def test_the_light_set_has_less_and_replaces_the_full_one(small, tmp_path):
    table, archives = small
    out = tmp_path / "out"
    prepare(out, table, archives=archives, progress=False)
    assert prepare(out, table, "light", archives=archives, progress=False) == {
        "speech": 1,
        "noise": 1,
    }
    assert (out / "speech/test/anna/anna.flac").is_file()
    assert not list(out.rglob("train/anna/*"))
    assert not list(out.rglob("cleo.flac"))
    assert len(read_folder(out / "speech", "speech")) == 1


def test_a_second_run_needs_no_archive_and_changes_nothing(small, tmp_path):
    table, archives = small
    out = tmp_path / "out"
    prepare(out, table, archives=archives, progress=False)
    before = files(out)
    (archives / "mini-1.tar.gz").unlink()
    prepare(out, table, archives=archives, progress=False)
    assert files(out) == before


def test_only_what_is_missing_is_made_again(small, tmp_path):
    table, archives = small
    out = tmp_path / "out"
    prepare(out, table, archives=archives, progress=False)
    before = files(out)
    kept = out / "speech/train/anna/anna.flac"
    stamp = kept.stat().st_mtime_ns
    (out / "speech/test/cleo/cleo.flac").unlink()
    prepare(out, table, archives=archives, progress=False)
    assert files(out) == before
    assert kept.stat().st_mtime_ns == stamp


def test_another_table_makes_everything_anew(small, tmp_path):
    table, archives = small
    out = tmp_path / "out"
    prepare(out, table, archives=archives, progress=False)
    table.write_text(table.read_text().replace("end: 1.5", "end: 1.0"))
    prepare(out, table, archives=archives, progress=False)
    assert {path.stem for path in (out / "noise/train").rglob("*.flac")} == {"rain_0-1.0s"}


def test_an_unknown_set_and_a_missing_member_are_refused(small, tmp_path):
    table, archives = small
    with pytest.raises(ValueError, match="one of light, full; got 'huge'"):
        prepare(tmp_path / "out", table, "huge", archives=archives)
    table.write_text(table.read_text().replace("a/ben.raw", "a/bert.raw"))
    with pytest.raises(DataError, match=r"bert\.raw"):
        prepare(tmp_path / "out", table, archives=archives, progress=False)


@pytest.fixture(scope="module")
def entries():
    return yaml.safe_load(TABLE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("key", ["split", "light_split"])
def test_the_table_has_every_split_with_unseen_noise_in_test(entries, key):
    speech = [group[key] for group in entries["speech"] if key in group]
    assert {"train", "valid", "test"} == set(speech)
    kinds = {}
    for entry in entries["noise"]:
        kinds.setdefault(entry[key], set()).add(entry["name"])
    assert kinds["test"] - kinds["train"] - kinds["valid"]
    assert kinds["test"] & kinds["train"]
    assert kinds["valid"] <= kinds["train"]
    names = [group["name"] for group in entries["speech"]]
    assert len(names) == len(set(names))


def test_no_moment_of_a_noise_is_taken_twice(entries):
    taken = {}
    for entry in entries["noise"]:
        taken.setdefault((entry["archive"], entry["file"]), []).append(
            (entry.get("start", 0.0), entry.get("end", float("inf")))
        )
    for cuts in taken.values():
        cuts.sort()
        assert all(first[1] <= second[0] for first, second in pairwise(cuts))


def test_archives_are_pinned_and_all_used(entries):
    used = {
        entry["archive"]
        for part in ("speech", "noise", "responses", "multichannel")
        for entry in entries[part]
    }
    assert used == set(entries["archives"])
    for archive in entries["archives"].values():
        assert len(archive["sha256"]) == 64
        assert archive["version"] in archive["file"]
        assert archive["licence"]


def test_known_wrong_transcripts_are_corrected(entries):
    words = {
        Path(name).stem: text
        for group in entries["speech"]
        for name, text in group["files"].items()
    }
    assert words["spk2_snt3"] == "tear a thin sheet from the yellow pad"
    assert words["spk2_snt5"] == "jump the fence and hurry up the bank"


@pytest.mark.slow
@pytest.mark.parametrize(("which", "n_speech"), [("light", 16), ("full", 81)])
def test_the_real_archives_make_a_corpus(tmp_path, which, n_speech):
    counts = prepare(tmp_path, TABLE, which, progress=False)
    assert counts["speech"] == n_speech
    speech, noise = (
        read_folder(tmp_path / "speech", "speech"),
        read_folder(tmp_path / "noise", "noise"),
    )
    assert len(speech) == n_speech
    speakers = {
        split: {one.group for one in pool} for split, pool in split_speech(speech, 0).items()
    }
    assert all(speakers.values())
    kinds = {split: {one.group for one in pool} for split, pool in split_noise(noise, 0).items()}
    assert {"restaurant", "party"} <= kinds["test"] - kinds["train"]
    for one in (*speech, *noise):
        samples, rate = sf.read(one.path)
        assert rate == SAMPLE_RATE
        assert samples.ndim == 1
        assert np.abs(samples).max() > 0.01
        assert np.mean(samples**2) > 1e-7
