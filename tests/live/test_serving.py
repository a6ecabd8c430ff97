"""The page of a watch as a browser, Prometheus, and strangers ask for it."""

from __future__ import annotations

import logging
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipeline.errors import UserError
from pipeline.live import board as boards
from pipeline.live import decisions, guarding, serving
from pipeline.live.board import Board, StreamStatus
from pipeline.live.decisions import Decisions
from pipeline.live.guarding import checked_token
from pipeline.live.metrics import Metrics
from pipeline.live.outbox import Outbox
from pipeline.live.server import Server
from pipeline.live.serving import Page
from tests.live.shown import CLIP, STILLS, event, opened

TOKEN = "long-enough-for-a-token"


def seen(name: str, state: str, **changes: Any) -> StreamStatus:
    values = {
        "reason": "timeout" if state == boards.LOST else "",
        "at_s": 3.0,
        "lag_s": 0.5,
        "levels": ((1.0, 0.1), (2.0, 0.25)),
        "num_answered": 10,
        "num_dropped": 2,
        "alert": None,
    }
    return StreamStatus(name=name, state=state, **{**values, **changes})


class Served:
    """A page with its sources, and who asks for it on this machine."""

    def __init__(self, folder: Path, token: str | None = None) -> None:
        self.board, self.decisions = Board(0.5), Decisions(folder)
        self.metrics = Metrics(self.board, {"webhook": lambda: (3, 1)})
        page = Page(self.board, self.decisions, self.metrics, token)
        self.client = TestClient(
            page.application(), base_url="http://127.0.0.1:8765", follow_redirects=False
        )

    def take(self, one: dict[str, Any]) -> None:
        for sink in (self.decisions, self.board, self.metrics):
            sink.take(one)

    def decide(self, alert: str, **changes: Any) -> Any:
        given = {"decision": "acknowledged", "who": "Ada"} | changes
        return self.client.post(f"/alerts/{alert}/decision", json=given)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found = Served(tmp_path)
    with found.client:
        yield found


def test_it_shows_streams_alerts_and_matches(served: Served) -> None:
    served.board.see([seen("yard", boards.WATCHED, alert="x"), seen("gate\u202e", boards.LOST)])
    served.take(opened("x", "yard"))
    match = {"bank": "b", "item": 1, "name": "a.mp4", "label": "known", "by": "sound"}
    served.take(event("match.found", "gate", **match, start_s=1.5))
    shown = served.client.get("/state").json()
    assert [one["name"] for one in shown["streams"]] == ["yard", "gate\\u202e"]
    assert shown["streams"][0]["levels"] == [[1.0, 0.1], [2.0, 0.25]]
    (alert,) = shown["alerts"]
    assert (alert["stream"], alert["closed_at"], alert["decided"]) == ("yard", None, None)
    assert (alert["stills"], alert["last_clip"]) == (STILLS, CLIP)
    assert shown["matches"][0]["item"] == "known: a.mp4 (b)"
    assert (shown["num_answered"], shown["num_dropped"]) == (20, 4)
    page = served.client.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")


def test_a_decision_is_kept_with_who_and_when(served: Served, tmp_path: Path) -> None:
    served.take(opened("x", "yard"))
    assert served.decide("x", who="  Ada \n Lovelace ").status_code == 200
    assert served.decide("x", decision="dismissed", who="Bo").status_code == 200
    served.take(event("alert.closed", "yard", alert="x", highest_level=0.9, num_clips_above=3))
    with sqlite3.connect(tmp_path / decisions.FILE) as database:
        rows = database.execute("SELECT alert, decision, who, at FROM decisions").fetchall()
    assert [row[:3] for row in rows] == [
        ("x", "acknowledged", "Ada Lovelace"),
        ("x", "dismissed", "Bo"),
    ]
    assert all(row[3].startswith("20") for row in rows)
    (alert,) = Decisions(tmp_path).latest(5)
    assert (alert["decided"]["who"], alert["decided"]["decision"]) == ("Bo", "dismissed")
    assert alert["closed_at"] is not None


@pytest.mark.parametrize(
    ("alert", "changes", "status"),
    [
        ("y", {}, 404),
        ("x", {"decision": "approved"}, 400),
        ("x", {"who": " "}, 400),
        ("x", {"who": "a" * 81}, 400),
        ("x", {"who": 3}, 400),
        ("x", {"who": "a" * 5000}, 400),
    ],
)
def test_what_is_no_decision_is_refused(
    served: Served, alert: str, changes: dict[str, Any], status: int
) -> None:
    served.take(opened("x", "yard"))
    answer = served.decide(alert, **changes)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert served.client.get("/state").json()["alerts"][0]["decided"] is None


