"""Arrays of segments: written in little memory, read where they lie, refused if anything is off."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from seloss.data import open_dataset
from seloss.data.formats.array import ArrayInfo, read_info, sidecar_of
from seloss.data.formats.array_writer import ArrayWriter, is_complete
from seloss.data.formats.mixture import DataError
from seloss.data.load.array_dataset import ArrayDataset, validate_array
from seloss.data.load.loader import build_loader
from seloss.data.mixing.make_arrays import adopt_array

RATE = 16000
SAMPLES = 800


def signals(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 2, SAMPLES)).astype(np.float32)


def make(path, data=None, **fields):
    """Write an array as the preparation does; items are as long as the array unless said."""
    data = signals(5) if data is None else data
    rows = data.reshape(-1, *data.shape[-2:])
    ids = tuple(f"i{index}" for index in range(len(rows)))
    columns = {"snr_db": [float(i) for i in range(len(rows))], "speaker": ["s"] * len(rows)}
    info = ArrayInfo(path, data.shape, RATE, ids, columns, made_of="a")
    with ArrayWriter(replace(info, **fields)) as writer:
        writer.write(list(rows), [{"length": SAMPLES}] * len(rows))
        return writer.finish()


def test_what_is_written_is_a_plain_npy_array_and_comes_back(tmp_path):
    data = signals(5)
    make(tmp_path / "train.npy", data)
    assert np.array_equal(np.load(tmp_path / "train.npy"), data)
    dataset = open_dataset(tmp_path / "train.npy", sample_rate=RATE)
    item = dataset[(3, 2)]
    assert torch.equal(item.mixture, torch.from_numpy(data[2, :1]))
    assert torch.equal(item.sources[0], torch.from_numpy(data[2, 1]))
    assert torch.equal(item.sources.sum(0), item.sources[0] + (item.mixture[0] - item.sources[0]))
    assert dataset.items[2].snr_db == 2.0
    assert dataset.items[2].speaker == "s"


def test_zeros_that_pad_are_left_out_and_batches_know_the_length(tmp_path):
    data = signals(2)
    data[1, :, 300:] = 0
    info = ArrayInfo(tmp_path / "a.npy", data.shape, RATE, ("x", "y"))
    with ArrayWriter(info) as writer:
        writer.write([data[0], data[1, :, :300]], [{"length": SAMPLES}, {"length": 300}])
        writer.finish()
    assert np.array_equal(np.load(tmp_path / "a.npy"), data)
    dataset = open_dataset(tmp_path / "a.npy", sample_rate=RATE)
    (batch,) = build_loader(dataset, 2, shuffle=False)
    assert batch.lengths.tolist() == [SAMPLES, 300]
    assert batch.n_mics.tolist() == [1, 1]


def test_excerpts_depend_on_seed_epoch_and_id(tmp_path):
    make(tmp_path / "a.npy")
    dataset = open_dataset(tmp_path / "a.npy", sample_rate=RATE, segment_s=0.02)
    starts = {dataset[(epoch, 0)].mixture[0, 0].item() for epoch in range(10)}
    assert dataset[(1, 0)].mixture.shape == (1, 320)
    assert len(starts) > 5
    assert torch.equal(dataset[(4, 1)].mixture, dataset[(4, 1)].mixture)


def test_a_worker_gets_the_name_of_the_file_and_not_its_content(tmp_path):
    dataset = ArrayDataset(make(tmp_path / "a.npy", signals(400)))
    dataset[0]
    assert len(pickle.dumps(dataset)) < 40_000  # the array has 2.5 MB
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[7].mixture, dataset[7].mixture)


def test_test_arrays_are_read_class_by_class(tmp_path):
    data = signals(12).reshape(2, 3, 2, 2, SAMPLES)
    axes = {"noise_class": ["seen", "unseen"], "snr_db": [-10, 0, 10]}
    make(tmp_path / "test.npy", data, axes=axes)
    dataset = open_dataset(tmp_path / "test.npy", sample_rate=RATE)
    assert len(dataset) == 12
    assert torch.equal(dataset[7].mixture[0], torch.from_numpy(data[1, 0, 1, 0]))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (np.zeros((4, SAMPLES), np.float32), r"is float32 \[4, 800\]; expected floating-point \[N"),
        (np.zeros((4, 3, SAMPLES), np.float32), r"\[4, 3, 800\]"),
        (np.zeros((2, 4, SAMPLES, 2), np.float32), r"\[2, 4, 800, 2\]"),
        (np.zeros((4, 2, SAMPLES), np.int16), "is int16"),
        (np.zeros((0, 2, SAMPLES), np.float32), r"\[0, 2, 800\]"),
    ],
)
def test_another_layout_is_refused_with_the_expected_one(tmp_path, data, what):
    np.save(tmp_path / "a.npy", data)
    with pytest.raises(DataError, match=what) as caught:
        open_dataset(tmp_path / "a.npy", sample_rate=RATE)
    assert "a.npy" in str(caught.value)
    assert "[noise class, SNR class, N, 2, samples]" in str(caught.value)


def test_objects_archives_and_other_files_are_refused(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "z.npz", a=signals(1))
    (tmp_path / "z.npz").rename(tmp_path / "z.npy")
    (tmp_path / "t.npy").write_text("text")
    for name in ("o.npy", "z.npy", "t.npy"):
        with pytest.raises(DataError, match=name):
            open_dataset(tmp_path / name, sample_rate=RATE)
    with pytest.raises(FileNotFoundError, match="no array"):
        open_dataset(tmp_path / "none.npy", sample_rate=RATE)


def test_a_file_that_was_cut_off_is_refused(tmp_path):
    make(tmp_path / "a.npy")
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-100])
    with pytest.raises(DataError, match="not a whole"):
        open_dataset(tmp_path / "a.npy", sample_rate=RATE)


def test_another_rate_is_refused(tmp_path):
    make(tmp_path / "a.npy")
    with pytest.raises(DataError, match="16000 Hz, expected 8000"):
        open_dataset(tmp_path / "a.npy", sample_rate=8000)


def change(path, **fields):
    told = json.loads(sidecar_of(path).read_text())
    for name, value in fields.items():
        (told if name in told else told["items"])[name] = value
    sidecar_of(path).write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"shape": [6, 2, SAMPLES], "id": list("abcdef")}, "must hold 6 of 'snr_db'; got 5"),
        ({"shape": [5, 2, 700]}, "'length' must lie between 1 and 700"),
        ({"id": ["a", "b"]}, "must hold 5 of 'id'; got 2"),
        ({"id": ["a", "b", "c", "d", "a"]}, "given twice"),
        ({"length": [1, 2, 3, 4, 801]}, "between 1 and 800; got 801"),
        ({"layout": "sample, item, signal"}, "do not belong together"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path, fields, what):
    make(tmp_path / "a.npy")
    change(tmp_path / "a.npy", **fields)
    with pytest.raises(DataError, match=what):
        read_info(tmp_path / "a.npy")


def test_a_shape_other_than_described_is_refused(tmp_path):
    make(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", signals(4))
    with pytest.raises(DataError, match=r"is \[4, 2, 800\], but a.npy.json says \[5, 2, 800\]"):
        read_info(tmp_path / "a.npy")


def test_a_missing_noise_class_is_refused(tmp_path):
    data = signals(12).reshape(2, 3, 2, 2, SAMPLES)
    axes = {"noise_class": ["seen", "unseen"], "snr_db": [-10, 0, 10]}
    make(tmp_path / "test.npy", data, axes=axes)
    for wrong, what in (
        ({**axes, "noise_class": ["seen"]}, "must name each noise class of the 2.*got seen"),
        ({**axes, "snr_db": [0, 5]}, "must name each SNR class of the 3.*got 0, 5"),
        ({}, "noise class of the 2 in the array; got none"),
        ({**axes, "noise_class": ["seen", "known"]}, "one of seen, unseen; got 'known'"),
    ):
        change(tmp_path / "test.npy", axes=wrong)
        with pytest.raises(DataError, match=what):
            read_info(tmp_path / "test.npy")


def test_a_missing_description_says_how_to_write_one(tmp_path):
    np.save(tmp_path / "old.npy", signals(3))
    with pytest.raises(FileNotFoundError, match="--describe"):
        open_dataset(tmp_path / "old.npy", sample_rate=RATE)
    adopt_array(tmp_path / "old.npy", sample_rate=RATE, noise_classes=["seen"], snr_db=[0])
    assert len(open_dataset(tmp_path / "old.npy", sample_rate=RATE)) == 3
    with pytest.raises(DataError, match="described already"):
        adopt_array(tmp_path / "old.npy", sample_rate=RATE, noise_classes=["seen"], snr_db=[0])


def test_a_published_test_array_can_be_described(tmp_path):
    np.save(tmp_path / "t.npy", signals(8).reshape(2, 2, 2, 2, SAMPLES))
    with pytest.raises(DataError, match="1 noise classes and 2 SNRs are given"):
        adopt_array(tmp_path / "t.npy", sample_rate=RATE, noise_classes=["seen"], snr_db=[0, 5])
    both = ["seen", "unseen"]
    adopt_array(tmp_path / "t.npy", sample_rate=RATE, noise_classes=both, snr_db=[0, 5])
    facts = open_dataset(tmp_path / "t.npy", sample_rate=RATE).items
    assert [(one.seen, one.snr_db) for one in facts[::2]] == [
        (True, 0),
        (True, 5),
        (False, 0),
        (False, 5),
    ]


def test_samples_that_are_not_finite_and_silent_items_are_named(tmp_path):
    data = signals(4)
    data[1, 0, 5] = np.nan
    data[2, 1] = 0
    data[3, 1, 9] = np.inf
    make(tmp_path / "a.npy", data)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path / "a.npy", sample_rate=RATE)
    assert [problem.item for problem in caught.value.problems] == ["i1", "i2", "i3"]
    assert "item 1: the noisy signal has samples that are not finite" in str(caught.value)
    assert "item 2: the clean signal is silent" in str(caught.value)


def test_a_second_check_reads_nothing_unless_the_file_changed(tmp_path, monkeypatch):
    make(tmp_path / "a.npy")
    validate_array(tmp_path / "a.npy", sample_rate=RATE)
    looked = []
    monkeypatch.setattr(
        "seloss.data.load.array_dataset.check_samples", lambda *_, **__: looked.append(1) or []
    )
    validate_array(tmp_path / "a.npy", sample_rate=RATE)
    assert not looked
    np.save(tmp_path / "a.npy", signals(5, seed=8))
    validate_array(tmp_path / "a.npy", sample_rate=RATE)
    assert looked


def test_a_killed_writer_goes_on_with_what_it_has(tmp_path):
    data = signals(6)
    info = ArrayInfo(tmp_path / "a.npy", data.shape, RATE, tuple("abcdef"), made_of="m")
    with ArrayWriter(info) as writer:
        writer.write(list(data[:4]), [{"length": SAMPLES}] * 4)
    with (tmp_path / ".a.npy.part").open("ab") as file:
        file.write(b"half an item")
    assert not is_complete(info)
    with ArrayWriter(info) as writer:
        assert writer.done == 4
        writer.write(list(data[4:]), [{"length": SAMPLES}] * 2)
        writer.finish()
    assert np.array_equal(np.load(tmp_path / "a.npy"), data)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "a.npy.json"]
    assert is_complete(info)
    with pytest.raises(DataError, match="made of other data"):
        is_complete(replace(info, made_of="other"))


def test_what_was_begun_of_other_data_is_begun_anew(tmp_path):
    data = signals(2)
    info = ArrayInfo(tmp_path / "a.npy", data.shape, RATE, ("a", "b"), made_of="m")
    with ArrayWriter(info) as writer:
        writer.write([data[0]], [{"length": SAMPLES}])
    with ArrayWriter(replace(info, made_of="n")) as writer:
        assert writer.done == 0


LARGE = """
import resource, sys
from pathlib import Path
import numpy as np
from seloss.data import open_dataset
from seloss.data.formats.array_writer import ArrayWriter
from seloss.data.formats.array import ArrayInfo

path, items, samples = Path(sys.argv[1]), 700, 48000
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
limit = (used << 10) + (96 << 20)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.ones((items, 2, samples), np.float32)
    sys.exit("the limit does not hold")
except MemoryError:
    pass
draw = np.random.default_rng(0)
ids = tuple(f"i{i}" for i in range(items))
with ArrayWriter(ArrayInfo(path, (items, 2, samples), 16000, ids)) as writer:
    for start in range(0, items, 32):
        count = min(32, items - start)
        block = draw.standard_normal((count, 2, samples), dtype=np.float32)
        writer.write(list(block), [{"length": samples}] * count)
    writer.finish()
dataset = open_dataset(path, sample_rate=16000, progress=False)
total = sum(float(dataset[i].mixture.abs().mean()) for i in range(items))
print(path.stat().st_size, round(total / items, 2))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory by Linux' RLIMIT_DATA")
def test_an_array_larger_than_the_memory_is_written_checked_and_read(tmp_path):
    """269 MB with at most 96 MB for data beside what the libraries take."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(tmp_path / "large.npy")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    size, mean = done.stdout.split()
    assert int(size) == 700 * 2 * 48000 * 4 + 128
    assert float(mean) == 0.8  # of the magnitude of a normal variable
