"""Folders of mixtures: deterministic, resumable, refused where they would mix settings."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from seloss.data.corpus.listing import read_folder, write_listing
from seloss.data.formats.manifest import DataError, read_manifest, validate_manifest
from seloss.data.mixing import room_mixture
from seloss.data.mixing.make_mixtures import describe, make_mixtures, plan_mixtures, read_corpora
from seloss.data.mixing.room_plan import MixingConfig
from tests.data import noise_like, speech_like
from tests.seloss.data.corpus import energy_db

RATE = 16000
CONFIG = MixingConfig(rt60_s=(0.12, 0.2), seconds=0.8, max_seconds=1.0)
SIZES = {"train": 4, "valid": 2, "test": 4}


def make_corpus(folder, speakers=5):
    """Write a small corpus: listed speech with words and labels, noises in a tree."""
    rows = []
    for who in range(speakers):
        for number in range(2):
            path = f"s{who}/{number}.flac"
            (folder / "speech" / path).parent.mkdir(parents=True, exist_ok=True)
            sf.write(folder / "speech" / path, speech_like(0.7, seed=10 * who + number), RATE)
            (folder / "speech" / path).with_suffix(".TextGrid").write_text(f"labels of {path}")
            words = {
                "transcript": f"words of {path}",
                "textgrid": path.replace(".flac", ".TextGrid"),
            }
            rows.append({"path": path, "speaker": f"s{who}", **words})
    write_listing(folder / "speech" / "speech.csv", rows)
    for which, kind in enumerate(("pink", "hum", "white")):
        for number in range(3):
            path = folder / "noise" / kind / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, noise_like(1.0, seed=10 * which + number, kind=kind), RATE)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def corpora(corpus):
    return read_corpora(corpus / "speech", corpus / "noise")


@pytest.fixture(scope="module")
def made(corpora, tmp_path_factory):
    out = tmp_path_factory.mktemp("mixtures")
    make_mixtures(out, CONFIG, SIZES, corpora, jobs=1, progress=False)
    return out


def contents(folder):
    """Return the bytes of every file but the settings and hidden ones."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    files = sorted(path for path in found if path.name != "settings.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_manifests_pass_the_check_and_say_what_is_known(made):
    everyone = {}
    for split, size in SIZES.items():
        items = validate_manifest(made / f"{split}.json", sample_rate=RATE)
        assert [item.id for item in items] == [f"{split}-{index:05d}" for index in range(size)]
        everyone[split] = {item.speaker for item in items}
        for item in items:
            assert item.n_mics == 4
            assert item.length == round(0.8 * RATE) if split == "train" else round(0.7 * RATE)
            assert item.extra["noise_file"].startswith(item.noise_type)
            assert all(name.startswith(item.speaker) for name in item.extra["speech_files"])
            assert 0.12 <= item.extra["rt60_s"] <= 0.2
            assert item.extra["rt60_measured_s"] > 0
    assert not everyone["train"] & everyone["test"]
    assert not everyone["train"] & everyone["valid"]


def test_whole_utterances_keep_their_words_and_labels(made):
    for item in read_manifest(made / "test.json"):
        (name,) = item.extra["speech_files"]
        assert item.transcript == f"words of {name}"
        assert item.textgrid.read_text() == f"labels of {name}"
        assert item.textgrid.parent == item.mixture[0].parent
    assert all(
        item.transcript is item.textgrid is None for item in read_manifest(made / "train.json")
    )


def test_a_noise_type_is_seen_if_training_may_have_it(made, corpora):
    _, seen = plan_mixtures(CONFIG, SIZES, corpora)
    assert 0 < len(seen) < 3
    items = [item for split in SIZES for item in read_manifest(made / f"{split}.json")]
    assert all(item.seen == (item.noise_type in seen) for item in items)
    assert not all(item.seen for item in items)


