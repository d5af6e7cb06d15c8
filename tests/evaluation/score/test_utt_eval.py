"""The published tables of an experiment, whole, after a kill, and around broken files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile as sf
import torch

from auditus import evaluate
from evaluation.score import cli as utt_eval
from tests.data import SAMPLE_RATE
from tests.evaluation.folder import make_experiment, make_sample
from tests.programs import ROOT
from tests.programs import run as start

PUBLISHED_COLUMNS = [
    "Sample_ID",
    "Microphone",
    "SI-SIR_in",
    "SI-SIR_out",
    "Delta_SI-SIR",
    "SI-SAR_out",
    "SI-SDR_out",
    "FW-SIR_out",
    "FW-SAR_out",
    "FW-SDR_out",
    "PESQ",
    "STOI",
]
PROGRAM = ROOT / "src" / "evaluation" / "utt_eval.py"


def tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    read = [
        pd.read_csv(folder / "metrics" / f"{name}.csv") for name in ("metrics_by_sample", "metrics")
    ]
    failures = pd.read_csv(folder / "metrics" / "failures.csv", keep_default_na=False)
    return read[0], read[1].set_index("Metric"), failures


def run(root: Path, *options: str) -> int:
    return utt_eval.main(["--experiment_tag", "XP", "--root", str(root), "--jobs", "0", *options])


def test_published_columns_first_then_what_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The original failed on the first sample: it gave 1-D signals to metrics of batches."""
    folder = make_experiment(tmp_path, n_samples=2)
    assert run(tmp_path) == 0
    by_sample, means, failures = tables(folder)
    assert list(by_sample.columns[: len(PUBLISHED_COLUMNS)]) == PUBLISHED_COLUMNS
    assert list(by_sample["id"]) == ["utt-0", "utt-1"]
    assert list(by_sample["noise_type"]) == ["pink", "pink"]
    assert failures.empty
    signals = {
        name: torch.from_numpy(sf.read(folder / "sample_1" / f"{name}.wav", dtype="float32")[0])[
            None
        ]
        for name in ("estimate", "speech", "noise", "mixture")
    }
    row = by_sample.iloc[1]
    scores = {
        side: evaluate(
            signals[judged], signals["speech"], signals["noise"], sample_rate=SAMPLE_RATE
        )
        for side, judged in (("out", "estimate"), ("in", "mixture"))
    }
    for column, side, name in (
        ("SI-SIR_in", "in", "si_sir"),
        ("SI-SAR_out", "out", "si_sar"),
        ("FW-SDR_out", "out", "fw_sdr"),
        ("PESQ", "out", "pesq_wb"),
        ("STOI_in", "in", "stoi"),
    ):
        assert row[column] == pytest.approx(scores[side][name].item(), rel=1e-4), column
    assert row["Delta_SI-SDR"] == pytest.approx(row["SI-SDR_out"] - row["SI-SDR_in"], abs=1e-3)
    assert means.loc["SI-SDR_out", "Mean"] == pytest.approx(
        by_sample["SI-SDR_out"].mean(), rel=1e-4
    )
    assert list(means.loc["PESQ", ["Scored", "Failed"]]) == [2, 0]
    assert "SI-SDR_out" in capsys.readouterr().out


