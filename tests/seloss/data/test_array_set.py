"""Arrays made of corpora: the published grid, right ratios, no leak between splits, resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seloss.data.corpus.listing import read_folder
from seloss.data.formats.array import read_info
from seloss.data.formats.manifest import read_manifest
from seloss.data.formats.mixture import DataError
from seloss.data.mixing.make_arrays import describe_arrays, make_arrays
from seloss.data.mixing.segment_plan import plan_from_mixtures, plan_from_recordings
from seloss.data.mixing.segments import ArrayConfig
from tests.data import make_manifest
from tests.seloss.data.corpus import energy_db, make_noise, make_speech

CONFIG = ArrayConfig(seconds=0.4, n_train=12, n_valid=4)
SPEAKERS = [f"s{index:02d}" for index in range(6)]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Six speakers, three noise types of four recordings."""
    folder = tmp_path_factory.mktemp("corpora")
    speech = make_speech(folder / "speech", SPEAKERS, seconds=0.5)
    noise = make_noise(folder / "noise", ["a", "b", "c"], n_files=4)
    return read_folder(speech, "speech"), read_folder(noise, "noise")


@pytest.fixture(scope="module")
def made(corpora, tmp_path_factory):
    out = tmp_path_factory.mktemp("arrays")
    plans = plan_from_recordings(out, *corpora, CONFIG)
    infos = make_arrays(plans, CONFIG, progress=False)
    return {info.path.stem: read_info(info.path) for info in infos}


def rows(info):
    return np.load(info.path).reshape(-1, 2, info.shape[-1])


def test_the_layout_is_the_published_one(made):
    n_test = made["test"].shape[2]
    assert made["train"].shape == (12, 2, 6400)
    assert made["valid"].shape == (4, 2, 6400)
    assert made["test"].shape == (2, 7, n_test, 2, 6400)
    assert made["test"].axes == {
        "noise_class": ["seen", "unseen"],
        "snr_db": [-10, -5, 0, 5, 10, 15, 20],
    }
    assert np.load(made["test"].path).dtype == np.float32


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_every_item_has_the_ratio_it_is_said_to_have(made, split):
    info = made[split]
    for index, (noisy, clean) in enumerate(rows(info)):
        length = info.fact("length", index)
        noise = noisy.astype(np.float64) - clean
        stated = info.fact("snr_db", index)
        assert energy_db(clean[:length], noise[:length]) == pytest.approx(stated, abs=0.01)
        assert not noisy[length:].any()
        assert not clean[length:].any()
        assert np.abs(noisy).max() <= 1


def test_the_cells_of_the_test_are_what_the_axes_say(made):
    info = made["test"]
    grid = np.array(info.columns["snr_db"]).reshape(info.shape[:3])
    seen = np.array(info.columns["seen"]).reshape(info.shape[:3])
    for cell, ratio in enumerate(info.axes["snr_db"]):
        assert (grid[:, cell] == ratio).all()
    assert seen[0].all()
    assert not seen[1].any()
    clean = np.load(info.path)[..., 1, :]
    levels = np.sqrt((clean**2).sum(-1))
    shapes = clean / levels[..., None]
    assert np.allclose(shapes, shapes[:1, :1], atol=1e-4)  # the same speech in every cell


def test_no_speaker_and_no_noise_file_is_in_two_splits(made, corpora, tmp_path):
    speakers = {split: set(info.columns["speaker"]) for split, info in made.items()}
    assert not speakers["train"] & speakers["test"]
    assert not speakers["train"] & speakers["valid"]
    assert not speakers["valid"] & speakers["test"]
    plans = plan_from_recordings(tmp_path, *corpora, CONFIG)
    files = [{one.noise for one in plan.items} for plan in plans]
    assert not files[0] & files[2]
    trained = set(made["train"].columns["noise_type"])
    for kind, seen in zip(*(made["test"].columns[n] for n in ("noise_type", "seen")), strict=True):
        assert (kind in trained) == seen


def test_the_same_seed_gives_the_same_bytes(made, corpora, tmp_path):
    plans = plan_from_recordings(tmp_path / "again", *corpora, CONFIG)
    for info in make_arrays(plans, CONFIG, jobs=1, progress=False):
        assert info.path.read_bytes() == made[info.path.stem].path.read_bytes()
    other = replace(CONFIG, seed=1)
    plans = plan_from_recordings(tmp_path / "other", *corpora, other)
    train = make_arrays(plans[:1], other, progress=False)[0]
    assert train.path.read_bytes() != made["train"].path.read_bytes()


def test_stopped_in_between_it_goes_on_and_ends_the_same(made, corpora, tmp_path, monkeypatch):
    plans = plan_from_recordings(tmp_path, *corpora, CONFIG)[:1]
    monkeypatch.setattr("seloss.data.mixing.make_arrays._BLOCK", 4)
    from seloss.data.mixing import make_arrays as array_set

    real, count = array_set._make, []

    def failing(plan, config):
        count.append(plan.id)
        if len(count) == 10:
            raise KeyboardInterrupt
        return real(plan, config)

    monkeypatch.setattr(array_set, "_make", failing)
    with pytest.raises(KeyboardInterrupt):
        make_arrays(plans, CONFIG, jobs=1, progress=False)
    assert not (tmp_path / "train.npy").exists()
    again = []
    monkeypatch.setattr(array_set, "_make", lambda p, c: again.append(p.id) or real(p, c))
    make_arrays(plans, CONFIG, jobs=1, progress=False)
    assert len(again) in (4, 8)  # of 12, as one or two blocks of 4 had been written
    assert (tmp_path / "train.npy").read_bytes() == made["train"].path.read_bytes()


