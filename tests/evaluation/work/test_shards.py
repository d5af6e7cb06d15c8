from __future__ import annotations

import argparse
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evaluation.enhance import infer
from evaluation.score import cli as utt_eval
from evaluation.work.shards import Shard
from tests.data import make_manifest
from tests.evaluation import folder

METRICS = ("si_sdr", "fw_sdr")


def tables(testset: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (testset / "metrics").glob("*.csv")}


@pytest.fixture
def whole_and_parts(tmp_path):
    """The same network twice; one test set of mixtures, one of them silent."""
    manifest = make_manifest(tmp_path / "data", n_items=5, n_mics=1, seconds=0.4, name="test.json")
    for tag in ("WHOLE", "PARTS"):
        folder.save_network(tmp_path / "root" / tag)
    common = ["--root", str(tmp_path / "root"), "--experiment_tag"]

    def run(tag: str, *shard: str) -> None:
        options = [*common, tag, *shard]
        assert infer.main([*options, "--manifest", str(manifest), "--device", "cpu"]) == 0
        assert utt_eval.main([*options, "--metrics", *METRICS, "--jobs", "0"]) == 0

    return run, tmp_path / "root" / "WHOLE" / "test", tmp_path / "root" / "PARTS" / "test"


def test_parts_in_any_order_make_the_tables_of_one_process(whole_and_parts, capsys):
    run, whole, parts = whole_and_parts
    run("WHOLE")
    for shard in ("3/3", "1/3"):
        run("PARTS", "--shard", shard)
    assert {p.name for p in parts.glob("sample_*")} == {f"sample_{i}" for i in (0, 2, 3)}
    assert not tables(parts)
    run("PARTS", "--shard", "2/3")  # the one that had failed
    kept = {p: p.stat().st_mtime_ns for p in parts.glob("sample_*/*")}
    run("PARTS")
    assert tables(parts) == tables(whole)
    assert {p: p.stat().st_mtime_ns for p in parts.glob("sample_*/*")} == kept
    audio = [
        sorted(p.relative_to(one) for p in one.glob("sample_*/*.wav")) for one in (whole, parts)
    ]
    assert audio[0] == audio[1]
    for name in audio[0]:
        # the header of a file of floats says when it was written
        first, second = (soundfile.read(one / name)[0] for one in (whole, parts))
        assert np.array_equal(first, second)
    assert not list((parts / "metrics").glob(".finished.*_of_*"))


def test_figures_of_parts_are_not_computed_again(whole_and_parts, monkeypatch):
    run, _, parts = whole_and_parts
    for shard in ("1/2", "2/2"):
        run("PARTS", "--shard", shard)
    monkeypatch.setattr("evaluation.score.scoring.score_sample", None)
    run("PARTS")
    assert tables(parts)


def test_more_parts_than_samples_leave_some_with_nothing(whole_and_parts):
    run, _, parts = whole_and_parts
    run("PARTS", "--shard", "1/9")
    run("PARTS", "--shard", "9/9")
    assert [p.name for p in parts.glob("sample_*")] == ["sample_0"]


def test_parts_are_disjoint_and_complete():
    samples = [f"sample_{i}" for i in range(11)]
    parts = [Shard(index, 4).part(samples) for index in range(1, 5)]
    assert sorted(chain(*parts)) == sorted(samples)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3/5"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"must be i/N with i from 1 to N"):
        Shard.parse(text)