@pytest.mark.parametrize(
    "body", [rb'{"decision": "dismissed", "who": "\ud800"}', b"[" * 4000], ids=["half", "deep"]
)
def test_a_body_that_is_no_text_or_too_deep_is_refused(served: Served, body: bytes) -> None:
    served.take(opened("x", "yard"))
    headers = {"Content-Type": "application/json"}
    answer = served.client.post("/alerts/x/decision", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "send decision and who")
    assert served.client.get("/state").json()["alerts"][0]["decided"] is None


def test_pages_of_others_can_neither_read_nor_decide(served: Served) -> None:
    served.take(opened("x", "yard"))
    given = {"decision": "dismissed", "who": "Eve"}
    path = "/alerts/x/decision"
    # A name that leads to this machine, a form, and a script of another site.
    assert served.client.get("/state", headers={"Host": "evil.example"}).status_code == 403
    answer = served.client.post(path, json=given, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    own = {"Origin": "http://127.0.0.1:8765", "Content-Type": "text/plain"}
    assert served.client.post(path, content="{}", headers=own).status_code == 415
    assert served.client.get("/state").json()["alerts"][0]["decided"] is None
    assert (
        served.client.post(path, json=given, headers={"Origin": own["Origin"]}).status_code == 200
    )


def test_with_a_token_nothing_is_shown_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "_REFUSED_S", 0.0)
    served = Served(tmp_path, TOKEN)
    served.take(opened("x", "yard"))
    client = served.client
    for path in ("/state", "/events", "/metrics", "/watch.js"):
        assert client.get(path).status_code == 401
    assert served.decide("x").status_code == 401
    assert client.get("/").headers["location"] == "/login"
    assert client.get("/healthz").status_code == 200
    bearer = {"Authorization": f"Bearer {TOKEN}", "Host": "watch.example.org"}
    assert client.get("/metrics", headers=bearer).status_code == 200
    wrong = {"Authorization": f"Bearer {TOKEN}x"}
    assert client.get("/metrics", headers=wrong).status_code == 401
    assert client.post("/login", content="token=wrong").headers["location"] == "/login?wrong"
    assert client.get("/state").status_code == 401
    answer = client.post("/login", content=f"token={TOKEN}")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert client.get("/state").status_code == 200


def test_metrics_count_and_have_no_label_for_each_stream(served: Served) -> None:
    states = [boards.WATCHED, boards.WATCHED, boards.LOST, boards.LEFT_OUT]
    faults = (("InvalidDataError", 4),)
    served.board.see([seen(f"yard-{n}", one, faults=faults) for n, one in enumerate(states)])
    there = seen("yard-0", boards.WATCHED, num_answered=15, alert="x", lag_s=2.5, faults=faults)
    served.board.see([there])
    served.take(opened("x", "yard-0", lag_s=1.2))
    served.take(event("stream.lost", "yard-2", reason="decode_error"))
    served.take(event("stream.lost", "yard-2", reason='bad"} 1\nreason'))
    for number in range(200):
        served.take(event("stream.ended", "yard-2", reason=f"strange_{number}"))
    text = served.client.get("/metrics").text
    lines = text.splitlines()
    for expected in (
        'discern_streams{state="watched"} 1.0',
        'discern_streams{state="left_out"} 0.0',
        # Those of streams that have ended count too.
        "discern_clips_answered_total 45.0",
        "discern_clips_dropped_total 8.0",
        'discern_decode_errors_total{code="InvalidDataError"} 16.0',
        'discern_streams_lost_total{reason="decode_error"} 1.0',
        'discern_events_total{type="alert.opened"} 1.0',
        "discern_lag_seconds 2.5",
        "discern_alerts_open 1.0",
        'discern_alert_lag_seconds_bucket{le="2.0"} 1.0',
        'discern_alert_lag_seconds_bucket{le="1.0"} 0.0',
        "discern_webhook_waiting 3.0",
        "discern_webhook_dead 1.0",
    ):
        assert expected in lines
    assert "yard" not in text
    assert 'bad"' not in text
    assert sum(line.startswith("discern_streams_lost_total") for line in lines) < 100