def test_one_broken_file_costs_only_what_needs_it(tmp_path: Path) -> None:
    folder = make_experiment(tmp_path, n_samples=5)
    (folder / "sample_0" / "noise.wav").write_bytes(b"RIFF nothing")
    (folder / "sample_1" / "estimate.wav").unlink()
    sf.write(folder / "sample_2" / "speech.wav", np.zeros(100), SAMPLE_RATE)
    sf.write(folder / "sample_3" / "estimate.wav", np.zeros(9600), 8000)
    assert run(tmp_path, "--metrics", "si_sdr", "si_sir") == 0
    by_sample, means, failures = tables(folder)
    assert by_sample["SI-SDR_out"].notna().tolist() == [True, False, False, False, True]
    assert by_sample["SI-SIR_out"].notna().tolist() == [False, False, False, False, True]
    assert by_sample["SI-SDR_in"].notna().tolist() == [True, True, False, True, True]
    assert list(means.loc["SI-SDR_out", ["Scored", "Failed"]]) == [2, 3]
    reasons = failures.set_index(["Sample_ID", "Metric"])["Reason"]
    assert "noise.wav cannot be read" in reasons["sample_0", "SI-SIR_out"]
    assert reasons["sample_1", "SI-SDR_out"] == "there is no estimate.wav"
    assert "lengths differ: [9600, 100]" in reasons["sample_2", "SI-SDR_out"]
    assert "sample rates differ: [8000, 16000]" in reasons["sample_3", "SI-SDR_out"]
    assert set(failures["id"]) == {"utt-0", "utt-1", "utt-2", "utt-3"}


def test_silent_and_short_samples_leave_the_means_alone(tmp_path: Path) -> None:
    folder = make_experiment(tmp_path, n_samples=1)
    make_sample(folder / "sample_1", 1, seconds=0.1)
    make_sample(folder / "sample_2", 2)
    sf.write(folder / "sample_2" / "estimate.wav", np.zeros(9600), SAMPLE_RATE, subtype="FLOAT")
    (folder / "samples.csv").unlink()
    assert run(tmp_path, "--metrics", "stoi", "pesq_wb", "si_sdr") == 0
    by_sample, means, failures = tables(folder)
    assert by_sample["PESQ"].notna().tolist() == [True, False, False]
    assert means.loc["PESQ", "Mean"] == pytest.approx(by_sample["PESQ"][0], rel=1e-5)
    assert list(means.loc["STOI", ["Scored", "Failed"]]) == [1, 2]
    reasons = set(failures.loc[failures["Metric"] == "PESQ", "Reason"])
    assert reasons == {"shorter than 0.25 s: 0.100 s", "the estimate is silent"}


