"""Ledger of finished work: what is kept after a kill, what is void, what parts of an array add."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evaluation.work.ledger import Ledger, content_digest, digest
from evaluation.work.shards import Shard


def test_results_add_up_under_one_key_and_are_void_under_another(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".finished.jsonl"
    ledger = Ledger(path)
    assert ledger.results("a", "1") == {}
    ledger.add("a", "1", {"x": 1.5, "y": None})
    ledger.add("a", "1", {"y": "silent", "z": ["any", {"JSON": True}]})
    ledger.add("b", "1", {"x": 3})
    for read in (ledger, Ledger(path)):
        assert read.results("a", "1") == {"x": 1.5, "y": "silent", "z": ["any", {"JSON": True}]}
        assert read.results("b", "1") == {"x": 3}
        assert read.results("a", "2") == {}
    ledger.results("a", "1")["x"] = 0  # a copy
    assert ledger.results("a", "1")["x"] == 1.5


@pytest.mark.parametrize("torn", ['{"item": "b", "key": "1", "resul', "3", '{"item": "b"}', "\xff"])
def test_a_torn_line_costs_only_itself(tmp_path: Path, torn: str) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.add("a", "1", {"x": 1})
    with ledger.path.open("a", encoding="latin-1") as file:
        file.write(torn)
    ledger = Ledger(ledger.path)
    assert ledger.results("a", "1") == {"x": 1}
    ledger.add("c", "1", {"x": 2})
    read = Ledger(ledger.path)
    assert [read.results(item, "1") for item in "abc"] == [{"x": 1}, {}, {"x": 2}]
    read.compact()
    assert len(ledger.path.read_text().splitlines()) == 2


def test_compacting_drops_what_is_void_of_the_items_named(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for item, key in (("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")):
        ledger.add(item, key, {"x": f"{item}{key}"})
    ledger.compact({"a": "2"})
    read = Ledger(ledger.path)
    kept = [read.results(item, key) for item in "ab" for key in "12"]
    assert kept == [{}, {"x": "a2"}, {"x": "b1"}, {"x": "b2"}]


def test_results_are_not_lost_to_what_json_cannot_write(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.add("a", "1", {"x": 1})
    with pytest.raises(ValueError, match="JSON"):
        ledger.add("a", "1", {"x": float("nan")})
    assert ledger.results("a", "1") == Ledger(ledger.path).results("a", "1") == {"x": 1}


def test_parts_of_an_array_write_apart_and_are_joined(tmp_path: Path) -> None:
    path = tmp_path / ".finished.jsonl"
    parts = [Ledger(path, Shard(index, 2)) for index in (1, 2)]
    for ledger, item in zip(parts, "ab", strict=True):
        ledger.add(item, "1", {"x": item})
    assert not path.exists()
    whole = Ledger(path)
    assert [whole.results(item, "1") for item in "ab"] == [{"x": "a"}, {"x": "b"}]
    parts[0].add("a", "1", {"y": "later"})  # while the whole was at work
    whole.compact()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert Ledger(path, Shard(1, 2)).results("a", "1") == {"x": "a", "y": "later"}


def test_a_key_depends_on_settings_and_on_the_files_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    keys = [digest("s", {"speech": file})]
    file.write_bytes(b"one")
    keys.append(digest("s", {"speech": file}))
    assert digest("s", {"speech": file}) == keys[-1]
    keys += [digest("t", {"speech": file}), digest("s", {"noise": file}), digest(["s", None])]
    os.utime(file, (1, 1))
    keys.append(digest("s", {"speech": file}))
    assert len(set(keys)) == len(keys)


def test_the_digest_of_a_content_is_that_of_nothing_else(tmp_path: Path) -> None:
    file, copy = tmp_path / "a.wav", tmp_path / "b.wav"
    assert content_digest(file) == ""
    file.write_bytes(b"x" * 3_000_000)
    copy.write_bytes(file.read_bytes())
    assert content_digest(file) == content_digest(copy)
    copy.write_bytes(b"y" + file.read_bytes()[1:])
    assert content_digest(file) != content_digest(copy)
