from __future__ import annotations

import base64
import hmac
import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.live import courier as couriers
from pipeline.live import outbox
from pipeline.live.courier import Courier
from pipeline.live.outbox import Delivery, Letter, Outbox
from pipeline.live.webhooks import SECRET, signature_headers, webhook
from tests.live.made import watched, write_footage, write_model

KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in range(2)]
SECRETS = [f"whsec_{key}" for key in KEYS]
OUTLINE = {"alert": "x", "opened_s": 2.0, "highest_level": 0.9, "num_clips_above": 1}
DATA = {"stream": "yard", "at_s": 3.0, **OUTLINE}
ALERT = {"id": "1", "type": "alert.opened", "data": DATA}


class Received:
    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.url = ""


@contextmanager
def receiving() -> Iterator[Received]:
    """A receiver that answers with `statuses` one after the other, and then takes all."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = received.statuses.pop(0) if received.statuses else 204
            if status < 300:
                headers = {name.lower(): value for name, value in self.headers.items()}
                received.taken.append((headers, body))
            self.send_response(status)
            self.send_header("Location", received.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    received.url = f"http://127.0.0.1:{server.server_port}/hook/seCret"
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


def is_signed(headers: dict[str, str], body: bytes) -> bool:
    """Whether a receiver that knows either secret takes an event, as the standard says."""
    at = headers["webhook-timestamp"]
    text = b".".join([headers["webhook-id"].encode(), at.encode(), body])
    expected = [
        base64.b64encode(hmac.new(base64.b64decode(key), text, "sha256").digest()) for key in KEYS
    ]
    given = headers["webhook-signature"].split()
    return abs(time.time() - int(at)) < 300 and given == [f"v1,{one.decode()}" for one in expected]


def test_a_signature_is_that_of_the_standard() -> None:
    # The example of its specification.
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key]
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_events_reach_a_receiver_that_checks_them(
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_model(tmp_path / "models")
    path = write_footage(tmp_path / "a.mp4", 60)
    # While keys change, either of them will do.
    monkeypatch.setenv(SECRET, " ".join(SECRETS))
    with receiving() as received:
        # A receiver that fails once gets the event again.
        received.statuses = [500]
        overrides = ("replay=true", "speed=max", "threshold=0.001", f"webhook={received.url}")
        events = watched(capsys, compose, path, *overrides)
    assert len(events) >= 4
    found = []
    for headers, body in received.taken:
        assert is_signed(headers, body)
        assert not is_signed(headers, body + b" ")
        found.append(json.loads(body))
        assert headers["webhook-id"] == found[-1]["id"]
    assert sorted(found, key=lambda one: one["id"]) == sorted(events, key=lambda one: one["id"])
    assert "seCret" not in json.dumps(events)


def test_what_a_receiver_does_not_take_is_delivered_by_the_next_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as received:
        url = received.url
    hook = webhook(url, SECRETS[0], 2.0)
    courier = Courier(Outbox(tmp_path), hook.deliver)
    courier.put(ALERT)
    courier.start()
    courier.finish(0.5)
    courier.join()
    assert "an event waits" in caplog.text
    assert "1 events wait for the next run" in caplog.text
    assert "seCret" not in caplog.text
    again = Outbox(tmp_path)
    assert again.count() == (1, 0)
    with receiving() as received:
        hook = webhook(received.url, SECRETS[0], 2.0)
        courier = Courier(again, hook.deliver)
        courier.start()
        courier.finish(20.0)
        assert [json.loads(body) for _, body in received.taken] == [ALERT]
    assert again.count() == (0, 0)


def test_an_event_is_on_disk_before_anybody_tries_to_deliver_it(tmp_path: Path) -> None:
    Courier(Outbox(tmp_path), lambda letter: Delivery(True)).put(ALERT)
    assert Outbox(tmp_path).due(time.time()) == Letter("1", json.dumps(ALERT), 0)


def test_pauses_double_and_what_nobody_takes_becomes_a_dead_letter(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    box.put(ALERT)
    now, pauses = 1000.0, []
    for attempt in range(outbox.MAX_ATTEMPTS):
        letter = box.due(now)
        assert letter is not None
        assert letter.attempts == attempt
        is_dead = box.failed(letter, "HTTP 500", now)
        assert is_dead == (attempt == outbox.MAX_ATTEMPTS - 1)
        assert box.due(now) is None
        with sqlite3.connect(tmp_path / outbox.FILE) as database:
            (then,) = database.execute("SELECT next_at FROM events").fetchone()
        pauses.append(then - now)
        now = then
    for number, pause_s in enumerate(pauses):
        assert 0.75 <= pause_s / min(2.0**number, 3 * 3600) <= 1.25
    assert box.count() == (0, 1)
    assert box.due(now + 1e9) is None


def test_a_queue_that_somebody_else_holds_is_used_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout=0.0: connect(path, timeout=0.1))
    box = Outbox(tmp_path)
    courier = Courier(box, lambda letter: Delivery(True))
    box.put(ALERT)
    with closing(connect(tmp_path / outbox.FILE)) as other:
        other.execute("BEGIN IMMEDIATE")
        courier.start()
        with pytest.raises(UserError, match="cannot be put into the queue"):
            box.put({**ALERT, "id": "2"})
        until = time.monotonic() + 60
        while "the queue cannot be used now" not in caplog.text and time.monotonic() < until:
            time.sleep(0.05)
        other.rollback()
    courier.finish(60.0)
    courier.join()
    assert box.count() == (0, 0)


def test_an_event_that_waits_does_not_hold_up_others(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    for name in "ab":
        box.put({**ALERT, "id": name, "data": {**DATA, "alert": name}})
    first = box.due(0.0)
    assert first is not None
    box.failed(first, "", 1000.0)
    second = box.due(1000.0)
    assert second is not None
    assert (first.name, second.name) == ("a", "b")


def of_alert(name: str, kind: str) -> dict[str, Any]:
    """An event of an alert, whose id tells both."""
    data = {**DATA, "alert": name}
    return {**ALERT, "id": f"{name}-{kind}", "type": f"alert.{kind}", "data": data}


class Receiver:
    """Takes events by name while it is there, but for some."""

    def __init__(self, *bad: str) -> None:
        self.is_there, self.bad, self.taken, self.tried = False, bad, list[str](), list[str]()

    def deliver(self, letter: Letter) -> Delivery:
        self.tried.append(letter.name)
        if not self.is_there or letter.name in self.bad:
            return Delivery(False, "HTTP 503")
        self.taken.append(letter.name)
        return Delivery(True)

    def wait(self, num_tried: int, num_taken: int) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if len(self.tried) >= num_tried and len(self.taken) >= num_taken:
                return
            time.sleep(0.02)
        raise AssertionError(f"tried {self.tried}, taken {self.taken}")


def test_what_waited_for_a_receiver_comes_in_order_once_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_FIRST_PAUSE_S", 1000.0)
    box, receiver = Outbox(tmp_path), Receiver()
    courier = Courier(box, receiver.deliver)
    courier.start()
    for number, name in enumerate("ab"):
        courier.put(of_alert(name, "opened"))
        receiver.wait(number + 1, 0)
        courier.put(of_alert(name, "closed"))
    time.sleep(0.2)
    # What closes an alert is not tried while what opened it waits.
    assert receiver.tried == ["a-opened", "b-opened"]
    receiver.is_there = True
    courier.put(of_alert("c", "opened"))
    receiver.wait(7, 5)
    assert receiver.taken == ["c-opened", "a-opened", "a-closed", "b-opened", "b-closed"]
    courier.finish(5.0)
    assert box.count() == (0, 0)


def test_a_receiver_that_is_back_is_found_though_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(couriers, "_PROBE_EVERY_S", 0.02)
    monkeypatch.setattr(couriers, "_LOOK_EVERY_S", 0.05)
    box, receiver = Outbox(tmp_path), Receiver()
    courier = Courier(box, receiver.deliver)
    courier.start()
    for name in ("a", "b"):
        courier.put(of_alert(name, "opened"))
    receiver.wait(6, 0)
    # That it is looked for takes nothing from the attempts of an event.
    oldest = box.oldest()
    assert oldest is not None
    assert (oldest.name, oldest.attempts) == ("a-opened", 1)
    receiver.is_there = True
    receiver.wait(7, 2)
    assert receiver.taken == ["a-opened", "b-opened"]
    courier.finish(5.0)


def test_an_event_that_is_never_taken_is_not_hastened_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(random, "uniform", lambda least, most: least)
    monkeypatch.setattr(couriers, "_LOOK_EVERY_S", 0.05)
    box, receiver = Outbox(tmp_path), Receiver("bad-opened")
    receiver.is_there = True
    courier = Courier(box, receiver.deliver)
    courier.start()
    for num_before, name in enumerate(("bad", *map(str, range(8)))):
        courier.put(of_alert(name, "opened"))
        receiver.wait(num_before + 1, num_before)
        # What is hastened with it is tried after it.
        time.sleep(0.12)
    courier.put(of_alert("bad", "closed"))
    time.sleep(0.1)
    courier.finish(0.0)
    assert receiver.taken == [f"{number}-opened" for number in range(8)]
    assert 2 <= receiver.tried.count("bad-opened") <= 4


def test_a_receiver_that_drips_its_answer_is_given_up_in_time() -> None:
    is_over = threading.Event()

    class Drip(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with suppress(OSError):
                self.send_response_only(204)
                self.flush_headers()
                while not is_over.wait(0.05):
                    self.wfile.write(b"x")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Drip)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = webhook(f"http://127.0.0.1:{server.server_port}/", SECRETS[0], 0.5)
    found: list[Delivery] = []
    deliver = threading.Thread(
        target=lambda: found.append(hook.deliver(Letter("1", "{}", 0))), daemon=True
    )
    try:
        deliver.start()
        deliver.join(60.0)
        is_in_time = not deliver.is_alive()
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()
    assert is_in_time
    assert not found[0].is_done
    assert "no answer in 0.5 s" in found[0].said


@pytest.mark.parametrize("status", [301, 302, 400, 410, 500])
def test_only_an_answer_that_says_so_is_a_delivery(status: int) -> None:
    with receiving() as received:
        received.statuses = [status]
        found = webhook(received.url, SECRETS[0], 2.0).deliver(Letter("1", "{}", 0))
    assert not found.is_done
    assert found.said.endswith(f"HTTP {status}")
    assert not received.taken


@pytest.mark.parametrize(
    ("url", "secret", "says"),
    [
        ("http://127.0.0.1/x", None, f"{SECRET} is not set"),
        ("http://127.0.0.1/x", " ", f"{SECRET} is not set"),
        ("http://127.0.0.1/x", KEYS[0], "a secret is whsec_ and 24 to 64 bytes"),
        ("http://127.0.0.1/x", "whsec_c2hvcnQ=", "a secret is whsec_ and 24 to 64 bytes"),
        ("http://127.0.0.1/x", "whsec_!!", "a secret is whsec_"),
        ("ftp://127.0.0.1/x", SECRETS[0], "the scheme is none of http, https"),
    ],
)
def test_what_cannot_be_a_webhook_is_named(url: str, secret: str | None, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        webhook(url, secret, 1.0)
    assert KEYS[0] not in str(caught.value)


def test_secrets_are_in_no_text_of_a_webhook() -> None:
    found = repr(webhook("http://127.0.0.1/seCret", SECRETS[0], 1.0))
    assert "seCret" not in found
    assert repr(base64.b64decode(KEYS[0])) not in found


def test_a_file_that_is_no_queue_is_named(tmp_path: Path) -> None:
    (tmp_path / outbox.FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(UserError, match="no queue of events"):
        Outbox(tmp_path)


def test_alerts_that_are_open_are_known_until_they_are_closed(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    box.put(ALERT)
    box.put(
        {"id": "2", "type": "alert.updated", "data": DATA | {"at_s": 5.0, "num_clips_above": 4}}
    )
    box.put({"id": "3", "type": "stream.lost", "data": {"stream": "yard"}})
    closing = OUTLINE | {"closed_s": 5.0, "num_clips_above": 4}
    assert Outbox(tmp_path).left_open() == [("yard", closing)]
    box.put({"id": "4", "type": "alert.closed", "data": {"alert": "x", "stream": "yard"}})
    assert Outbox(tmp_path).left_open() == []


def test_what_a_killed_run_left_open_the_next_one_closes_first(
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_model(tmp_path / "models")
    path = write_footage(tmp_path / "a.mp4", 40)
    monkeypatch.setenv(SECRET, SECRETS[0])
    Outbox(tmp_path / "box").put(ALERT)
    with receiving() as received:
        own = (f"webhook={received.url}", f"outbox={tmp_path / 'box'}")
        events = watched(capsys, compose, path, "replay=true", "speed=max", "threshold=1", *own)
    first = events[0]
    assert (first["type"], first["subject"]) == ("alert.closed", "yard")
    closing = {"closed_s": 3.0, "reason": "watch_ended"}
    assert first["data"] == {"stream": "yard", **OUTLINE, **closing}
    taken = [json.loads(body)["type"] for _, body in received.taken]
    assert taken == ["alert.opened", "alert.closed", "stream.started", "stream.ended"]
