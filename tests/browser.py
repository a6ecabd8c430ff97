"""Chromium, as the tests of pages drive it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_TIMEOUT_MS = 120_000
"""How long one step may take: a machine that does much else needs a minute to begin a browser."""


@contextmanager
def begun() -> Iterator[Any]:
    """Chromium; a test that asks for it is skipped where there is none."""
    from playwright.sync_api import sync_playwright

    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox"], timeout=_TIMEOUT_MS
        )
        yield browser
        browser.close()


@contextmanager
def browsing(
    chromium: Any, scheme: str, complaints: list[str], requests: list[str], **options: Any
) -> Iterator[Any]:
    """An empty page in one colour scheme that shares nothing with other pages of the browser.

    What it complains of and asks for is appended.
    """
    with chromium.new_context(color_scheme=scheme, **options) as context:
        page = context.new_page()
        page.set_default_timeout(_TIMEOUT_MS)
        page.on("console", lambda one: complaints.append(one.text))
        page.on("pageerror", lambda one: complaints.append(str(one)))
        page.on("request", lambda one: requests.append(one.url))
        yield page


def violations(page: Any) -> list[tuple[str, list[str]]]:
    """What an accessibility checker finds on a page, with the pieces of HTML that it names."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]
