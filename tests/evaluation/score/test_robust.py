"""The table of outcomes in src/evaluation/README.md, line by line, in one run."""

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

from evaluation.score import cli as utt_eval
from tests.data import make_mixture
from tests.evaluation.folder import make_experiment, make_sample, write_audio

METRICS = ["si_sdr", "si_sir", "snr", "fw_sdr", "llr", "pesq_wb", "stoi", "csig", "dnsmos_sig"]
LABELS = ["SI-SDR", "SI-SIR", "SNR", "FW-SDR", "LLR", "PESQ", "STOI", "CSIG", "DNSMOS-SIG"]
ALL_BUT_DNSMOS = set(LABELS) - {"DNSMOS-SIG"}


def change(folder: Path, name: str, to: object) -> None:
    """Apply a function to a file's samples."""
    path = folder / f"{name}.wav"
    samples, rate = sf.read(path)
    sf.write(path, to(samples), rate, subtype="FLOAT")  # type: ignore[operator]


def with_one(value: float) -> object:
    def put(samples: np.ndarray) -> np.ndarray:
        samples[500] = value
        return samples

    return put


# What is done to which file, which figures are left, and a reason that is given.
CASES = {
    "silent speech": ("speech", np.zeros_like, set(), "the target is silent"),
    "silent estimate": ("estimate", np.zeros_like, {"SNR"}, "the estimate is silent"),
    "silent noise": ("noise", np.zeros_like, ALL_BUT_DNSMOS - {"SI-SIR", "FW-SDR"}, "the noise"),
    "nan": ("estimate", with_one(np.nan), set(), "the estimate holds values that are not finite"),
    "infinite": ("speech", with_one(np.inf), set(), "the target holds values"),
    "clipped": ("estimate", lambda x: np.clip(9 * x, -0.5, 0.5), ALL_BUT_DNSMOS, "than 1 s"),
    "beyond full scale": ("estimate", lambda x: 9 * x, ALL_BUT_DNSMOS, "than 1 s: 0.600 s"),
    "lengths": ("estimate", lambda x: x[:-1], set(), "lengths differ: [9599, 9600] samples"),
    "empty": ("estimate", lambda x: x[:0], set(), "the estimate holds no samples"),
    "two channels": ("estimate", lambda x: np.stack([x, 0 * x], 1), ALL_BUT_DNSMOS, "than 1 s"),
}


