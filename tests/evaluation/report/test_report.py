"""The page as a file: what is in it, how large it is, what is refused."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from evaluation.report.cli import main
from evaluation.report.page import embedded_json
from tests.evaluation.folder import write_audio


def written(experiments: Path, folder: Path, *options: str) -> str:
    page = folder / "report.html"
    arguments = ["plain", "weighted", "--root", str(experiments), "-o", str(page), "--jobs", "1"]
    assert main([*arguments, *options]) == 0
    return page.read_text(encoding="utf-8")


def listening(page: str) -> dict[str, Any]:
    found = re.search(r'id="listening-data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found.group(1))
    return data


@pytest.fixture(scope="module")
def page(experiments: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    written(experiments, folder, "--title", "<b>5 > 3</b>", "--jobs", "2")
    return folder / "report.html"


class References(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]


def test_nothing_is_fetched_and_texts_cannot_become_markup(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    parser = References()
    parser.feed(text)
    assert parser.found
    assert all(one.startswith(("data:", "#")) for one in parser.found)
    assert "<b>5" not in text
    assert "&lt;b&gt;5 &gt; 3&lt;/b&gt;" in text


def test_sections_with_their_figures_as_pictures_and_numbers(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for title in ("Summary", "Improvement by condition", "Phoneme classes", "Training", "Listen"):
        assert f">{title}</h2>" in text
    figures = page.with_name("report_figures")
    names = {path.stem for path in figures.iterdir()}
    assert {"learning_curves", "distributions", "improvement_by_snr_db"} <= names
    for name in names:
        assert min(Image.open(figures / f"{name}.png").size) > 100
        assert len(pd.read_csv(figures / f"{name}.csv")) > 0


def test_the_improvement_of_the_figures_is_that_of_the_tables(
    page: Path, experiments: Path
) -> None:
    shown = pd.read_csv(page.with_name("report_figures") / "improvement_by_noise_type.csv")
    judged = pd.read_csv(experiments / "plain" / "test" / "metrics" / "metrics_by_sample.csv")
    row = shown[(shown["system"] == "plain") & (shown["metric"] == "SI-SDR")]
    assert row["improvement"].item() == pytest.approx(judged["Delta_SI-SDR"].mean(), rel=1e-4)
    assert row["n"].item() == 3


def test_every_signal_of_an_utterance_can_be_heard_and_seen(page: Path) -> None:
    data = listening(page.read_text(encoding="utf-8"))
    names = ["mixture", "clean", "plain", "weighted"]
    assert [signal["name"] for signal in data["signals"]] == names
    assert len(data["utterances"]) == 3
    for utterance in data["utterances"]:
        assert list(utterance["sounds"]) == list(utterance["levels"]) == names
        assert list(utterance["differences"]) == ["mixture", "plain", "weighted"]
        assert [phone for *_, phone in utterance["phones"]] == ["sil", "AA1", "<s>&", "N"]
        assert utterance["scores"]["si_sdr"]["weighted"] > utterance["scores"]["si_sdr"]["plain"]


def test_a_page_stays_under_its_size(
    experiments: Path, tmp_path: Path, page: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = len(page.read_bytes())
    limit = full / 1e6 - 0.1
    smaller = written(experiments, tmp_path, "--max_mb", f"{limit:.3f}")
    assert len(smaller.encode()) <= limit * 1e6
    assert 0 < len(listening(smaller)["utterances"]) < 3
    assert "fit into" in caplog.text


def test_an_utterance_whose_audio_cannot_be_used_costs_only_itself(
    experiments: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(experiments, root)
    first, second = (root / "plain" / "test" / f"sample_{index}" for index in range(2))
    write_audio(first / "estimate.wav", sample_rate=8000)
    (second / "estimate.wav").write_bytes(b"no audio")
    data = listening(written(root, tmp_path))
    assert [one["id"] for one in data["utterances"]] == ["utt-2"]
    assert "utt-0 is left out of the player: sample rates differ" in caplog.text
    assert "utt-1 is left out of the player" in caplog.text
    assert "cannot be read" in caplog.text
    arguments = ["plain", "weighted", "--root", str(root), "--blind", "abx", "--jobs", "1"]
    assert main([*arguments, "-o", str(tmp_path / "blind.html")]) == 0
    key = json.loads((tmp_path / "blind_key.json").read_text(encoding="utf-8"))
    assert {trial["utterance"] for trial in key["trials"]} == {"utt-2"}
    shutil.rmtree(root / "weighted" / "test" / "sample_2")
    assert main(arguments) == 1


def test_one_system_has_a_report_too(experiments: Path, tmp_path: Path) -> None:
    output = tmp_path / "one.html"
    arguments = ["weighted", "--root", str(experiments), "-o", str(output), "--jobs", "1"]
    assert main(arguments) == 0
    text = output.read_text(encoding="utf-8")
    judged = pd.read_csv(experiments / "weighted" / "test" / "metrics" / "metrics_by_sample.csv")
    assert f"{judged['SI-SDR_out'].mean():.2f} [" in text


def test_a_script_element_cannot_be_left_by_its_data() -> None:
    text = "</script><script>alert(1)</script>"
    embedded = embedded_json({"id": text})
    assert "<" not in embedded
    assert json.loads(embedded) == {"id": text}
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded_json({"value": float("nan")})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["plain", "--baseline", "no"], "--baseline must be one of plain; got 'no'"),
        (["plain", "--metric", "pesq_wb"], "--metric must be one of si_sdr"),
        (["plain", "plain"], "two systems are called 'plain'"),
        (["plain", "--ids", "x"], "no utterance 'x'"),
        (["nothing"], "no experiment 'nothing'"),
    ],
)
def test_wrong_options_are_named(
    experiments: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    output = tmp_path / "report.html"
    assert main([*options, "--root", str(experiments), "-o", str(output)]) == 1
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_a_system_that_was_not_judged_is_named_with_the_program_to_run(
    experiments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(experiments / "plain", tmp_path / "new")
    shutil.rmtree(tmp_path / "new" / "test" / "metrics")
    assert main(["new", "--root", str(tmp_path), "-o", str(tmp_path / "r.html")]) == 1
    assert "run evaluation.utt_eval --experiment_tag new" in capsys.readouterr().err
