"""Stored features: whole, resumed after a kill, never stale, cut with their audio."""

from __future__ import annotations

import json
import logging
import subprocess
import time

import pytest
import torch

from seloss.data import open_dataset
from seloss.data.formats.feature_store import FeatureStore, audio_hash
from seloss.data.formats.mixture import DataError
from seloss.data.load.feature_dataset import (
    FeatureDataset,
    collate_features,
    fill_store,
    plan_store,
)
from seloss.data.load.loader import build_loader
from tests.data import make_manifest
from tests.programs import run
from tests.warm_python import python

IDENTITY = {"model": "envelope", "layer": 3}
HOP = 160


def envelope(item):
    """Energy of each complete hop, which says which samples it was computed from."""
    signal = item.mixture[0]
    n = len(signal) // HOP
    return signal[: n * HOP].view(n, HOP).square().sum(-1)[None]


def bytes_of(n_samples):
    return 4 * (n_samples // HOP)


@pytest.fixture
def dataset(tmp_path):
    manifest = make_manifest(tmp_path / "data", n_items=5, n_mics=1, seconds=[0.5, 0.3])
    return open_dataset(manifest, sample_rate=16000)


def test_every_utterance_is_stored_once_and_read_back(dataset, tmp_path):
    store = FeatureStore(tmp_path / "store", IDENTITY, shard_bytes=300)
    plan = fill_store(store, dataset, envelope, bytes_of=bytes_of)
    assert (len(plan.missing), plan.total, len(store)) == (5, 5, 5)
    assert plan.n_bytes == sum(store.get(facts.id).nbytes for facts in dataset.items)
    assert len(list((tmp_path / "store").glob("shard-*.safetensors"))) > 1
    again = FeatureStore(tmp_path / "store", IDENTITY, read_only=True)
    for index in range(5):
        item = dataset[index]
        expected = envelope(item)
        assert torch.equal(again.get(item.id, audio_hash(item)), expected)
    assert not plan_store(again, dataset, bytes_of).missing
    rows = json.loads((tmp_path / "store" / "index.json").read_text())
    assert set(rows) == {facts.id for facts in dataset.items}


def test_size_is_told_before_anything_is_computed(dataset, tmp_path, caplog):
    store = FeatureStore(tmp_path / "store", IDENTITY)
    caplog.set_level(logging.INFO)

    def compute(item):
        assert "latents of 5 utterances: 0 there, 5 to compute" in caplog.text
        return envelope(item)

    fill_store(store, dataset, compute, bytes_of=bytes_of, what="latents")
    assert "MiB to" in caplog.text
    empty = FeatureStore(tmp_path / "other", IDENTITY)
    with pytest.raises(OSError, match="not enough room"):
        fill_store(empty, dataset, envelope, bytes_of=lambda _: 10**18)


KILLED = """
import os, sys
from tests.seloss.data.test_feature_store import *
dataset = open_dataset(sys.argv[1], sample_rate=16000)
done = []
def compute(item):
    done.append(1)
    if len(done) == 4:
        os.kill(os.getpid(), 9)
    return envelope(item)
fill_store(FeatureStore(sys.argv[2], IDENTITY, shard_bytes=1), dataset, compute, bytes_of=bytes_of)
"""


def test_a_killed_run_goes_on_where_it_was(dataset, tmp_path):
    manifest, folder = tmp_path / "data" / "manifest.json", tmp_path / "store"
    run("-c", KILLED, manifest, folder, status=-9)
    store, computed = FeatureStore(folder, IDENTITY), []
    assert len(store) == 3
    plan = fill_store(
        store, dataset, lambda x: computed.append(1) or envelope(x), bytes_of=bytes_of
    )
    assert len(computed) == len(plan.missing) == 2
    for index in range(5):
        item = dataset[index]
        assert torch.equal(store.get(item.id), envelope(item))
    assert not list(folder.glob(".*"))


def test_what_was_computed_slowly_is_written_before_a_shard_is_full(tmp_path):
    store = FeatureStore(tmp_path / "store", IDENTITY, shard_seconds=0.2)
    store.put("a", torch.ones(3), "x")
    assert len(FeatureStore(tmp_path / "store", IDENTITY, read_only=True)) == 0
    time.sleep(0.25)
    store.put("b", torch.ones(3), "y")
    assert len(FeatureStore(tmp_path / "store", IDENTITY, read_only=True)) == 2


SHARED = """
import sys, time
from tests.seloss.data.test_feature_store import *
dataset = open_dataset(sys.argv[1], sample_rate=16000)
def compute(item):
    time.sleep(0.02)  # so that the processes do write at the same time
    return envelope(item)
share = int(sys.argv[3]), int(sys.argv[4])
store = FeatureStore(sys.argv[2], IDENTITY, shard_bytes=1)
plan = fill_store(store, dataset, compute, bytes_of=bytes_of, share=share)
print(len(plan.missing))
"""


def test_several_processes_fill_one_store(tmp_path):
    manifest = make_manifest(tmp_path / "data", n_items=24, n_mics=1, seconds=0.1)
    folder = tmp_path / "store"
    parts = [
        subprocess.Popen(
            [python(), "-c", SHARED, manifest, folder, str(index), "3"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(3)
    ]
    assert [part.communicate(timeout=120)[0].split()[-1] for part in parts] == ["8", "8", "8"]
    assert [part.returncode for part in parts] == [0, 0, 0]
    dataset, store = open_dataset(manifest, sample_rate=16000), FeatureStore(folder, IDENTITY)
    assert not plan_store(store, dataset, bytes_of).missing
    for index in range(24):
        assert torch.equal(store.get(f"item{index}"), envelope(dataset[index]))
    assert len(list(folder.glob("shard-*"))) == 24
    assert set(json.loads((folder / "index.json").read_text())) == {f"item{i}" for i in range(24)}
    assert not list(folder.glob(".*"))


def test_the_shares_of_a_data_set_are_all_of_it(dataset, tmp_path):
    store = FeatureStore(tmp_path / "store", IDENTITY)
    shares = [plan_store(store, dataset, bytes_of, share=(i, 3)) for i in range(3)]
    assert sorted(index for plan in shares for index in plan.missing) == list(range(5))
    assert [plan.total for plan in shares] == [2, 2, 1]


def test_a_writer_notices_that_its_store_was_made_anew(dataset, tmp_path):
    store = FeatureStore(tmp_path / "store", IDENTITY)
    store.put("item0", envelope(dataset[0]), "mark")
    FeatureStore(tmp_path / "store", {**IDENTITY, "layer": 4})
    with pytest.raises(ValueError, match="is stale, it was made from something else: layer was 4"):
        store.flush()


def test_changed_audio_is_noticed_and_computed_again(dataset, tmp_path):
    import soundfile as sf

    folder = tmp_path / "store"
    fill_store(FeatureStore(folder, IDENTITY), dataset, envelope, bytes_of=bytes_of)
    path = tmp_path / "data" / "audio" / "item2" / "mixture_mic1.wav"
    samples, rate = sf.read(path, dtype="float32")
    samples[100] += 0.25
    sf.write(path, samples, rate, subtype="FLOAT")
    store = FeatureStore(folder, IDENTITY)
    reader = features_of(dataset, store)
    with pytest.raises(DataError, match=r"item 'item2': is stale: its audio changed"):
        reader[2]
    plan = fill_store(store, dataset, envelope, bytes_of=bytes_of)
    assert (plan.missing, plan.stale) == ([2], 1)
    assert torch.equal(FeatureStore(folder, IDENTITY).get("item2"), envelope(dataset[2]))
    assert features_of(dataset, store)[2].id == "item2"


def test_another_model_or_layer_is_noticed(dataset, tmp_path, caplog):
    folder = tmp_path / "store"
    fill_store(FeatureStore(folder, IDENTITY), dataset, envelope, bytes_of=bytes_of)
    other = {**IDENTITY, "layer": 4}
    with pytest.raises(ValueError, match=r"is stale.*layer was 3, is 4"):
        FeatureStore(folder, other, read_only=True)
    store = FeatureStore(folder, other)
    assert "layer was 3, is 4" in caplog.text
    assert len(store) == 0
    with pytest.raises(FileNotFoundError, match="holds no stored features"):
        FeatureStore(tmp_path / "nothing", IDENTITY, read_only=True)


def features_of(dataset, store, **options):
    return FeatureDataset(
        dataset,
        store,
        lambda stored, start, count: stored[..., start : start + count],
        count_frames=lambda n: n // HOP,
        hop_length=HOP,
        **options,
    )


def test_excerpts_of_features_and_audio_belong_together(dataset, tmp_path):
    store = FeatureStore(tmp_path / "store", IDENTITY)
    fill_store(store, dataset, envelope, bytes_of=bytes_of)
    excerpts = features_of(dataset, store, segment_s=0.1, seed=3)
    starts = set()
    for epoch in range(6):
        item = excerpts[(epoch, 0)]
        assert item.mixture.shape == (1, 1600)
        assert item.sources.shape == (2, 1600)
        assert torch.allclose(item.features, envelope(item))
        assert torch.allclose(item.sources.sum(0), item.mixture[0], atol=1e-5)
        starts.add(item.features[0, 0].item())
    assert len(starts) > 2
    again = features_of(dataset, store, segment_s=0.1, seed=3)[(5, 0)]
    assert torch.equal(again.mixture, item.mixture)


def test_batches_are_padded_and_say_how_long_features_are(dataset, tmp_path):
    store = FeatureStore(tmp_path / "store", IDENTITY)
    fill_store(store, dataset, envelope, bytes_of=bytes_of)
    whole = features_of(dataset, store)
    batch = collate_features([whole[0], whole[1]])
    assert batch.n_frames.tolist() == [50, 30]
    assert batch.features.shape == (2, 1, 50)
    assert not batch.features[1, :, 30:].any()
    assert batch.lengths.tolist() == [8000, 4800]
    loader = build_loader(whole, 2, shuffle=False)
    assert next(iter(loader)).features.shape == (2, 1, 50)


def test_missing_features_are_refused_before_training(dataset, tmp_path):
    with pytest.raises(DataError, match=r"5 problem\(s\)(.|\n)*'item0': has no features in"):
        features_of(dataset, FeatureStore(tmp_path / "store", IDENTITY))
    with pytest.raises(DataError, match="is not in the store"):
        FeatureStore(tmp_path / "store", IDENTITY).get("item0")


def test_clean_and_noisy_are_told_apart(dataset, tmp_path):
    item = dataset[0]
    assert audio_hash(item, "clean") != audio_hash(item)
    with pytest.raises(ValueError, match="source must be one of noisy, clean; got 'both'"):
        audio_hash(item, "both")
