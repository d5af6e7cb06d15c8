"""utt_eval on any system's folder: references, options, groups, ears."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from evaluation.score import cli as utt_eval
from tests.data import SAMPLE_RATE, make_manifest
from tests.evaluation.folder import make_experiment, write_audio


def tables(results: Path) -> dict[str, pd.DataFrame]:
    return {
        path.stem: pd.read_csv(path, keep_default_na=path.stem != "failures")
        for path in (results / "metrics").glob("*.csv")
    }


def run(estimates: Path, *options: object) -> int:
    arguments = ["--estimates", estimates, "--jobs", 0, *options]
    return utt_eval.main([str(argument) for argument in arguments])


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """Four mixtures of two ears, and a system that removes half of their noise at both."""
    make_manifest(tmp_path / "data", n_items=4, seconds=0.6)
    for index in range(4):
        folder = tmp_path / "data" / "audio" / f"item{index}"
        both = [
            sf.read(folder / f"speech_mic{mic}.wav")[0]
            + 0.5 * sf.read(folder / f"noise_mic{mic}.wav")[0]
            for mic in (1, 2)
        ]
        write_audio(tmp_path / "net" / f"item{index}-enhanced.wav", np.stack(both, 1))
    return tmp_path / "net"


def test_a_manifest_gives_all_figures_and_groups(tmp_path: Path, net: Path) -> None:
    manifest = tmp_path / "data" / "manifest.json"
    names = ("si_sdr", "si_sir", "ild_error", "itd_error")
    assert run(net, "--input_json", manifest, "--metrics", *names) == 0
    found = tables(tmp_path / "net_results")
    by_sample = found["metrics_by_sample"]
    assert by_sample["id"].tolist() == ["item0", "item1", "item2", "item3"]
    # half the noise left
    assert by_sample["Delta_SI-SIR"].to_numpy() == pytest.approx(6.02, abs=0.6)
    assert (by_sample["ILD-error_out"] < by_sample["ILD-error_in"]).all()
    assert (by_sample["ITD-error_out"] < by_sample["ITD-error_in"]).all()
    assert found["failures"].empty
    seen = found["metrics_by_seen"].set_index(["seen", "Metric"])
    expected = by_sample.loc[by_sample["seen"], "SI-SDR_out"]
    assert seen.loc[(True, "SI-SDR_out"), "Mean"] == pytest.approx(expected.mean(), rel=1e-4)
    assert seen.loc[(True, "SI-SDR_in"), "Scored"] == 2
    assert len(found["metrics_by_noise_type_snr_db"]) == 4 * len(found["metrics"])
    assert (tmp_path / "net_results" / "metrics" / "metrics_by_noise_type_snr_db.png").is_file()
    # once judged it is known: neither references nor metrics are asked for again
    assert run(net, "--metrics", *names, "--snr_edges", 0) == 0
    classes = tables(tmp_path / "net_results")["metrics_by_snr_db"]["snr_db"].unique()
    assert classes.tolist() == ["< 0", ">= 0"]


def test_folders_of_clean_speech_are_enough(
    tmp_path: Path, net: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index in range(3):
        clean = sf.read(tmp_path / "data" / "audio" / f"item{index}" / "speech_mic1.wav")[0]
        write_audio(tmp_path / "clean" / f"item{index}.wav", clean)
    caplog.set_level("INFO")
    assert run(net, "--targets", tmp_path / "clean") == 0
    assert "not computed without noise: si_sir, si_sar, fw_sir, fw_sar, fw_sdr" in caplog.text
    assert "1 estimate(s) without a partner: item3-enhanced.wav" in caplog.text
    found = tables(tmp_path / "net_results")
    assert sorted(found) == ["failures", "metrics", "metrics_by_sample"]
    columns = found["metrics_by_sample"].columns
    assert [name for name in columns if name.endswith("_in") or "Delta" in name] == []
    assert found["metrics"]["Metric"].tolist() == ["SI-SDR_out", "PESQ", "STOI"]
    assert run(net, "--targets", tmp_path / "clean", "--metrics", "si_sir") == 1
    assert set(tables(tmp_path / "net_results")["failures"]["Reason"]) == {"there is no noise"}


def test_lengths_are_cut_on_request(tmp_path: Path) -> None:
    clean = 0.1 * np.random.default_rng(0).standard_normal(8000)
    write_audio(tmp_path / "clean" / "a.wav", clean)
    write_audio(tmp_path / "net" / "a.wav", np.append(clean, np.zeros(80)))
    options = ("--targets", tmp_path / "clean", "--metrics", "snr")
    assert run(tmp_path / "net", *options) == 1
    reason = tables(tmp_path / "net_results")["failures"]["Reason"][0]
    assert reason == "lengths differ: [8080, 8000] samples for estimate, speech"
    assert run(tmp_path / "net", *options, "--cut_to_shortest") == 0
    assert tables(tmp_path / "net_results")["metrics"]["Mean"][0] == 150


def test_one_channel_has_no_binaural_figure(tmp_path: Path) -> None:
    make_experiment(tmp_path, n_samples=1)
    options = ["--experiment_tag", "XP", "--root", str(tmp_path), "--jobs", "0"]
    assert utt_eval.main([*options, "--metrics", "ild_error", "si_sdr"]) == 0
    reasons = pd.read_csv(tmp_path / "XP" / "test" / "metrics" / "failures.csv")["Reason"]
    assert reasons[0] == "estimate.wav has 1 channel(s); a binaural metric needs two"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--targets", "clean", "--input_json", "m.json"], "give one type"),
        (["--testset", "test"], "a folder of estimates has none"),
        ([], "give its references, --input_json MANIFEST"),
        (["--targets", "nowhere"], "no folder nowhere"),
        (["--targets", "clean", "--pair_pattern", "x"], "has no group"),
        (["--targets", "clean", "--information", "known.csv"], "must have a column 'id'"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_audio(tmp_path / "net" / "a.wav")
    write_audio(tmp_path / "clean" / "a.wav")
    (tmp_path / "known.csv").write_text("name\na\n")
    assert run(Path("net"), *options) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_references_do_not_go_with_a_tag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_experiment(tmp_path, n_samples=1)
    options = ["--experiment_tag", "XP", "--root", str(tmp_path), "--targets", "clean"]
    assert utt_eval.main(options) == 1
    assert "--targets goes with --estimates" in capsys.readouterr().err


def test_without_references_opinions_are_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(tmp_path / "net" / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(800))
    write_audio(tmp_path / "noisy" / "a.wav", np.zeros(800), SAMPLE_RATE)
    assert run(tmp_path / "net", "--mixtures", tmp_path / "noisy") == 1
    assert "no published metric works without references" in capsys.readouterr().err