def test_files_hold_what_the_manifest_says(made):
    for item in read_manifest(made / "valid.json"):
        for mixture, speech, noise in zip(item.mixture, item.speech, item.noise, strict=True):
            m, s, n = (sf.read(path, dtype="float32")[0] for path in (mixture, speech, noise))
            assert np.array_equal(m, s + n)
        s, n = (sf.read(paths[0])[0] for paths in (item.speech, item.noise))
        assert energy_db(s, n) == pytest.approx(item.snr_db, abs=0.01)


def test_processes_do_not_change_a_sample(made, corpora, tmp_path):
    make_mixtures(tmp_path, CONFIG, SIZES, corpora, jobs=2, progress=False)
    assert contents(tmp_path) == contents(made)


def test_more_mixtures_leave_the_others_as_they_are(made, corpora, tmp_path):
    make_mixtures(tmp_path, CONFIG, {"train": 1, "test": 1}, corpora, jobs=1, progress=False)
    first = contents(tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    make_mixtures(tmp_path, CONFIG, SIZES, corpora, jobs=1, progress=False)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert contents(tmp_path) == contents(made)
    kept = {name: content for name, content in first.items() if name.endswith(".wav")}
    assert kept.items() <= contents(made).items()


def test_what_is_missing_is_made_again(made, corpora, tmp_path):
    make_mixtures(tmp_path, CONFIG, SIZES, corpora, jobs=1, progress=False)
    folder = tmp_path / "valid" / "valid-00001"
    (folder / "item.json").unlink()
    (folder / "noise_mic2.wav").write_bytes(b"half")
    make_mixtures(tmp_path, CONFIG, SIZES, corpora, jobs=1, progress=False)
    assert contents(tmp_path) == contents(made)


def test_a_killed_run_is_carried_on(made, corpus, tmp_path):
    program = (
        "import sys; from pathlib import Path; from seloss.data.mixing.make_mixtures import *;"
        "from seloss.data.mixing.room_plan import MixingConfig; c = Path(sys.argv[1]);"
        "corpora = read_corpora(c / 'speech', c / 'noise');"
        f"make_mixtures(sys.argv[2], {CONFIG!r}, {SIZES!r}, corpora, jobs=1)"
    )
    command = [sys.executable, "-c", program, str(corpus), str(tmp_path)]
    running = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while (
        not list(tmp_path.rglob("item.json"))
        and running.poll() is None
        and time.monotonic() < limit
    ):
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    done = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("item.json")}
    assert 0 < len(done) < sum(SIZES.values())
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in done.items())
    assert contents(tmp_path) == contents(made)


def test_other_settings_or_recordings_are_not_mixed_in(made, corpora, tmp_path):
    make_mixtures(tmp_path, CONFIG, {"train": 1}, corpora, jobs=1, progress=False)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=r"seed was 0, is 1"):
        make_mixtures(tmp_path, replace(CONFIG, seed=1), {"train": 1}, corpora, jobs=1)
    fewer = {**corpora, "noise": [one for one in corpora["noise"] if one.name != "pink/0.wav"]}
    with pytest.raises(DataError, match=r"noise: other than before"):
        make_mixtures(tmp_path, CONFIG, {"train": 1}, fewer, jobs=1)
    assert contents(tmp_path) == before
    other = replace(CONFIG, seed=1)
    make_mixtures(tmp_path, other, {"train": 1}, corpora, jobs=1, overwrite=True, progress=False)
    assert (
        contents(tmp_path)["train/train-00000/mixture_mic1.wav"]
        != before["train/train-00000/mixture_mic1.wav"]
    )
    make_mixtures(tmp_path, other, {"train": 1}, corpora, jobs=1, progress=False)


def test_silent_noises_are_left_out_and_counted_and_a_corpus_of_nothing_else_is_refused(
    tmp_path, caplog
):
    folder = make_corpus(tmp_path / "corpus")
    sf.write(folder / "noise" / "hum" / "0.wav", np.full(RATE, 0.1), RATE)  # a constant offset
    noise = read_folder(folder / "noise", "noise")
    assert "1 silent files are left out: hum/0.wav" in caplog.text
    assert {one.name for one in noise if one.group == "hum"} == {"hum/1.wav", "hum/2.wav"}
    for path in (folder / "noise").rglob("*.wav"):
        sf.write(path, np.zeros(RATE), RATE)
    with pytest.raises(DataError, match=r"noise: 1 problem.*\n.*is silent in every file"):
        read_folder(folder / "noise", "noise")


