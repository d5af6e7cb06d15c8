"""Finished work survives a kill."""

from __future__ import annotations

from pathlib import Path

from evaluation.work.ledger import Journal, Record


def test_the_last_record_of_a_sample_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "journal.jsonl")
    assert journal.read() == {}
    journal.append(Record("a", "1", {"x": 1.5}))
    journal.append(Record("b", "1", {"x": None}, {"x": "silent"}))
    journal.append(Record("a", "2", {"x": 2.5}))
    assert journal.read() == {
        "a": Record("a", "2", {"x": 2.5}),
        "b": Record("b", "1", {"x": None}, {"x": "silent"}),
    }


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(Record("a", "1"))
    with journal.path.open("a") as file:
        file.write('{"sample": "b", "stamp": "1", "val')
    assert set(journal.read()) == {"a"}
    journal.append(Record("c", "1"))
    assert set(journal.read()) == {"a", "c"}
    journal.rewrite(journal.read().values())
    assert len(journal.path.read_text().splitlines()) == 2
