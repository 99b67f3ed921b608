"""A real browser for the tests of pages: the system's chromium, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REQUIRED = "MODELCLI_REQUIRE_BROWSER"
"""Set in CI, where a browser that is not there is a failure and no reason to skip."""


def _missing(reason: str) -> None:
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, and {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return the running browser; skip with the reason where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed (pip install 'modelcli[browser]')")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        _missing("no chromium is on the path (apt-get install chromium)")
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


class Opened:
    """A page in the browser, with everything that it asked for and complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._console)
        page.on("request", self._request)
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "blob:")):
            self.requests.append(request.url)

    def assert_quiet(self) -> None:
        """Check that nothing was asked of a network, and nothing went wrong."""
        assert self.requests == []
        assert self.complaints == []


Open = Callable[..., Opened]


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Open a page of our own from disk: ``open_page(html, width=420, scheme="dark")``."""
    contexts: list[Any] = []

    def open_html(html: str, *, width: int = 1360, scheme: str = "light", tab: str = "") -> Opened:
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 860}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.goto(file.as_uri() + (f"#{tab}" if tab else ""))
        return opened

    yield open_html
    for context in contexts:
        context.close()
