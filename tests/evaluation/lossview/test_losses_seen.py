"""What is said of a loss must be true of it: closed forms, known defects, broken losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from asteroid.losses import build_loss
from evaluation.lossview import cli as loss_check
from evaluation.lossview import spectrum as loss_spectrum
from evaluation.lossview.cells import gradient_of, maps_of
from evaluation.lossview.examples import Example
from evaluation.lossview.probe import SNRS_DB, probe_loss
from evaluation.lossview.spectrum import gradient_shares
from evaluation.lossview.verdict import learning_range, verdict
from tests.data import make_manifest

RATE = 16000


def tone(frequency: float, seconds: float = 0.5) -> torch.Tensor:
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    return 0.3 * torch.sin(2 * torch.pi * frequency * time)


@pytest.fixture
def example() -> Example:
    """Orthogonal speech and noise: every SNR is exact."""
    speech, noise = tone(1000), tone(3000)
    phones = ((0.0, 0.25, "a", "vowel"), (0.25, 0.5, "s", "fricative"))
    return Example("x", speech + noise, speech, noise, None, RATE, phones)


def probed(name: str, example: Example, **options: object) -> pd.DataFrame:
    return probe_loss(build_loss(name, reduction="none", **options), [example])


def test_si_sdr_is_minus_the_snr_everywhere(example: Example) -> None:
    table = probed("xp1", example)
    snr = table[table["kind"] == "snr"].set_index("at_db")["value"]
    assert np.allclose(snr, -np.array(SNRS_DB), atol=0.05)
    assert learning_range(snr) == (-40, 50)
    text = " ".join(verdict(table))
    assert "PROBLEM" not in text
    assert "does not depend on the estimate's level" in text
    assert "from 10 to -20" in text


def test_the_gradient_is_that_of_the_closed_form(example: Example) -> None:
    # MSE: the gradient is 2 (estimate - speech) / samples.
    table = probed("mse", example).set_index("condition")
    residual = 10 ** (20 / 20) * float(example.speech.norm())
    expected = 2 * residual / len(example.speech)
    assert table.loc["-20 dB SNR", "gradient"] == pytest.approx(expected, rel=1e-4)


def test_a_clamped_loss_is_caught_before_training(example: Example) -> None:
    with pytest.warns(UserWarning, match="no gradient below -10"):
        table = probed("neg_sisdr", example, variant="published")
    text = " ".join(verdict(table))
    assert "PROBLEM: almost no gradient from a random start" in text
    assert "between -15 and 35 dB" in text or "between -10 and 35 dB" in text


def test_a_level_dependent_loss_is_said_to_be_one(example: Example) -> None:
    text = " ".join(verdict(probed("mse", example)))
    assert "depends on the estimate's level" in text
    assert "CAUTION: it is flat outside" in text


def test_what_is_not_finite_is_named_with_its_condition(example: Example) -> None:
    class Broken(torch.nn.Module):
        def forward(self, estimates: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return (estimates[:, 0].norm(dim=-1) / estimates[:, 0].norm(dim=-1)).log()

    first = verdict(probe_loss(Broken(), [example]))[0]
    assert first.startswith("PROBLEM: value or gradient is not finite for: silent estimate")


def test_a_part_that_hardly_counts_is_named(example: Example) -> None:
    from asteroid.losses import SumLoss

    parts = [{"name": "si_snr"}, {"name": "mse", "weight": 1e-6}]
    text = " ".join(verdict(probe_loss(SumLoss(parts, reduction="none"), [example])))
    assert "CAUTION: mse hardly counts" in text
    assert "si_snr: weighted range 30" in text


def test_the_mse_pushes_where_the_residual_is(example: Example) -> None:
    table = gradient_shares({"mse": build_loss("mse", reduction="none")}, [example])
    part = table[(table["loss"] == "mse") & (table["class"] == "all")].set_index("centre_hz")
    assert part["share"].idxmax() == pytest.approx(3150, rel=0.02)
    assert part["share"].max() == pytest.approx(1.0, abs=0.01)
    classes = table[table["loss"] == "mse"].groupby("class").agg({"share": "sum", "time": "first"})
    assert classes.loc["vowel", "share"] == pytest.approx(0.5, abs=0.03)
    assert classes.loc["vowel", "time"] == pytest.approx(0.5)


def test_gradients_are_taken_at_the_estimate_if_there_is_one(example: Example) -> None:
    perfect = Example("x", example.mixture, example.speech, example.noise, example.speech, RATE)
    loss = build_loss("mse", reduction="none")
    assert float(gradient_of(loss, example).norm()) > 0
    assert float(gradient_of(loss, perfect).norm()) < 1e-9


def test_maps_show_weights_and_shares_of_weighted_losses(example: Example) -> None:
    loss = build_loss("neg_sisdr", scale="mel", n_bins=18, weights_type="speech_norm")
    maps = {one.name: one for one in maps_of(loss, example)}
    assert list(maps) == ["the signal", "weight", "share of the distortion", "gradient"]
    weight, share = maps["weight"], maps["share of the distortion"]
    assert weight.values.shape == share.values.shape
    assert len(weight.values) == 18
    strongest = weight.values.mean(1).argmax()
    assert weight.centres_hz[strongest] == pytest.approx(1000, rel=0.2)
    worst = share.values.mean(1).argmax()
    assert share.centres_hz[worst] == pytest.approx(3000, rel=0.2)
    assert [one.name for one in maps_of(build_loss("xp1"), example)] == [
        "the signal",
        "gradient",
    ]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return make_manifest(tmp_path / "data", n_items=2, seconds=0.5)


def test_loss_check_leaves_its_findings_and_figures(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "check"
    arguments = ["--input_json", str(manifest), "--loss", "xp1", "--loss", "si_snr+0.5*lms"]
    assert loss_check.main([*arguments, "--utterances", "1", "-o", str(output)]) == 0
    text = (output / "verdict.md").read_text("utf-8")
    assert "## xp1" in text
    assert text in capsys.readouterr().out
    probes = pd.read_csv(output / "probes.csv")
    assert set(probes["loss"]) == {"xp1", "si_snr+0.5*lms"}
    for name in ("loss_check", "cells_xp1", "cells_si_snr_0.5_lms"):
        assert (output / f"{name}.png").stat().st_size > 5000
        assert len(pd.read_csv(output / f"{name}.csv")) > 10


def test_loss_check_fails_on_a_problem(manifest: Path, tmp_path: Path) -> None:
    arguments = ["--input_json", str(manifest), "--loss", "neg_sisdr", "--variant", "published"]
    with pytest.warns(UserWarning, match="no gradient"):
        assert loss_check.main([*arguments, "--utterances", "1", "-o", str(tmp_path / "c")]) == 1


def test_loss_spectrum_leaves_tables_and_figures(manifest: Path, tmp_path: Path) -> None:
    output = tmp_path / "spectrum"
    arguments = ["--input_json", str(manifest), "--loss", "xp1", "--loss_preset"]
    assert loss_spectrum.main([*arguments, preset(), "-o", str(output)]) == 0
    table = pd.read_csv(output / "loss_spectrum.csv")
    sums = table.groupby("loss")["share"].sum()
    assert ((sums > 0.3) & (sums <= 1.0 + 1e-6)).all()  # the rest lies outside the bands
    assert (output / "gradient_spectra.png").is_file()


def test_phones_of_a_manifest_have_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phones = [[0.0, 0.1, "sil"], [0.1, 0.3, "S"], [0.3, 0.4, "AA1"], [0.4, 0.5, "??"]]
    path = make_manifest(tmp_path / "data", n_items=2, seconds=0.5, phones=phones)
    output = tmp_path / "spectrum"
    command = ["--input_json", str(path), "--loss", "mse", "-o", str(output)]
    assert loss_spectrum.main(command) == 0
    table = pd.read_csv(output / "loss_spectrum.csv").drop_duplicates(["loss", "class"])
    shares = table[table["loss"] == "mse"].set_index("class")["time"].to_dict()
    assert shares == pytest.approx({"all": 1, "sibilant": 0.4, "open": 0.2, "unmapped": 0.2})
    assert (output / "gradient_classes.png").stat().st_size > 5000
    path = make_manifest(tmp_path / "wrong", n_items=1, seconds=0.5, phones=[["S", 0.0, 0.1]])
    assert loss_spectrum.main(["--input_json", str(path), "--loss", "mse"]) == 1
    assert "'item0': 'phones', entry 1: expected [start, end, label]" in capsys.readouterr().err


def preset() -> str:
    table = Path(__file__).resolve().parents[3] / "configs" / "losses.yml"
    return min(yaml.safe_load(table.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name a loss"),
        (["--loss", "sisdr"], "loss must be one of neg_sisdr"),
        (["--loss", "xp1", "--ids", "nobody"], "no utterance 'nobody'"),
        (["--loss", "xp1", "--experiment_tag", "XP"], "not both"),
    ],
)
def test_wrong_options_are_named(
    manifest: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert loss_check.main(["--input_json", str(manifest), *options]) == 1
    assert message in capsys.readouterr().err
