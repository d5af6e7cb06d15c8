"""Tables by noise and SNR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.compare import noise_table
from evaluation.compare.noise_table import noise_tables
from evaluation.testset.experiment import find_experiment
from tests.evaluation.folder import make_experiment

CELLS = [(seen, snr) for seen in (True, False) for snr in (-5.0, 0.0, 10.0) for _ in range(2)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two experiments whose figures are set by hand: two samples a cell."""
    monkeypatch.setenv("SELOSS_EXPERIMENTS", str(tmp_path))
    for shift, tag in ((0.0, "A"), (0.5, "B")):
        metrics = make_experiment(tmp_path, tag, n_samples=1) / "metrics"
        metrics.mkdir()
        rows = []
        for index, (seen, snr) in enumerate(CELLS):
            row = {"Sample_ID": index, "id": f"utt-{index}", "seen": seen, "snr_db": snr}
            row |= {"noise_type": "cafe" if seen else "street", "PESQ_in": 1 + 0.1 * index}
            row |= {"PESQ": 2 + 0.1 * index + shift, "STOI": 0.5 + 0.01 * index, "STOI_in": 0.4}
            rows.append(row)
        pd.DataFrame(rows).to_csv(metrics / "metrics_by_sample.csv", index=False)
    return tmp_path


def _change(root: Path, tag: str, change) -> None:
    path = root / tag / "test" / "metrics" / "metrics_by_sample.csv"
    frame = pd.read_csv(path)
    change(frame)
    frame.to_csv(path, index=False)


def both():
    return [find_experiment(tag) for tag in ("A", "B")]


def test_each_cell_is_a_mean_and_each_noise_and_all_have_theirs(root: Path) -> None:
    tables = noise_tables(both())
    assert list(tables) == ["PESQ", "STOI"]
    pesq = tables["PESQ"]
    assert list(pesq.columns) == ["n", "noisy", "A", "B"]
    expected = [(noise, snr) for noise in ("seen", "unseen") for snr in ("-5", "0", "10", "mean")]
    assert list(pesq.index) == [*expected, ("all", "mean")]
    assert pesq.loc[("unseen", "0"), "A"] == pytest.approx(2 + 0.1 * np.mean([8, 9]))
    assert pesq.loc[("unseen", "0"), "B"] == pytest.approx(2.5 + 0.1 * np.mean([8, 9]))
    assert pesq.loc[("seen", "mean"), "noisy"] == pytest.approx(1 + 0.1 * np.mean(range(6)))
    assert pesq.loc[("all", "mean"), "A"] == pytest.approx(2 + 0.1 * np.mean(range(12)))
    assert list(pesq["n"]) == [2, 2, 2, 6, 2, 2, 2, 6, 12]


def test_a_figure_that_one_lacks_for_a_sample_counts_in_none(root: Path) -> None:
    _change(
        root, "B", lambda frame: frame.__setitem__("PESQ", frame["PESQ"].where(frame.index > 0))
    )
    pesq = noise_tables(both())["PESQ"]
    assert pesq.loc[("seen", "-5"), "n"] == 1
    assert pesq.loc[("seen", "-5"), "A"] == pytest.approx(2.1)
    assert noise_tables(both())["STOI"].loc[("seen", "-5"), "n"] == 2


def test_a_block_for_each_kind_of_noise(root: Path) -> None:
    index = noise_tables(both(), rows="noise_type")["STOI"].index
    assert list(dict.fromkeys(noise for noise, _ in index)) == ["cafe", "street", "all"]


def test_the_program_writes_both_forms_and_marks_the_best(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "tables"
    assert noise_table.main(["A", "B", "-o", str(out)]) == 0
    text = out.with_name("tables.md").read_text(encoding="utf-8")
    assert "| seen | -5 | 2 | 1.05 | 2.05 | **2.55** |" in text
    written = pd.read_csv(out.with_name("tables.csv"), index_col=[0, 1, 2])
    assert written.loc[("PESQ", "seen", "mean"), "A"] == pytest.approx(2.25)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.__setitem__("snr_db", np.nan), "not all samples have a snr_db"),
        (lambda frame: frame.pop("seen"), "not all samples have a seen"),
        (lambda frame: frame.pop("PESQ"), "A was not scored by PESQ"),
        (lambda frame: frame.__setitem__("id", "other"), "no sample is in all of A, B"),
    ],
)
def test_what_cannot_be_tabled_is_refused(root: Path, change, words: str, capsys) -> None:
    _change(root, "A", change)
    assert noise_table.main(["A", "B"]) == 1
    assert words in capsys.readouterr().err


def test_an_experiment_that_was_not_judged_is_named(root: Path, capsys) -> None:
    make_experiment(root, "C")
    assert noise_table.main(["A", "C"]) == 1
    assert "evaluation.utt_eval --experiment_tag C" in capsys.readouterr().err
