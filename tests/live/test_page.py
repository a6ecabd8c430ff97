"""The page of a watch in a browser: it follows, it is for everybody, and decisions arrive."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.live import board as boards
from pipeline.live.board import Board, StreamStatus
from pipeline.live.decisions import Decisions
from pipeline.live.metrics import Metrics
from pipeline.live.server import Server
from pipeline.live.serving import Page
from tests.browser import browsing, violations
from tests.live.shown import event, levels, opened

pytestmark = pytest.mark.browser
TOKEN = "long-enough-for-a-token"


class Shown:
    """A server with streams, of which two have alerts."""

    def __init__(self, folder: Path, token: str | None) -> None:
        self.board, self.decisions = Board(0.6), Decisions(folder)
        for name in ("yard", "<img src=x onerror=alert(1)>"):
            self.decisions.take(opened(f"of-{name[0]}", name))
        closed = {"alert": "of-<", "highest_level": 0.91, "num_clips_above": 7}
        self.decisions.take(event("alert.closed", "<", **closed))
        match = {"bank": "b", "item": 1, "name": "a.mp4", "label": "known", "by": "pictures"}
        self.board.take(event("match.found", "gate", **match, start_s=1.5))
        self.see()
        self.token = token
        self.serve(0)

    def serve(self, port: int) -> None:
        page = Page(self.board, self.decisions, Metrics(self.board, {}), self.token)
        self.server = Server(page.application(), "127.0.0.1", port, "watch")

    def see(self, lost: str = "") -> None:
        rows = {"yard": boards.WATCHED, "gate": boards.LOST, "roof": boards.STARTING}
        self.board.see(
            [
                StreamStatus(
                    name,
                    boards.LOST if name == lost else state,
                    "timeout" if state == boards.LOST else "",
                    60.0,
                    None if state == boards.STARTING else 0.7,
                    () if state == boards.STARTING else levels(place),
                    100 * place,
                    place,
                    "of-y" if name == "yard" else None,
                )
                for place, (name, state) in enumerate(rows.items(), 1)
            ]
        )


@contextmanager
def visiting(chromium: Any, url: str, scheme: str, complaints: list[str]) -> Iterator[Any]:
    size = {"width": 1180, "height": 900}
    with browsing(chromium, scheme, complaints, [], viewport=size) as page:
        page.goto(url)
        yield page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_and_takes_decisions(chromium: Any, tmp_path: Path, scheme: str) -> None:
    shown, complaints = Shown(tmp_path / "log", None), list[str]()
    try:
        with visiting(chromium, shown.server.url, scheme, complaints) as page:
            page.get_by_text("1 open alert; 3 streams, 1 lost.").wait_for()
            assert page.title() == "(1) Discern: streams"
            assert page.locator("#streams tr").count() == 3
            # Texts of others are texts.
            assert page.locator("#alerts h3", has_text="onerror").count() == 1
            assert page.locator("#alerts img").evaluate_all(
                "all => all.every(one => one.complete && one.naturalWidth === 288)"
            )
            assert violations(page) == []
            page.set_viewport_size({"width": 360, "height": 740})
            wide = "document.documentElement.scrollWidth > innerWidth"
            assert not page.evaluate(wide)
            assert violations(page) == []
            shown.see(lost="yard")
            page.get_by_text("1 open alert; 3 streams, 2 lost.").wait_for()
            button = page.get_by_role("button", name="Acknowledge the alert of yard")
            button.click()
            page.get_by_text("Say who you are first.").wait_for()
            page.get_by_label("Your name").fill("Ada")
            # By keyboard, while the page goes on.
            button.focus()
            time.sleep(2.5)
            page.keyboard.press("Enter")
            page.get_by_text("Acknowledged by Ada").wait_for()
            assert button.evaluate("one => one === document.activeElement")
            assert violations(page) == []
    finally:
        shown.server.stop()
    assert complaints == []
    decided = {one["alert"]: one["decided"] for one in Decisions(tmp_path / "log").latest(9)}
    assert (decided["of-y"]["decision"], decided["of-y"]["who"]) == ("acknowledged", "Ada")
    assert decided["of-<"] is None


def test_it_asks_for_its_token(chromium: Any, tmp_path: Path) -> None:
    shown, complaints = Shown(tmp_path, TOKEN), list[str]()
    try:
        with visiting(chromium, shown.server.url, "light", complaints) as page:
            assert violations(page) == []
            page.get_by_label("Token").fill(TOKEN)
            page.get_by_role("button").click()
            page.get_by_text("1 open alert; 3 streams, 1 lost.").wait_for()
    finally:
        shown.server.stop()
    assert complaints == []


def test_a_decision_that_is_not_kept_is_told(chromium: Any, tmp_path: Path) -> None:
    shown = Shown(tmp_path, TOKEN)
    try:
        with visiting(chromium, shown.server.url, "light", []) as page:
            page.get_by_label("Token").fill(TOKEN)
            page.get_by_role("button").click()
            page.get_by_label("Your name").fill("Ada")
            button = page.get_by_role("button", name="Dismiss the alert of yard")
            # What is shown came with the token that is gone from here on, as after a watch that
            # was started anew.
            button.wait_for()
            page.context.clear_cookies()
            button.click()
            problem, connection = page.locator("#problem"), page.locator("#connection")
            problem.get_by_text("not kept: load the page again").wait_for()
            shown.server.stop()
            connection.get_by_text("The watch does not answer").wait_for()
            problem.get_by_text("not kept: load the page again").wait_for()
            button.click()
            problem.get_by_text("not kept: the watch does not answer").wait_for()
            assert connection.is_visible()
            roles = [one.get_attribute("role") for one in (problem, connection)]
            assert roles == ["alert", "alert"]
            assert violations(page) == []
    finally:
        shown.server.stop()
    assert all(one["decided"] is None for one in shown.decisions.latest(9))


def test_a_lost_connection_is_told_until_it_is_back(chromium: Any, tmp_path: Path) -> None:
    shown = Shown(tmp_path, None)
    shown.board.load = {"answered_share": 0.5, "num_left_out": 1}
    try:
        with visiting(chromium, shown.server.url, "dark", []) as page:
            page.get_by_text("1 open alert; 3 streams, 1 lost.").wait_for()
            warning, connection = page.locator("#warning"), page.locator("#connection")
            warning.get_by_text("one of 2 clips is answered, and 1 stream left out").wait_for()
            assert connection.is_hidden()
            page.route("**/events", lambda route: route.abort())
            shown.server.stop()
            connection.get_by_text("what is shown may be old").wait_for()
            assert "too slow" in warning.inner_text()
            assert violations(page) == []
            # What a decision is answered with says nothing of the connection.
            shown.serve(shown.server.port)
            page.get_by_label("Your name").fill("Ada")
            page.get_by_role("button", name="Acknowledge the alert of yard").click()
            page.get_by_text("Acknowledged by Ada").wait_for()
            assert connection.is_visible()
            page.unroute("**/events")
            connection.wait_for(state="hidden")
            assert warning.is_visible()
    finally:
        shown.server.stop()
