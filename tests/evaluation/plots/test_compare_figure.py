"""Spectrograms and training curves in one picture, its numbers beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from evaluation.plots import cli as compare_figure
from evaluation.plots.cli import RANGE_DB, level_db
from evaluation.score import cli as utt_eval
from tests.evaluation.folder import make_experiment

RATE = 16000


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELOSS_EXPERIMENTS", str(tmp_path))
    for tag in ("A", "B"):
        make_experiment(tmp_path, tag, n_samples=1)
    return tmp_path


def test_a_tone_is_where_it_belongs() -> None:
    time = np.arange(RATE) / RATE
    tone = 0.01 * np.sin(2 * np.pi * 2000 * time)
    times, frequencies, level = level_db(tone, RATE)
    assert level.shape == (len(frequencies), len(times))
    assert level.max() == 0.0
    assert level.min() == -RANGE_DB
    assert frequencies[level[:, len(times) // 2].argmax()] == pytest.approx(2.0)
    assert times[0] <= 0.0
    assert times[-1] >= 1.0 - 0.01
    louder = level_db(100 * tone, RATE)[2]
    assert np.allclose(louder, level)


def test_silence_has_a_picture_too() -> None:
    level = level_db(np.zeros(4000), RATE)[2]
    assert np.isfinite(level).all()


def test_picture_and_numbers(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert utt_eval.main(["--experiment_tag", "A", "--jobs", "0", "--metrics", "si_sdr"]) == 0
    (root / "B" / "history.csv").unlink()
    picture = root / "figures" / "compare.png"
    assert compare_figure.main(["A", "B", "--sample", "utt-0", "-o", str(picture)]) == 0
    image = np.asarray(Image.open(picture).convert("RGB"))
    assert image.shape[1] > image.shape[0] > 300
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100
    numbers = pd.read_csv(picture.with_suffix(".csv"))
    losses = numbers[numbers["quantity"] == "val/loss"]
    assert losses["value"].tolist() == [2.0, -2.5]
    assert losses["epoch"].tolist() == [0, 1]
    assert set(numbers["system"]) == {"A"}
    judged = pd.read_csv(root / "A" / "test" / "metrics" / "metrics_by_sample.csv")
    value = numbers.loc[numbers["quantity"] == "SI-SDR_out", "value"].item()
    assert value == pytest.approx(judged["SI-SDR_out"][0])
    assert str(picture) in capsys.readouterr().out


def test_vector_formats(root: Path) -> None:
    assert compare_figure.main(["A", "--sample", "0", "-o", str(root / "one.pdf")]) == 0
    assert (root / "one.pdf").read_bytes().startswith(b"%PDF")


def test_errors(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["-o", str(root / "c.png")]
    assert compare_figure.main(["A", "--sample", "9", *out]) == 1
    assert "no sample '9'" in capsys.readouterr().err
    assert compare_figure.main(["A", "--sample", "0", "-o", str(root / "c.doc")]) == 1
    assert "must end in .png, .pdf or .svg" in capsys.readouterr().err
    (root / "A" / "test" / "sample_0" / "estimate.wav").unlink()
    assert compare_figure.main(["A", "--sample", "0", *out]) == 1
    assert "run evaluation.infer" in capsys.readouterr().err
    assert not (root / "c.png").exists()
    for options, status in ((["--help"], 0), (["A"], 2)):
        with pytest.raises(SystemExit) as stop:
            compare_figure.main(options)
        assert stop.value.code == status