def test_a_recording_that_changes_under_the_work_is_named_and_can_be_put_right(tmp_path):
    folder = make_corpus(tmp_path / "corpus")
    corpora = read_corpora(folder / "speech", folder / "noise")
    contents = {path: path.read_bytes() for path in (folder / "noise").rglob("*.wav")}
    for path in contents:
        sf.write(path, np.zeros(RATE), RATE)
    with pytest.raises(DataError, match=r"(?s)item 'train-00000'.*noise/\w+/\d\.wav.*silent"):
        make_mixtures(tmp_path / "out", CONFIG, {"train": 1}, corpora, jobs=1, progress=False)
    assert not list((tmp_path / "out").rglob("item.json"))
    for path, content in contents.items():
        path.write_bytes(content)
    make_mixtures(tmp_path / "out", CONFIG, {"train": 1}, corpora, jobs=1, progress=False)
    assert len(read_manifest(tmp_path / "out" / "train.json")) == 1


def test_a_split_without_recordings_is_told(corpora):
    train_only = {
        part: [replace(one, split="train") for one in found] for part, found in corpora.items()
    }
    with pytest.raises(DataError, match="'valid': no speech is left for it"):
        plan_mixtures(CONFIG, SIZES, train_only)
    assert len(plan_mixtures(CONFIG, {"train": 3}, train_only)[0]) == 3


def test_a_description_counts_speakers_and_noises(corpora):
    plans, seen = plan_mixtures(CONFIG, SIZES, corpora)
    text = describe(plans, seen)
    assert "train: 4 mixtures of" in text
    counted = sum(int(line.split()[0]) for line in text.splitlines() if line.startswith("  "))
    assert counted == len(plans)
    assert ("(unseen)" in text) == any(plan.noise.group not in seen for plan in plans)


def test_measured_rooms_take_the_place_of_simulated_ones(corpus, tmp_path):
    draw = np.random.default_rng(0)
    for room in ("booth", "hall", "lab"):
        for place in range(2):
            path = tmp_path / "rir" / room / f"{place}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            taps = draw.standard_normal((800, 3)) * np.exp(-np.arange(800) / 100)[:, None]
            sf.write(path, 0.2 * taps, RATE, subtype="FLOAT")
    corpora = read_corpora(corpus / "speech", corpus / "noise", tmp_path / "rir")
    make_mixtures(tmp_path / "out", CONFIG, SIZES, corpora, jobs=1, progress=False)
    rooms = {}
    for split in SIZES:
        items = validate_manifest(tmp_path / "out" / f"{split}.json", sample_rate=RATE)
        assert all(item.n_mics == 3 and item.extra["geometry"] == "measured" for item in items)
        rooms[split] = {item.extra["room"] for item in items}
    assert len(rooms["train"] | rooms["valid"] | rooms["test"]) == 3
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["rir"] is not None


def test_a_worker_killed_for_memory_is_named_and_fewer_take_over(
    made, corpora, tmp_path, monkeypatch, caplog
):
    """One process of two ends as the system's memory killer ends it; the other mixtures stay."""
    real = room_mixture.render

    def killed_once(plan, config):
        if plan.id == "valid-00001" and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return real(plan, config)

    monkeypatch.setattr("seloss.data.mixing.make_mixtures.render", killed_once)
    out = tmp_path / "out"
    make_mixtures(out, CONFIG, SIZES, corpora, jobs=2, progress=False)
    assert "a process was killed, as the system does when memory runs out" in caplog.text
    assert contents(out) == contents(made)
    (tmp_path / "killed").unlink()
    with pytest.raises(DataError, match=r"killed, as .* there was one process only"):
        make_mixtures(out, CONFIG, SIZES, corpora, jobs=1, overwrite=True, progress=False)
