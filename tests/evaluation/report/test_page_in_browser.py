"""The listening section in a real browser: it plays, switches, sorts and obeys the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evaluation.report.cli import main
from tests.browser import opened

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(experiments: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    arguments = ["plain", "weighted", "--root", str(experiments), "-o", str(path), "--jobs", "1"]
    assert main(arguments) == 0
    return path


@pytest.fixture
def page(report: Path) -> Iterator[Page]:
    with opened(report) as page:
        page.wait_for_selector("#signals li")
        yield page


def heard(page: Page) -> dict[str, float]:
    """Return the gain of each signal that is playing."""
    gains: dict[str, float] = page.evaluate(
        "Object.fromEntries([...player.gains].map(([name, node]) => [name, node.gain.value]))"
    )
    return gains


def test_switching_keeps_the_position_and_lets_one_signal_through(page: Page) -> None:
    page.click("#play")
    page.wait_for_function("() => player.position > 0.1")
    before = page.evaluate("player.position")
    page.keyboard.press("3")
    after = page.evaluate("player.position")
    assert before <= after < before + 0.25
    assert page.evaluate("player.playing")
    page.wait_for_timeout(100)
    gains = heard(page)
    assert gains["plain"] == pytest.approx(1.0, abs=1e-3)
    assert all(gain < 1e-3 for name, gain in gains.items() if name != "plain")
    assert page.is_checked("input[value=plain]")


def test_it_ends_by_itself_and_can_be_played_again(page: Page) -> None:
    page.click("#play")
    page.wait_for_function("() => !player.playing && player.position === 0")
    assert page.inner_text("#play") == "Play"
    page.click("#play")
    page.wait_for_function("() => player.position > 0.05")


def test_a_click_into_a_spectrogram_moves_there(page: Page) -> None:
    plot = page.locator("#signals li .plot").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.evaluate("player.position / player.duration") == pytest.approx(0.5, abs=0.01)


def test_the_list_sorts_by_any_metric_worst_or_most_different_first(page: Page) -> None:
    def shown(column: int) -> list[float]:
        cells = page.locator(f"#utterances tbody tr td:nth-child({column})").all_inner_texts()
        return [float(cell) for cell in cells]

    assert shown(6) == sorted(shown(6), reverse=True)  # the largest difference comes first
    page.get_by_role("button", name="plain").click()
    assert shown(4) == sorted(shown(4))  # worst first, where higher is better
    page.select_option("#metric", label="LSD (dB)")
    page.get_by_role("button", name="weighted").click()
    assert shown(5) == sorted(shown(5), reverse=True)  # worst first, where lower is better
    header = page.locator("#utterances th[aria-sort=descending]")
    assert header.inner_text().startswith("weighted")


def test_everything_can_be_done_from_the_keyboard(page: Page) -> None:
    first = page.inner_text("#heading")
    page.keyboard.press("n")
    page.wait_for_function(
        "name => document.getElementById('heading').textContent !== name", arg=first
    )
    page.wait_for_function("() => player.buffers.size === 4")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("player.position") == pytest.approx(0.5, abs=0.05)
    page.keyboard.press("Home")
    assert page.evaluate("player.position") == 0
    page.keyboard.press(" ")
    page.wait_for_function("() => player.playing")
    page.keyboard.press(" ")
    assert not page.evaluate("player.playing")
    page.keyboard.press("d")
    assert page.get_attribute("#view", "aria-pressed") == "true"
    assert "difference" in (page.get_attribute("#signals li:last-child img", "alt") or "")
    page.keyboard.press("p")
    page.wait_for_function(
        "name => document.getElementById('heading').textContent === name", arg=first
    )


def test_one_second_is_repeated(page: Page) -> None:
    page.check("#repeat")
    page.click("#play")
    page.wait_for_timeout(900)  # longer than the utterance
    assert page.evaluate("player.playing")
    assert page.evaluate("player.position") < page.evaluate("player.duration")


def test_phones_are_drawn_where_they_are(page: Page) -> None:
    spans = page.locator("#signals li:first-child .phones span")
    assert spans.all_inner_texts() == ["sil", "AA1", "<s>&", "N"]
    plot, phone = (
        page.locator(f"#signals li:first-child {part}").first.bounding_box()
        for part in (".plot", ".phones span:nth-child(2)")
    )
    assert plot
    assert phone
    assert (phone["x"] - plot["x"]) / plot["width"] == pytest.approx(0.1 / 0.6, abs=0.01)


def test_controls_have_names_and_nothing_is_wider_than_a_phone(report: Path) -> None:
    with opened(report, width=390, height=800) as page:
        page.wait_for_selector("#signals li")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, input, select')].filter(one => !one.textContent"
            " && !one.ariaLabel && !one.labels?.[0]?.textContent).length"
        )
        assert nameless == 0
        assert page.locator("img:not([alt])").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(report: Path, scheme: str) -> None:
    with opened(report) as page:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        colours = page.evaluate(
            "['color', 'backgroundColor'].map(name => getComputedStyle(document.body)[name])"
        )
    text, ground = (_luminance(colour) for colour in colours)
    assert (max(text, ground) + 0.05) / (min(text, ground) + 0.05) > 7  # WCAG 2.2, level AAA
    assert (ground < text) == (scheme == "dark")


def _luminance(colour: str) -> float:
    """Return the relative luminance of `rgb(r, g, b)`. Source: WCAG 2.2."""
    parts = [int(part) / 255 for part in colour.strip("rgb()").split(",")]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