def test_a_second_run_does_only_what_is_new(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_experiment(tmp_path)
    caplog.set_level("INFO", logger="evaluation")

    def to_score(*options: str) -> str:
        caplog.clear()
        assert run(tmp_path, *options) == 0
        return next(r.getMessage() for r in caplog.records if "to score" in r.getMessage())

    assert to_score("--metrics", "si_sdr").endswith("3 to score")
    assert to_score("--metrics", "si_sdr").endswith("0 to score")
    assert to_score("--metrics", "snr", "si_sdr").endswith("3 to score")
    before = tables(folder)[0]
    os.utime(folder / "sample_1" / "estimate.wav", (1, 1))
    assert to_score("--metrics", "si_sdr").endswith("1 to score")
    assert to_score("--metrics", "si_sdr", "--variant", "published").endswith("3 to score")
    assert tables(folder)[0]["SI-SDR_out"].tolist() == pytest.approx(
        before["SI-SDR_out"].tolist(), abs=1e-4
    )


def test_killed_and_started_again_keeps_what_was_finished(tmp_path: Path) -> None:
    folder = make_experiment(tmp_path, n_samples=12)
    command = [sys.executable, "-m", "evaluation.utt_eval", "--experiment_tag", "XP", "--jobs", "2"]
    environment = {**os.environ, "SELOSS_EXPERIMENTS": str(tmp_path)}
    journal = folder / "metrics" / ".finished.jsonl"
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not journal.is_file() or journal.read_bytes().count(b"\n") < 2:
            assert process.poll() is None, "it was too quick to be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        workers = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert workers
    assert not psutil.wait_procs(workers, timeout=60)[1], "workers outlived the program"
    finished = journal.read_bytes()
    assert not (folder / "metrics" / "metrics.csv").exists()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = finished.count(b"\n")
    assert f"12 samples, {12 - kept} to score" in done.stderr
    by_sample, means, _ = tables(folder)
    assert len(by_sample) == 12
    assert means.loc["SI-SDR_out", "Scored"] == 12
    assert not list(folder.glob("metrics/.*.csv"))


def test_a_run_that_scores_nothing_keeps_the_tables_of_the_one_before(tmp_path: Path) -> None:
    folder = make_experiment(tmp_path, n_samples=2)
    assert run(tmp_path, "--metrics", "si_sdr") == 0
    names = ("metrics.csv", "metrics_by_sample.csv", "metrics_by_snr_db.csv")
    before = [(folder / "metrics" / name).read_bytes() for name in names]
    for path in folder.glob("sample_*/speech.wav"):
        path.unlink()
    assert run(tmp_path, "--metrics", "si_sdr") == 1
    assert [(folder / "metrics" / name).read_bytes() for name in names] == before
    assert set(tables(folder)[2]["Reason"]) == {"there is no speech.wav"}


def test_processes_give_the_same_tables(tmp_path: Path) -> None:
    folder = make_experiment(tmp_path)
    (folder / "sample_1" / "estimate.wav").write_bytes(b"no")
    texts = []
    for jobs in ("0", "2"):
        (folder / "metrics" / ".finished.jsonl").unlink(missing_ok=True)
        assert run(tmp_path, "--metrics", "si_sdr", "stoi", "--jobs", jobs) == 0
        texts.append([path.read_text() for path in sorted(folder.glob("metrics/*.csv"))])
    assert texts[0] == texts[1]
    assert len(texts[0]) == 8


def test_a_library_that_is_missing_costs_only_its_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_experiment(tmp_path, n_samples=1)
    monkeypatch.setitem(sys.modules, "fast_bss_eval", None)
    assert run(tmp_path, "--metrics", "sdr", "si_sdr") == 0
    by_sample, _, failures = tables(folder)
    assert by_sample["SI-SDR_out"].notna().all()
    assert by_sample["SDR_out"].isna().all()
    assert "pip install fast-bss-eval" in failures["Reason"][0]


def test_as_published_by_its_path(tmp_path: Path) -> None:
    folder = make_experiment(tmp_path / "experiments", n_samples=1)
    make_experiment(tmp_path / "experiments", n_samples=1, testset="other")
    command = [PROGRAM, "--experiment_tag", "XP", "--metrics", "si_sdr", "--jobs", "0"]
    done = start(*command, cwd=tmp_path)
    assert "XP / test" in done.stdout
    assert "XP / other" in done.stdout
    assert len(tables(folder)[0]) == 1


def test_errors_are_one_line_and_debug_shows_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_experiment(tmp_path, n_samples=1)
    assert utt_eval.main(["--experiment_tag", "YP", "--root", str(tmp_path)]) == 1
    error = capsys.readouterr().err.strip()
    assert error.splitlines() == [
        f"utt_eval: error: no experiment 'YP' in {tmp_path}; there are XP"
    ]
    assert utt_eval.main(["--experiment_tag", "YP", "--root", str(tmp_path), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert run(tmp_path, "--testset", "dev") == 1
    assert "no test set 'dev'" in capsys.readouterr().err
    (tmp_path / "XP" / "test" / "sample_0" / "speech.wav").unlink()
    assert run(tmp_path, "--metrics", "si_sdr") == 1
    assert "could be scored: see failures.csv" in capsys.readouterr().err
    samples = make_experiment(tmp_path, "empty", n_samples=0) / "samples.csv"
    assert samples.read_text(encoding="utf-8").count("\n") == 1  # headings alone
    assert utt_eval.main(["--experiment_tag", "empty", "--root", str(tmp_path)]) == 1
    assert "holds no samples: run evaluation.infer first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metrics", "sisdr"], "invalid choice: 'sisdr'"),
        (["--jobs", "-1"], "invalid natural_int value: '-1'"),
        (["--variant", "old"], "invalid choice: 'old'"),
        (["--tags"], "unrecognized arguments: --tags"),
    ],
)
def test_wrong_usage_is_refused_at_once(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        utt_eval.main(["--experiment_tag", "XP", *options])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_help_names_the_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        utt_eval.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--experiment_tag" in text
    assert "fw_seg_snr" in text
