"""A real Chromium without a window, for pages; a machine without one skips, unless it must not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Set where a missing browser is a failure: continuous integration installs one.
REQUIRED = "SELOSS_REQUIRE_BROWSER"


def find_browser() -> str:
    """Return the path of a Chromium, or skip the test."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        reason = f"no Chromium: looked for {', '.join(NAMES)}"
        if os.environ.get(REQUIRED):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def opened(path: Path, *, width: int = 1200, height: int = 900) -> Iterator[Page]:
    """Open a page from disk; afterwards it must have logged no error and fetched nothing."""
    from playwright.sync_api import sync_playwright

    executable = find_browser()
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True
        )
        page = context.new_page()
        page.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("data:", "blob:", path.as_uri()))
                else problems.append(f"request: {request.url}")
            ),
        )
        page.goto(path.as_uri())
        yield page
        browser.close()
    assert problems == []