def test_it_says_whether_the_watch_is_well(served: Served) -> None:
    assert served.client.get("/healthz").status_code == 200
    assert served.client.get("/readyz").status_code == 503
    served.board.see([])
    assert served.client.get("/readyz").status_code == 200
    served.board.beat = time.monotonic() - 100
    for path in ("/healthz", "/readyz"):
        answer = served.client.get(path)
        assert answer.status_code == 503
        assert "nothing was watched for 100 s" in answer.text


def test_what_a_killed_watch_left_open_is_closed(tmp_path: Path) -> None:
    Decisions(tmp_path).take(opened("x", "yard"))
    (alert,) = Decisions(tmp_path).latest(1)
    assert alert["closed_at"] is not None
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / decisions.FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="no alerts and decisions"):
        Decisions(tmp_path / "other")


def test_the_page_shows_what_the_next_watch_has_closed(tmp_path: Path) -> None:
    box, told = Outbox(tmp_path), opened("x", "yard")
    box.put(told)
    Decisions(tmp_path).take(told)
    served = Served(tmp_path)
    for stream, data in box.left_open():
        served.take(event("alert.closed", stream, **data))
    (alert,) = served.client.get("/state").json()["alerts"]
    assert (alert["highest_level"], alert["num_clips_above"]) == (0.87, 1)
    assert alert["closed_at"] is not None


def test_all_that_is_open_is_shown_and_the_latest_of_the_rest(tmp_path: Path) -> None:
    log = Decisions(tmp_path)
    for number in range(9):
        log.take(opened(str(number), "yard"))
        if number:
            closed = {"alert": str(number), "highest_level": 1.0, "num_clips_above": 1}
            log.take(event("alert.closed", "yard", **closed))
    assert [one["alert"] for one in log.latest(3)] == ["0", "8", "7", "6"]


def test_others_than_this_machine_need_a_token() -> None:
    assert checked_token("127.0.0.1", None) is None
    assert checked_token("::1", None) is None
    assert checked_token("0.0.0.0", TOKEN) == TOKEN
    with pytest.raises(UserError, match=r"others than this machine.*DISCERN_SERVE_TOKEN="):
        checked_token("0.0.0.0", None)
    with pytest.raises(UserError, match="fewer than 16 characters"):
        checked_token("127.0.0.1", "short")
    with pytest.raises(UserError, match="fewer than 16 characters"):
        checked_token("0.0.0.0", " " * 40)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    guarding.check_installed(serving.NEEDED, "serve=true")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match=r"uvicorn is not installed; run pip install '\.\[serve\]'"):
        guarding.check_installed(serving.NEEDED, "serve=true")


@contextmanager
def at_work(folder: Path) -> Iterator[Server]:
    """A page on a port of this machine."""
    found = Served(folder)
    page = Page(found.board, found.decisions, found.metrics, None)
    server = Server(page.application(), "127.0.0.1", 0, "watch", page.over.set)
    try:
        yield server
    finally:
        server.stop()


def reading(server: Server) -> socket.socket:
    """Somebody who asks to follow the page."""
    reader = socket.create_connection(("127.0.0.1", server.port), 10)
    reader.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return reader


def test_no_more_than_some_read_at_once_and_who_leaves_makes_room(tmp_path: Path) -> None:
    with at_work(tmp_path) as server:
        readers = [reading(server) for _ in range(40)]
        lines = [reader.makefile("rb").readline().split()[1] for reader in readers]
        assert (lines.count(b"200"), lines.count(b"503")) == (32, 8)
        for reader in readers:
            reader.close()
        for _ in range(600):
            with reading(server) as reader:
                if reader.makefile("rb").readline().split()[1] == b"200":
                    break
            time.sleep(0.1)
        else:
            pytest.fail("nobody can read it any more")


def test_a_page_that_is_read_ends_without_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with at_work(tmp_path) as server:
        reader = reading(server).makefile("rb")
        while not reader.readline().startswith(b"event: state"):
            pass
        server.stop()
    assert [one.message for one in caplog.records if one.levelno >= logging.ERROR] == []
    # The last part of an answer in chunks: it is whole.
    assert reader.read().endswith(b"0\r\n\r\n")


def test_an_address_that_somebody_has_is_named(tmp_path: Path) -> None:
    found = Served(tmp_path)
    page = Page(found.board, found.decisions, found.metrics, None).application()
    server = Server(page, "127.0.0.1", 0, "watch")
    try:
        with pytest.raises(UserError, match=f"serve_port={server.port}: Address already in use"):
            Server(page, "127.0.0.1", server.port, "watch")
    finally:
        server.stop()