def figures(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.read_csv(folder / "metrics" / "metrics_by_sample.csv").set_index("Sample_ID")
    names = {f"{name}_out": name for name in LABELS}
    return (
        table.rename(columns=names).reindex(columns=LABELS).notna(),
        pd.read_csv(folder / "metrics" / "failures.csv").set_index("Sample_ID"),
    )


def test_each_line_of_the_table_of_outcomes(tmp_path: Path) -> None:
    folder = make_experiment(tmp_path, n_samples=len(CASES) + 4)
    (folder / "samples.csv").unlink()
    for index, (name, to, _, _) in enumerate(CASES.values()):
        change(folder / f"sample_{index}", name, to)
    short, torn, rates, fine = (folder / f"sample_{len(CASES) + more}" for more in range(4))
    for path in short.glob("*.wav"):
        path.unlink()
    short.rmdir()
    make_sample(short, 1, seconds=0.1)
    (torn / "estimate.wav").write_bytes((torn / "estimate.wav").read_bytes()[:30])
    samples, _ = sf.read(rates / "speech.wav")
    sf.write(rates / "speech.wav", samples, 8000)
    command = ["--experiment_tag", "XP", "--root", str(tmp_path), "--jobs", "0", "--metrics"]
    assert utt_eval.main([*command, *METRICS]) == 0
    there, failures = figures(folder)
    for index, (case, (_, _, expected, reason)) in enumerate(CASES.items()):
        row = there.loc[f"sample_{index}"]
        assert set(row.index[row]) == expected, case
        said = failures.loc[[f"sample_{index}"], "Reason"]
        assert said.str.contains(reason, regex=False).any(), (case, set(said))
    for path, expected in (
        (short, {"SI-SDR", "SI-SIR", "SNR", "FW-SDR", "LLR"}),
        (torn, set()),
        (rates, set()),
        (fine, ALL_BUT_DNSMOS),
    ):
        row = there.loc[path.name]
        assert set(row.index[row]) == expected, path.name
    assert failures.loc[short.name, "Reason"].str.contains("shorter than 0.25 s: 0.100 s").any()
    assert failures.loc[torn.name, "Reason"].str.contains("estimate.wav cannot be read").any()
    assert failures.loc[rates.name, "Reason"].str.contains("sample rates differ").any()


def test_one_torn_file_among_a_thousand(tmp_path: Path) -> None:
    _, speech, noise = make_mixture(0.1, n_mics=1, seed=1)
    for index in range(1000):
        write_audio(tmp_path / "clean" / f"u{index}.wav", speech[0])
        write_audio(tmp_path / "net" / f"u{index}.wav", speech[0] + noise[0] / (index + 1))
    (tmp_path / "net" / "u500.wav").write_bytes(b"RIFF....WAVE")
    options = ["--targets", str(tmp_path / "clean"), "--metrics", "snr", "--jobs", "0"]
    assert utt_eval.main(["--estimates", str(tmp_path / "net"), *options]) == 0
    results = tmp_path / "net_results" / "metrics"
    table = pd.read_csv(results / "metrics_by_sample.csv")
    assert table.loc[table["SNR_out"].isna(), "id"].tolist() == ["u500"]
    expected = 20 * np.log10(np.arange(1, 1001))
    found = table.set_index("id")["SNR_out"] - table.set_index("id").loc["u0", "SNR_out"]
    for index in (0, 9, 99, 999):
        assert found[f"u{index}"] == pytest.approx(expected[index], abs=0.01)
    means = pd.read_csv(results / "metrics.csv")
    assert means[["Scored", "Failed"]].to_numpy().tolist() == [[999, 1]]


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_sample(tmp_path: Path) -> None:
    """What an out-of-memory killer does: the samples that it had are done again."""
    folder = make_experiment(tmp_path, n_samples=60)  # enough to be there in time
    command = [sys.executable, "-m", "evaluation.utt_eval", "--experiment_tag", "XP", "--jobs", "2"]
    environment = {**os.environ, "SELOSS_EXPERIMENTS": str(tmp_path)}
    journal = folder / "metrics" / ".finished.jsonl"
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not journal.is_file():
            assert process.poll() is None, "it was too quick"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        below = psutil.Process(process.pid).children(recursive=True)
        worker = next(one for one in below if one.ppid() != process.pid)  # the fork server's
        worker.send_signal(signal.SIGKILL)
        assert process.wait(timeout=300) == 0
    finally:
        process.kill()
        process.wait()
    table = pd.read_csv(folder / "metrics" / "metrics_by_sample.csv")
    assert len(table) == 60
    assert table["PESQ"].notna().all()


def test_tables_do_not_depend_on_the_sampling_rate_of_the_corpus(tmp_path: Path) -> None:
    """At 48 kHz what is defined is computed, what is not says so."""
    noise = np.random.default_rng(0).standard_normal((2, 48000))
    write_audio(tmp_path / "clean" / "a.wav", 0.1 * noise[0], 48000)
    write_audio(tmp_path / "net" / "a.wav", 0.1 * noise[0] + 0.01 * noise[1], 48000)
    options = ["--targets", str(tmp_path / "clean"), "--jobs", "0", "--metrics"]
    metrics = ["si_sdr", "stoi", "pesq_wb", "csig"]
    assert utt_eval.main(["--estimates", str(tmp_path / "net"), *options, *metrics]) == 0
    results = tmp_path / "net_results" / "metrics"
    table = pd.read_csv(results / "metrics_by_sample.csv")
    assert table["SI-SDR_out"][0] == pytest.approx(20, abs=0.2)
    failures = pd.read_csv(results / "failures.csv").set_index("Metric")["Reason"]
    assert failures["PESQ"] == "defined at 16000 Hz; the signals are at 48000 Hz"
    assert failures["CSIG_out"].startswith("defined at 8000 or 16000 Hz")
