"""A headless Chromium for tests of the page; where there is none they are skipped and say so."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of playwright's; skips the test without playwright or a Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program)
        except sync_api.Error as error:
            pytest.skip(f"no Chromium to drive: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


class Watched:
    """A page with what went wrong on it: console errors, exceptions, requests beyond the file."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on(
            "console",
            lambda m: self.wrong.append(m.text) if m.type in ("error", "warning") else None,
        )
        self.page.on(
            "request",
            lambda request: (
                None
                if request.url.partition("#")[0] == address.partition("#")[0]
                else self.wrong.append(f"request {request.url}")
            ),
        )
        self.page.goto(address)
        self.until(lambda: self.page.evaluate("document.documentElement.dataset.charts") == "ready")

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; the page's policy forbids playwright's own way of it."""
        for _ in range(200):
            if holds():
                return
            self.page.wait_for_timeout(25)
        raise AssertionError("still not so after five seconds")