def test_a_second_start_makes_nothing_and_other_settings_are_refused(made, corpora, monkeypatch):
    out = made["train"].path.parent
    monkeypatch.setattr(
        "seloss.data.mixing.make_arrays._make", None
    )  # would raise if it were called
    make_arrays(plan_from_recordings(out, *corpora, CONFIG), CONFIG, progress=False)
    other = replace(CONFIG, seed=5)
    with pytest.raises(DataError, match=r"other settings \(seed was 0, is 5; recordings: other"):
        make_arrays(plan_from_recordings(out, *corpora, other), other, progress=False)


def test_sizes_are_announced_before_anything_is_made(corpora, tmp_path):
    plans = plan_from_recordings(tmp_path, *corpora, replace(CONFIG, n_train=1000))
    told = describe_arrays(plans)
    assert "[1000, 2, 6400], 51.2 MB, 1000 items" in told
    assert "-10, -5, 0, 5, 10, 15, 20" in told
    assert not list(tmp_path.iterdir())


def test_by_default_every_segment_meets_every_ratio(corpora, tmp_path):
    plans = plan_from_recordings(tmp_path, *corpora, replace(CONFIG, n_train=None))
    items = plans[0].items
    assert len(items) == 7 * len({(one.speech, one.start) for one in items})
    assert len(items) == 7 * 4 * 2  # four speakers of two files of one segment


def test_a_corpus_without_unseen_noise_is_refused(tmp_path):
    speech = read_folder(make_speech(tmp_path / "s", SPEAKERS[:3]), "speech")
    noise = read_folder(make_noise(tmp_path / "n", ["only"], n_files=4), "noise")
    with pytest.raises(DataError, match=r"no noise of class unseen.*--noise_classes"):
        plan_from_recordings(tmp_path, speech, noise, CONFIG)
    plans = plan_from_recordings(tmp_path, speech, noise, replace(CONFIG, noise_classes=("seen",)))
    assert plans[2].info.shape[:2] == (1, 7)


def test_long_recordings_are_cut_and_short_remainders_left_out(tmp_path):
    speech = make_speech(tmp_path / "s", SPEAKERS[:3], n_files=1, seconds=2.6)
    noise = make_noise(tmp_path / "n", ["a", "b", "c"], n_files=4)
    config = ArrayConfig(seconds=1.0)
    plans = plan_from_recordings(
        tmp_path, read_folder(speech, "speech"), read_folder(noise, "noise"), config
    )
    cuts = {(one.start, one.n_samples) for one in plans[0].items}
    assert cuts == {(0, 16000), (16000, 16000)}


def test_manifests_are_taken_at_their_first_microphone(tmp_path):
    names = {"train": ["pink", "hum"], "valid": ["pink"], "test": ["pink", "rain"]}
    manifests = {}
    for at, split in enumerate(names):
        path = make_manifest(tmp_path / split, n_items=4, seed=at, n_mics=3, seconds=0.5)
        entries = json.loads(path.read_text())
        for index, entry in enumerate(entries):
            entry["speaker"] = f"{split}{index}"
            entry["id"] = f"{split}-{index}"
            entry["seen"] = index % 2 == 0
        path.write_text(json.dumps(entries))
        manifests[split] = read_manifest(path)
    config = ArrayConfig(seconds=0.4)
    infos = make_arrays(plan_from_mixtures(tmp_path / "out", manifests, config), config)
    train, _, test = (read_info(info.path) for info in infos)
    assert test.shape == (2, 7, 2, 2, 6400)
    import soundfile as sf

    first = train.ids.index("train-train-0")
    entry = manifests["train"][0]
    mixture, speech = (sf.read(paths[0])[0][:6400] for paths in (entry.mixture, entry.speech))
    assert np.allclose(rows(train)[first], [mixture, speech], atol=1e-6)
    for index, (noisy, clean) in enumerate(rows(test)):
        length = test.fact("length", index)
        ratio = energy_db(clean[:length], (noisy.astype(np.float64) - clean)[:length])
        assert ratio == pytest.approx(test.fact("snr_db", index), abs=0.01)
    shared = {**manifests, "test": manifests["train"]}
    with pytest.raises(DataError, match="speaker is in test and train"):
        plan_from_mixtures(tmp_path / "out", shared, config)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"seconds": 0}, "seconds must lie between"),
        ({"snr_db": ()}, "snr_db must be distinct"),
        ({"snr_db": (0, 0)}, "snr_db must be distinct"),
        ({"noise_classes": ("known",)}, "must be some of seen, unseen"),
        ({"n_test": 0}, "n_test must be 1 or more"),
    ],
)
def test_wrong_settings_are_refused(fields, what):
    with pytest.raises(ValueError, match=what):
        ArrayConfig(**fields)


def test_a_disk_too_small_is_told_before_the_work(corpora, tmp_path, monkeypatch):
    plans = plan_from_recordings(tmp_path, *corpora, CONFIG)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("seloss.data.mixing.make_arrays.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="GB left"):
        make_arrays(plans, CONFIG, progress=False)
    assert not Path(tmp_path / "train.npy").exists()
