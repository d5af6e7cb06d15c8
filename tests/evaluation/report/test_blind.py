"""Blind listening tests: the page names no system, its answers are read with the key alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evaluation.report import listening_results
from evaluation.report.blind import ANCHOR, HIDDEN_REFERENCE
from evaluation.report.cli import main
from tests.browser import opened

if TYPE_CHECKING:
    from playwright.sync_api import Page


def write(experiments: Path, folder: Path, kind: str) -> tuple[Path, dict[str, Any]]:
    path = folder / f"{kind}.html"
    arguments = ["plain", "weighted", "--root", str(experiments), "--blind", kind, "-o", str(path)]
    assert main([*arguments, "--jobs", "1"]) == 0
    key: dict[str, Any] = json.loads(path.with_name(f"{kind}_key.json").read_text("utf-8"))
    return path, key


@pytest.mark.parametrize("kind", ["mushra", "abx"])
def test_the_page_tells_no_name(experiments: Path, tmp_path: Path, kind: str) -> None:
    page, key = write(experiments, tmp_path, kind)
    text = page.read_text("utf-8")
    assert "plain" not in text
    assert "weighted" not in text
    codes = [code for trial in key["trials"] for code in trial["stimuli"]]
    assert len(set(codes)) == len(codes)
    assert all(code in text for code in codes)


def test_every_mushra_trial_has_a_hidden_reference_and_an_anchor(
    experiments: Path, tmp_path: Path
) -> None:
    _, key = write(experiments, tmp_path, "mushra")
    expected = {"plain", "weighted", "mixture", HIDDEN_REFERENCE, ANCHOR}
    assert [set(trial["stimuli"].values()) for trial in key["trials"]] == [expected] * 3


def test_an_abx_test_of_one_system_and_too_large_a_page_are_refused(
    experiments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "test.html"
    arguments = ["plain", "--root", str(experiments), "-o", str(output), "--blind"]
    assert main([*arguments, "abx"]) == 1
    assert "needs two systems" in capsys.readouterr().err
    assert main([*arguments, "mushra", "--max_mb", "0.1"]) == 1
    assert "request fewer --utterances than 3" in capsys.readouterr().err
    assert not output.exists()


def enter(page: Page, name: str) -> None:
    page.fill("#participant", name)
    page.click("#start")
    page.wait_for_selector("#choices .hear")


def saved(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click("#save")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


@pytest.mark.slow
def test_a_mushra_test_from_the_page_to_the_results(
    experiments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page_file, key = write(experiments, tmp_path, "mushra")
    rating = {HIDDEN_REFERENCE: 100, "weighted": 80, "plain": 60, "mixture": 30, ANCHOR: 20}
    with opened(page_file) as page:
        enter(page, "Zoë 1/2")
        buttons = "[...document.querySelectorAll('#choices button')]"
        assert page.evaluate(f"{buttons}.length") == 6
        assert page.evaluate(f"{buttons}.every(one => one.scrollWidth <= one.clientWidth)")
        for _ in range(3):
            index = page.evaluate("() => trial.index")
            names = key["trials"][index]["stimuli"]
            assert page.is_disabled("#next")
            page.click("#play")
            for slider in page.locator(".scale").filter(has=page.locator("input")).all():
                code = slider.locator("button").get_attribute("data-name") or ""
                slider.locator("input").fill(str(rating[names[code]]))
            page.click("#next")
            page.wait_for_function(
                "done => session.finished || (trial.index !== done && player.buffers.size === 6)",
                arg=index,
            )
        answers = saved(page, tmp_path)
    content = json.loads(answers.read_text("utf-8"))
    assert content["participant"] == "Zoë 1/2"
    assert all(answer["plays"] == 1 for answer in content["answers"])
    results = tmp_path / "results"
    key_file = str(page_file.with_name("mushra_key.json"))
    assert listening_results.main([key_file, str(answers), "-o", str(results)]) == 0
    table = listening_results.pd.read_csv(results / "results.csv").set_index("signal")["mean"]
    assert table.to_dict() == rating
    assert (results / "results.png").stat().st_size > 1000
    capsys.readouterr()


@pytest.mark.slow
def test_an_abx_test_goes_on_after_the_window_was_closed(experiments: Path, tmp_path: Path) -> None:
    page_file, key = write(experiments, tmp_path, "abx")
    with opened(page_file) as page:
        enter(page, "anna")
        for place in range(3):
            if place == 1:
                page.reload()
                enter(page, "anna")
            assert page.inner_text("#trial-title") == f"{place + 1} of 3"
            page.wait_for_function("() => player.buffers.size === 3")
            right = page.evaluate("() => trial.x")
            page.check(f"input[value='{right}']")
            page.click("#next")
        answers = saved(page, tmp_path)
    table = listening_results.abx_results(listening_results.read_answers(key, [answers]))
    assert table[["found", "of"]].to_numpy().tolist() == [[3, 3]]
    assert table["p"].item() == pytest.approx(1 / 8)
