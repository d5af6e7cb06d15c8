"""Groups of samples, classes of SNR, the picture of noise type by SNR."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.score.columns import drawn_columns, group_tables, snr_classes
from evaluation.score.plot import draw_groups


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "SI-SDR_out": [1.0, 2.0, 3.0, np.nan, 5.0, 6.0],
            "PESQ": [1.5, 2.5, 3.5, 1.0, 2.0, 3.0],
            "snr_db": [-5.0, 0.0, 10.0, 0.0, -5.0, np.nan],
            "noise_type": ["party", "party", "dog", "dog", None, "dog"],
            "seen": [True, True, False, False, True, False],
            "speaker": ["007", "7", "007", "7", "7", "7"],
        }
    )


def test_means_of_groups_and_of_their_crossing(table: pd.DataFrame) -> None:
    tables = group_tables(table, ["SI-SDR_out", "PESQ"])
    assert list(tables) == ["snr_db", "noise_type", "seen", "speaker", "noise_type_snr_db"]
    snr = tables["snr_db"].set_index(["snr_db", "Metric"])
    # numbers in their order, not "-5", "0", "10" by letters
    assert list(tables["snr_db"]["snr_db"].cat.categories) == ["-5", "0", "10", "(unknown)"]
    zero = snr.loc[("0", "SI-SDR_out")]
    assert (zero["Mean"], zero["Scored"], zero["Failed"]) == (2.0, 1, 1)
    assert np.isnan(zero["Std"])
    low = snr.loc[("-5", "SI-SDR_out")]
    assert low["Std"] == pytest.approx(np.std([1, 5], ddof=1))
    speakers = tables["speaker"].set_index(["speaker", "Metric"])
    assert speakers.loc[("007", "PESQ"), "Mean"] == 2.5
    assert speakers.loc[("7", "PESQ"), "Scored"] == 4
    assert tables["noise_type"]["noise_type"].unique().tolist() == ["dog", "party", "(unknown)"]
    crossed = tables["noise_type_snr_db"].set_index(["noise_type", "snr_db", "Metric"])
    assert crossed.loc[("dog", "10", "PESQ"), "Mean"] == 3.5
    assert crossed["Scored"].sum() == 11
    assert crossed["Failed"].sum() == 1
    assert ("party", "10", "PESQ") not in crossed.index


def test_what_is_not_known_makes_no_table(table: pd.DataFrame) -> None:
    tables = group_tables(table.drop(columns=["noise_type", "speaker"]), ["PESQ"])
    assert list(tables) == ["snr_db", "seen"]


def test_continuous_snrs_are_classes_of_5_db() -> None:
    draw = np.random.default_rng(0).uniform(-7, 13, 200)
    classes = snr_classes(pd.Series(draw))
    assert list(classes.cat.categories) == ["< -5", "-5 to 0", "0 to 5", "5 to 10", ">= 10"]
    assert (classes[draw < -5] == "< -5").all()
    assert (classes[(draw >= 0) & (draw < 5)] == "0 to 5").all()


def test_few_utterances_at_drawn_snrs_are_no_class_each() -> None:
    drawn = snr_classes(pd.Series([-3.27, 1.94, 2.61, 8.13]))
    assert drawn.astype(str).tolist() == ["< 0", "0 to 5", "0 to 5", ">= 5"]
    chosen = snr_classes(pd.Series([-5.0, 0.0, 2.5, 10.0]))
    assert chosen.astype(str).tolist() == ["-5", "0", "2.5", "10"]
    repeated = snr_classes(pd.Series([-3.27, 1.94] * 3))
    assert list(repeated.cat.categories) == ["-3.27", "1.94"]


def test_edges_are_asked_for() -> None:
    classes = snr_classes(pd.Series([-3.0, 0.0, 2.9, 3.0, 9.0, np.nan]), [0, 3])
    assert classes.astype(object).tolist()[:5] == ["< 0", "0 to 3", "0 to 3", ">= 3", ">= 3"]
    assert classes.isna().tolist()[-1]
    one = snr_classes(pd.Series([-1.0, 1.0]), [0])
    assert one.tolist() == ["< 0", ">= 0"]
    with pytest.raises(ValueError, match=r"must rise; got \[3, 0\]"):
        snr_classes(pd.Series([1.0]), [3, 0])


def test_the_picture_has_a_panel_per_metric_and_a_number_per_cell(table: pd.DataFrame) -> None:
    crossed = group_tables(table, ["SI-SDR_out", "PESQ"])["noise_type_snr_db"]
    figure = draw_groups(crossed, drawn_columns(["out/si_sdr", "out/pesq_wb"]))
    first, second = figure.axes
    assert first.get_title().startswith("SI-SDR_out (dB)")
    assert [text.get_text() for text in second.get_yticklabels()] == ["dog", "party", "(unknown)"]
    texts = [text.get_text() for text in second.texts]
    assert texts[:4] == ["\u2013", "1\nn=1", "3.5\nn=1", "3\nn=1"]
    # dog at 0 dB was a sample without a score
    assert first.texts[1].get_text() == "none\nscored"
    assert len(texts) == 12


def test_a_metric_that_nothing_has_is_drawn_empty_and_like_means_look_alike(
    table: pd.DataFrame,
) -> None:
    table["PESQ"] = np.nan
    table["SI-SDR_out"] = 35 + 1e-4 * np.arange(6)
    crossed = group_tables(table, ["SI-SDR_out", "PESQ"])["noise_type_snr_db"]
    figure = draw_groups(crossed, drawn_columns(["out/si_sdr", "out/pesq_wb"]))
    same, empty = figure.axes
    assert {text.get_text() for text in empty.texts} == {"\u2013", "none\nscored"}
    low, high = same.images[0].get_clim()
    assert high - low == pytest.approx(0.7, rel=1e-3)
