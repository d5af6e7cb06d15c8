"""Spectral diagnostics: energies land in the band, the part and the phone class they belong to."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from PIL import Image

from evaluation.spectra.bands import third_octaves
from evaluation.spectra.cli import main, spectra
from evaluation.testset.experiment import References, open_system
from evaluation.testset.testset import TestSet
from tests.evaluation.folder import make_experiment, write_audio

RATE = 16000
TIME = np.arange(RATE) / RATE


def tone(frequency: float, level: float = 1.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * TIME)


def made(folder: Path, signals: dict[str, np.ndarray]) -> TestSet:
    sample = folder / "XP" / "test" / "sample_0"
    for name, signal in signals.items():
        write_audio(sample / f"{name}.wav", signal)
    return TestSet(folder / "XP" / "test")


def at(table: pd.DataFrame, frequency: float, **where: str) -> pd.Series:
    for column, value in where.items():
        table = table[table[column.rstrip("_")] == value]
    return table.iloc[(table["centre_hz"] - frequency).abs().argmin()]


def test_bands_are_those_of_the_standard() -> None:
    centres, edges = third_octaves(RATE)
    nominal = [100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600]
    nominal += [2000, 2500, 3150, 4000, 5000, 6300]
    assert np.allclose(centres, nominal, rtol=0.02)
    assert edges[-1] <= RATE / 2
    assert np.allclose(np.diff(np.log2(edges)), 1 / 3)


def test_tones_of_known_level_give_their_ratios_in_their_bands(tmp_path: Path) -> None:
    speech, noise = tone(500) + tone(2000), tone(500.5 * 2) + tone(4000)
    artefact = tone(250, 0.1)
    estimate = 3.0 * (speech + 0.5 * noise + artefact)
    signals = {"estimate": estimate, "speech": speech, "noise": noise, "mixture": speech + noise}
    table = spectra({"XP": made(tmp_path, signals)})
    # Halves of the speech's energy lie at 500 and 2000 Hz, whatever the gain.
    for frequency in (500, 2000):
        assert at(table, frequency, system="XP")["speech_db"] == pytest.approx(-3.01, abs=0.05)
    for frequency in (1000, 4000):
        row = at(table, frequency, system="XP")
        assert row["noise_db"] == pytest.approx(-3.01 - 6.02, abs=0.05)
    assert at(table, 250, system="XP")["artefact_db"] == pytest.approx(-3.01 - 20, abs=0.1)
    mixture = at(table, 1000, system="mixture")
    assert mixture["noise_db"] == pytest.approx(-3.01, abs=0.05)
    assert np.isnan(mixture["sar_db"])  # a mixture has no artefact


def test_what_happens_in_a_phone_shows_in_its_class_only(tmp_path: Path) -> None:
    speech, noise = tone(1000), tone(300)
    estimate = speech + 0.5 * noise + tone(3150) * (TIME < 0.5)
    testset = made(tmp_path, {"estimate": estimate, "speech": speech, "noise": noise})
    phones = pd.DataFrame(
        {
            "id": "sample_0",
            "start_s": [0.05, 0.55],
            "end_s": [0.45, 0.95],
            "phone": ["a", "s"],
            "class": ["vowel", "fricative"],
        }
    )
    testset.metrics.mkdir()
    phones.to_csv(testset.metrics / "phoneme_segments.csv", index=False)
    table = spectra({"XP": testset})
    loud, quiet = (at(table, 3150, class_=name) for name in ("vowel", "fricative"))
    speech_db = at(table, 1000, class_="vowel")["speech_db"]
    assert loud["artefact_db"] == pytest.approx(speech_db, abs=0.2)
    assert np.isnan(quiet["artefact_db"]) or quiet["artefact_db"] < speech_db - 30
    for name in ("vowel", "fricative"):  # the residual noise is everywhere
        assert at(table, 300, class_=name)["noise_db"] == pytest.approx(speech_db - 6, abs=0.3)
    assert set(table["class"]) == {"all", "vowel", "fricative"}


def test_one_broken_file_is_named_and_does_not_stop_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_experiment(tmp_path, "XP", n_samples=2)
    (folder / "sample_1" / "estimate.wav").write_bytes(b"no audio")
    table = spectra({"XP": TestSet(folder)})
    assert set(table.loc[table["system"] == "XP", "utterances"]) == {1}
    assert "sample_1" in caplog.text


def test_an_utterance_of_another_rate_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_experiment(tmp_path, n_samples=3)
    expected = spectra({"XP": TestSet(folder)})
    shutil.copytree(folder / "sample_0", folder / "sample_3")
    for path in (folder / "sample_3").glob("*.wav"):
        write_audio(path, sf.read(path)[0], sample_rate=8000)
    with (folder / "samples.csv").open("a", encoding="utf-8") as table:
        table.write("sample_3,utt-3,03,pink,3.5,True\n")
    pd.testing.assert_frame_equal(spectra({"XP": TestSet(folder)}), expected)
    assert "sample_3/estimate.wav is left out: it is at 8000 Hz" in caplog.text


def test_signals_of_different_length_are_left_out_not_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An estimate that lost its first 0.1 s would be compared with speech that it does not hold."""
    folder = make_experiment(tmp_path, n_samples=3)
    expected = spectra({"XP": TestSet(folder)})
    shutil.copytree(folder / "sample_0", folder / "sample_3")
    with (folder / "samples.csv").open("a", encoding="utf-8") as table:
        table.write("sample_3,utt-3,03,pink,3.5,True\n")
    path = folder / "sample_3" / "estimate.wav"
    write_audio(path, sf.read(path)[0][1600:])
    table = spectra({"XP": TestSet(folder)})
    ours, theirs = (part[part["system"] == "XP"] for part in (table, expected))
    pd.testing.assert_frame_equal(ours.reset_index(drop=True), theirs.reset_index(drop=True))
    assert (
        "sample_3/estimate.wav is left out: ValueError: lengths differ: [8000, 9600" in caplog.text
    )
    path.unlink()
    spectra({"XP": TestSet(folder)})
    assert "1 utterance(s) lack estimate, speech or noise and are left out: utt-3" in caplog.text


