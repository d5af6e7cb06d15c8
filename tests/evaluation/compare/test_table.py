"""One table of means."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import soundfile as sf

from evaluation.compare import means_table as table
from evaluation.compare.means_table import UNPROCESSED, comparison_table
from evaluation.score import cli as utt_eval
from evaluation.testset.experiment import find_experiment
from tests.data import SAMPLE_RATE
from tests.evaluation.folder import make_experiment

METRICS = ("si_sdr", "si_sir", "si_sar", "fw_sdr")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two judged experiments, the second better; one file of the second is silent."""
    monkeypatch.setenv("SELOSS_EXPERIMENTS", str(tmp_path))
    for tag, gain in (("A", 0.3), ("B", 0.1)):
        folder = make_experiment(tmp_path, tag, gain=gain)
        if tag == "B":
            silent = folder / "sample_1" / "estimate.wav"
            sf.write(silent, 0 * sf.read(silent)[0], SAMPLE_RATE, subtype="FLOAT")
        arguments = ["--experiment_tag", tag, "--jobs", "0", "--metrics", *METRICS]
        assert utt_eval.main(arguments) == 0
    return tmp_path


def test_means_are_over_what_all_have(root: Path) -> None:
    result = comparison_table([find_experiment(tag) for tag in ("A", "B")])
    assert list(result.index) == [UNPROCESSED, "A", "B"]
    assert list(result.columns) == ["n", "SI-SDR (dB)", "SI-SIR (dB)", "SI-SAR (dB)", "FW-SDR (dB)"]
    rows = {
        tag: pd.read_csv(root / tag / "test" / "metrics" / "metrics_by_sample.csv") for tag in "AB"
    }
    both = [0, 2]  # sample 1 has no score in B, so it counts nowhere
    expected = {
        UNPROCESSED: rows["A"]["SI-SDR_in"][both].mean(),
        "A": rows["A"]["SI-SDR_out"][both].mean(),
        "B": rows["B"]["SI-SDR_out"][both].mean(),
    }
    for name, value in expected.items():
        assert result.loc[name, "SI-SDR (dB)"] == pytest.approx(value)
    assert expected["B"] > expected["A"] > expected[UNPROCESSED]
    assert pd.isna(result.loc[UNPROCESSED, "SI-SAR (dB)"])
    assert set(result["n"]) == {3}


def test_samples_that_only_one_has_do_not_count(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = root / "B" / "test" / "metrics" / "metrics_by_sample.csv"
    frame = pd.read_csv(path)
    frame.iloc[:1].to_csv(path, index=False)
    result = comparison_table([find_experiment(tag) for tag in ("A", "B")])
    assert set(result["n"]) == {1}
    assert "only the 1 samples" in caplog.text
    frame.assign(id="other").iloc[:1].to_csv(path, index=False)
    with pytest.raises(ValueError, match="no sample is in all of A, B"):
        comparison_table([find_experiment(tag) for tag in ("A", "B")])


def test_formats(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert table.main(["A", "B", "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("|  | n | SI-SDR (dB) | SI-SIR (dB)")
    assert lines[2].startswith(f"| {UNPROCESSED} | 3 |")
    assert "| – |" in lines[2]  # noqa: RUF001
    assert len(lines) == 5
    assert table.main(["A", "--format", "csv", "-o", str(root / "out" / "t.csv")]) == 0
    written = pd.read_csv(root / "out" / "t.csv", index_col="system")
    assert list(written.index) == [UNPROCESSED, "A"]
    assert table.main(["A"]) == 0
    assert UNPROCESSED in capsys.readouterr().out


def test_errors(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main(["A", "C"]) == 1
    assert "no experiment 'C'" in capsys.readouterr().err
    make_experiment(root, "C", n_samples=1)
    assert table.main(["C"]) == 1
    assert "run evaluation.utt_eval --experiment_tag C" in capsys.readouterr().err
    for options, status in ((["--help"], 0), ([], 2), (["A", "--format", "html"], 2)):
        with pytest.raises(SystemExit) as stop:
            table.main(options)
        assert stop.value.code == status
