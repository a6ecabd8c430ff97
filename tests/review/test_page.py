"""A session of review in a browser, by keyboard, with nothing shown before it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.live.server import Server
from tests.browser import browsing, violations
from tests.review.shown import NUM_FILES, page_of, reviewed

pytestmark = pytest.mark.browser


@contextmanager
def visiting(
    chromium: Any, url: str, scheme: str, complaints: list[str], asked: list[str]
) -> Iterator[Any]:
    size = {"width": 900, "height": 1200}
    with browsing(chromium, scheme, complaints, asked, viewport=size) as page:
        page.goto(url)
        yield page


def pictures(page: Any) -> list[str]:
    """Where the pictures come from that the page holds."""
    found: list[str] = page.locator("img").evaluate_all(
        "all => all.map(one => one.getAttribute('src')).filter(Boolean)"
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_session_by_keyboard(
    chromium: Any, tmp_path: Path, compose: Callable[..., Any], scheme: str
) -> None:
    record, complaints, asked = reviewed(tmp_path), list[str](), list[str]()
    page_of_it = page_of(record, tmp_path, compose)
    server = Server(page_of_it.application(), "127.0.0.1", 0, "review")
    try:
        with visiting(chromium, server.url, scheme, complaints, asked) as page:
            assert violations(page) == []
            page.keyboard.press("Tab")
            page.keyboard.type("Ada")
            page.keyboard.press("Enter")
            page.get_by_text(f"{NUM_FILES + 1} to decide.").wait_for()
            # Names of files are texts, and nothing of the video is there before it is asked for.
            assert page.locator("b").count() == 0
            assert pictures(page) == []
            assert record.exposures("Ada") == {}
            assert violations(page) == []
            page.keyboard.press("s")
            page.locator("#strips img").nth(1).wait_for()
            assert page.locator("#strips img").count() == 2
            page.keyboard.press("p")
            page.locator("#player").wait_for()
            assert (
                page.locator("#picture").evaluate(
                    "one => one.decode().then(() => one.naturalWidth)"
                )
                == 96
            )
            assert set(record.exposures("Ada")) == {"stills", "protected seconds"}
            page.get_by_text("3.47 s", exact=True).wait_for()
            assert violations(page) == []
            page.keyboard.press("u")
            page.locator("#picture.clear").wait_for()
            page.get_by_text("3.47 s", exact=True).wait_for()
            assert page.locator("#picture").evaluate("one => one.naturalWidth") == 160
            for _ in range(3):
                page.keyboard.press(",")
            page.keyboard.press("m")
            assert page.locator("#times").input_value() == "3.2667"
            page.keyboard.press("1")
            assert violations(page) == []
            page.set_viewport_size({"width": 360, "height": 740})
            assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
            page.keyboard.press("Enter")
            page.get_by_text(f"{NUM_FILES} to decide.").wait_for()
            assert pictures(page) == []
            page.keyboard.press("b")
            page.locator("#before:disabled").wait_for()
            for _ in range(NUM_FILES + 1):
                for key in ("2", "n"):
                    page.keyboard.press(key)
                page.keyboard.press("Enter")
                page.locator("#decide input:checked").first.wait_for(state="hidden")
            page.get_by_text("Nothing is left to decide.").wait_for()
            assert violations(page) == []
    finally:
        server.stop()
    assert complaints == []
    assert {one.split("/")[2] for one in asked if not one.startswith("data:")} == {
        server.url.split("/")[2]
    }
    decided = [one for of in record.decisions().values() for one in of]
    assert len(decided) == NUM_FILES + 1
    assert {(one.who, one.origin, one.discharge) for one in decided} == {("Ada", "game", False)}


def test_keys_can_be_switched_off_and_a_mistake_is_told(
    chromium: Any, tmp_path: Path, compose: Callable[..., Any]
) -> None:
    record, complaints = reviewed(tmp_path), list[str]()
    server = Server(page_of(record, tmp_path, compose).application(), "127.0.0.1", 0, "review")
    try:
        with visiting(chromium, server.url, "light", complaints, []) as page:
            page.get_by_label("Your name").fill("Ada")
            page.keyboard.press("Enter")
            page.get_by_text("to decide.").wait_for()
            page.get_by_label("Single keys work as shown").uncheck()
            page.keyboard.press("1")
            assert page.locator("input:checked[type=radio]").count() == 0
            page.get_by_role("button", name="Decide and go on").click()
            page.get_by_text("say of the origin and of the discharge").wait_for()
            # A browser tells of an answer that refuses.
            assert all("400" in one for one in complaints)
            server.stop()
            page.get_by_role("button", name="Decide and go on").click()
            page.get_by_text("The review does not answer, and nothing was kept").wait_for()
            page.get_by_role("button", name="Stills").click()
            page.get_by_text("Nothing can be shown.").wait_for()
    finally:
        server.stop()
    assert record.decisions() == {}
    assert not [one for one in complaints if "Uncaught" in one or "TypeError" in one]
