"""What the answers of listeners come to, by hand and by closed forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from evaluation.report.listening_results import (
    HIDDEN_REFERENCE,
    abx_results,
    main,
    mushra_results,
    screened,
)

KEY: dict[str, Any] = {
    "test": "t1",
    "kind": "mushra",
    "systems": ["A", "B"],
    "trials": [
        {"utterance": "u0", "stimuli": {"a0": "A", "b0": "B", "r0": HIDDEN_REFERENCE}},
        {"utterance": "u1", "stimuli": {"a1": "A", "b1": "B", "r1": HIDDEN_REFERENCE}},
    ],
}


def answers(folder: Path, name: str, *, a: float, b: float, reference: float) -> Path:
    trials = [
        {"trial": index, "ratings": {f"a{index}": a, f"b{index}": b, f"r{index}": reference}}
        for index in range(2)
    ]
    path = folder / f"{name}.json"
    content = {"test": "t1", "kind": "mushra", "participant": name, "answers": trials}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def ratings(rows: dict[str, tuple[float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"participant": name, "utterance": "u", "signal": signal, "rating": rating}
            for name, three in rows.items()
            for signal, rating in zip(("A", "B", HIDDEN_REFERENCE), three, strict=True)
        ]
    )


def test_means_and_paired_tests_are_over_participants() -> None:
    people = {f"p{i}": (60.0 + i, 50.0 + 0.5 * i, 100.0) for i in range(8)}
    table = mushra_results(ratings(people)).set_index("signal")
    assert list(table.index) == [HIDDEN_REFERENCE, "A", "B"]
    assert table.loc["A", "mean"] == pytest.approx(63.5)
    assert table.loc["A", "ci_low"] < 63.5 < table.loc["A", "ci_high"]
    gaps = [-(10 + 0.5 * i) for i in range(8)]
    assert table.loc["B", "difference_to_best"] == pytest.approx(sum(gaps) / 8)
    assert table.loc["B", "p"] == pytest.approx(stats.wilcoxon(gaps).pvalue)


def test_who_misses_the_hidden_reference_is_screened() -> None:
    assert screened(ratings({"good": (1, 2, 95), "bad": (1, 2, 60)})) == ["bad"]


def test_guessing_is_not_significant_and_hearing_is() -> None:
    guesses = pd.DataFrame({"pair": "A / B", "x": ["A", "B"] * 10, "answer": ["A"] * 20})
    heard = pd.DataFrame({"pair": "A / C", "x": ["A", "C"] * 10, "answer": ["A", "C"] * 10})
    table = abx_results(pd.concat([guesses, heard])).set_index("pair")
    assert table.loc["A / B", "share"] == 0.5
    assert table.loc["A / B", "p_adjusted"] > 0.5
    assert table.loc["A / C", "p"] == pytest.approx(0.5**20)
    assert table.loc["A / C", "p_adjusted"] == pytest.approx(2 * 0.5**20)


def test_the_program_leaves_out_screened_people_and_says_who(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps(KEY), encoding="utf-8")
    files = [
        answers(tmp_path, "good", a=70, b=50, reference=98),
        answers(tmp_path, "deaf", a=0, b=100, reference=50),
    ]
    arguments = [str(key), *map(str, files), "-o", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert "deaf" in caplog.text
    table = pd.read_csv(tmp_path / "out" / "results.csv").set_index("signal")
    assert table.loc["A", "mean"] == 70
    assert len(pd.read_csv(tmp_path / "out" / "ratings.csv")) == 12  # nothing is thrown away
    assert main([*arguments, "--all"]) == 0
    assert pd.read_csv(tmp_path / "out" / "results.csv")["participants"].max() == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": "other"}, "answers test 'other', not 't1'"),
        ({"answers": [{"trial": 0, "ratings": {"zz": 1}}]}, "'zz' is not a signal of this test"),
    ],
)
def test_foreign_answers_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps(KEY), encoding="utf-8")
    path = answers(tmp_path, "good", a=70, b=50, reference=98)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), encoding="utf-8")
    assert main([str(key), str(path), "-o", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err
    assert main([str(key), str(key), "-o", str(tmp_path)]) == 1


def test_one_participant_twice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps(KEY), encoding="utf-8")
    path = answers(tmp_path, "good", a=70, b=50, reference=98)
    copy = tmp_path / "copy.json"
    copy.write_bytes(path.read_bytes())
    assert main([str(key), str(path), str(copy), "-o", str(tmp_path)]) == 1
    assert "both of 'good'" in capsys.readouterr().err