def test_systems_of_one_name_are_told_apart_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = []
    for name in ("net_a", "net_b"):
        root = make_experiment(tmp_path / name, n_samples=1)
        for signal, role in (("estimate", "enhanced"), ("speech", "clean"), ("noise", "noise")):
            path = tmp_path / name / role / "utt.wav"
            path.parent.mkdir()
            shutil.copy(root / "sample_0" / f"{signal}.wav", path)
        names = [tmp_path / name / role for role in ("clean", "noise")]
        open_system(names[0].with_name("enhanced"), references=References(None, *names))
        folders.append(str(tmp_path / name / "enhanced"))
    output = ["-o", str(tmp_path / "out"), "--jobs", "1"]
    assert main([*folders, *output]) == 1
    assert "two systems are called 'enhanced': name them, as A=" in capsys.readouterr().err
    assert main([f"A={folders[0]}", f"B={folders[1]}", *output]) == 0
    assert set(pd.read_csv(tmp_path / "out" / "spectra.csv")["system"]) == {"A", "B"}


def test_ids_like_missing_values_keep_their_phones(tmp_path: Path) -> None:
    signals = {"estimate": tone(1000) + tone(300), "speech": tone(1000), "noise": tone(300)}
    testset = made(tmp_path, signals)
    (testset.folder / "samples.csv").write_text("Sample_ID,id\nsample_0,NA\n", encoding="utf-8")
    testset.metrics.mkdir()
    (testset.metrics / "phoneme_segments.csv").write_text(
        "id,start_s,end_s,phone,class\nNA,0.1,0.4,a,vowel\n", encoding="utf-8"
    )
    assert set(spectra({"XP": testset})["class"]) == {"all", "vowel"}


def test_the_program_leaves_pictures_with_their_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_experiment(tmp_path, "XP", n_samples=1)
    output = tmp_path / "spectra"
    assert main(["XP", "--root", str(tmp_path), "-o", str(output), "--jobs", "1"]) == 0
    for name in ("average_spectra", "band_ratios"):
        assert min(Image.open(output / f"{name}.png").size) > 100
        assert {"system", "centre_hz"} <= set(pd.read_csv(output / f"{name}.csv"))
    assert set(pd.read_csv(output / "spectra.csv")["system"]) == {"XP", "mixture"}
    assert main(["nobody", "--root", str(tmp_path), "-o", str(output)]) == 1
    assert "no experiment 'nobody'" in capsys.readouterr().err
