"""A discharge that is published again and again to `discern watch`, and the alerts that come of it.

Which discharge an alert is of, its second of the stream tells, so that one that comes after the
next discharge counts as late, and not as the alert of that one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import av
import rtmp_server
from live import FPS, WAIT_S, Published, served, until

from pipeline import app
from pipeline.commands import watch
from pipeline.config import WatchApp
from pipeline.live import webhooks
from pipeline.live.events import ALERT_OPENED, STREAM_STARTED

AFTER_S = 3
"""What is shown after a discharge, of which two seconds at least follow the latest of `PHASES`."""
BEGIN_S = 120.0
"""How long `watch` may take to begin."""
_LOST_S = 60.0
"""How long after the last discharge alerts are waited for."""
_RULE_S = 1.0
"""About how much later than its discharge an alert opens, by the clock of the stream."""
_KEY = bytes(range(32))


def every_s(quiet_s: int) -> int:
    """From one repetition to the next."""
    return quiet_s + AFTER_S


def fires_s(number: int, quiet_s: int, phases: Sequence[int]) -> float:
    """When the discharge of a repetition is, in seconds of what is published."""
    return number * every_s(quiet_s) + quiet_s + phases[number % len(phases)] / FPS


@dataclass
class Received:
    """What a receiver of webhooks got, and when."""

    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    num_wrong: int = 0

    def take(self, request: BaseHTTPRequestHandler) -> None:
        """Take an event whose signature is right."""
        now = time.time()
        body = request.rfile.read(int(request.headers["Content-Length"]))
        told = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
        digest = hmac.new(_KEY, told.encode() + body, hashlib.sha256).digest()
        is_right = request.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        if is_right:
            self.events.append((now, json.loads(body)))
        self.num_wrong += not is_right
        request.send_response(204 if is_right else 401)
        request.end_headers()

    def has_started(self) -> bool:
        """Whether the stream has begun."""
        return any(event["type"] == STREAM_STARTED for _, event in self.events)

    def opened(self) -> list[tuple[float, float]]:
        """When alerts came, and the seconds of the stream at which they opened."""
        told = [(at, event) for at, event in self.events if event["type"] == ALERT_OPENED]
        return [(at, event["data"]["at_s"]) for at, event in told]


@dataclass
class Schedule:
    """Which discharges count, once it is known: the first ones come while nobody watches yet."""

    quiet_s: int
    phases: Sequence[int]
    num_wanted: int
    numbers: range = range(0)

    def is_over(self, published: Published, received: Received) -> bool:
        """Whether all that count were published, with what is shown after them."""
        if not published.sent:
            return False
        latest_s = next(reversed(published.sent))
        if not self.numbers and received.has_started():
            first = next(one for one in itertools.count() if self.fires_s(one) > latest_s + 1)
            self.numbers = range(first, first + self.num_wanted)
        return bool(self.numbers) and latest_s >= self.numbers.stop * every_s(self.quiet_s)

    def fires_s(self, number: int) -> float:
        """When a discharge is, in seconds of what is published."""
        return fires_s(number, self.quiet_s, self.phases)

    def alerts(self, received: Received, begins_s: float) -> dict[int, float]:
        """When the first alert of each discharge that counts and has one came.

        Args:
            received: what came.
            begins_s: the second of what is published, within two, at which the stream begins.
        """
        found: dict[int, float] = {}
        for come, at_s in received.opened():
            fired_s = begins_s + at_s - _RULE_S
            number = min(self.numbers, key=lambda one: abs(self.fires_s(one) - fired_s))
            if abs(self.fires_s(number) - fired_s) < every_s(self.quiet_s) / 2:
                found.setdefault(number, come)
        return found


def relayed(url: str, arrived: dict[float, float]) -> None:
    """Note when each packet of pictures can be read of an RTMP server, by its second."""
    options = {"rtmp_live": "live", "analyzeduration": "500000"}
    while not arrived:
        with (
            contextlib.suppress(av.FFmpegError),
            av.open(url, timeout=(WAIT_S, WAIT_S), options=options) as source,
        ):
            # Who comes before the first picture may be told of the sound alone.
            for packet in source.demux() if source.streams.video else ():
                if packet.pts is not None and packet.stream.type == "video":
                    arrived[float(packet.pts * packet.time_base)] = time.time()


def follow(url: str, receiver: int, folder: Path, settings: Sequence[str]) -> None:
    """Watch an address to its end, with webhooks to a port of this machine."""
    os.environ[webhooks.SECRET] = f"whsec_{base64.b64encode(_KEY).decode()}"
    cfg = app.compose(
        "watch",
        *(f"paths.work={folder}", "allow_private=true", "release=null", "update_every_s=1e6"),
        *("timeout_s=60", "end_after_s=0", f"webhook=http://127.0.0.1:{receiver}/"),
        *settings,
    )
    assert isinstance(cfg, WatchApp)
    with contextlib.redirect_stdout(io.StringIO()):
        watch.run(url, cfg=cfg)


@dataclass
class Outcomes:
    """What came of the discharges that count."""

    delays: list[float]
    """Seconds from each being published to its alert, of those that have one."""
    alone: list[float]
    """Of it, until the discharge could be read by anybody; of all of them."""
    num_wrong: int
    """Events whose signature was wrong."""


def by_hls(published: Published, schedule: Schedule, settings: Sequence[str]) -> Outcomes:
    """Publish as HLS, and watch that."""
    received = Received()
    published.is_over = lambda: schedule.is_over(published, received)
    receiver, source = served(received.take), served(published.answer)
    threading.Thread(target=published.segments, daemon=True).start()
    published.wait_for_segments()
    url = f"http://127.0.0.1:{source.server_port}/index.m3u8"
    follow(url, receiver.server_port, published.folder, settings)
    for server in (source, receiver):
        server.shutdown()
    (begins_s,) = published.first_s

    def readable(second: float) -> float:
        return (published.folder / f"{int(second + 1e-6)}.ts").stat().st_mtime

    return outcomes(schedule, published, received, begins_s, readable)


def by_rtmp(published: Published, schedule: Schedule, settings: Sequence[str]) -> Outcomes:
    """Publish to an RTMP server, which tells of no end and is stopped once all alerts came."""
    received, arrived = Received(), dict[float, float]()
    published.is_over = lambda: schedule.is_over(published, received)
    receiver, nginx = served(received.take), published.folder / "nginx"

    def begins_s() -> float:
        at_s = rtmp_server.played_at(nginx) + 0.5
        return min(arrived, key=lambda second: abs(arrived[second] - at_s))

    with contextlib.ExitStack() as stack:
        url = f"{stack.enter_context(rtmp_server.serving(nginx))}/key"

        def publish() -> None:
            published.send(url, "flv")
            wanted = schedule.num_wanted
            until(lambda: len(schedule.alerts(received, begins_s())) == wanted, _LOST_S)
            stack.close()

        publisher = threading.Thread(target=publish, daemon=True)
        publisher.start()
        until(lambda: bool(published.sent))
        threading.Thread(target=relayed, args=(url, arrived), daemon=True).start()
        until(lambda: bool(arrived))
        if not arrived:
            raise SystemExit(f"{published.protocol}: nothing came within {WAIT_S:g} s")
        follow(url, receiver.server_port, published.folder, settings)
        publisher.join()
    receiver.shutdown()
    return outcomes(schedule, published, received, begins_s(), lambda one: at(one, arrived))


def outcomes(
    schedule: Schedule,
    published: Published,
    received: Received,
    begins_s: float,
    readable: Callable[[float], float],
) -> Outcomes:
    """What came of the discharges, where `readable` says when a second of them could be read."""
    if not schedule.numbers or schedule.fires_s(schedule.numbers[-1]) > max(published.sent):
        raise SystemExit(f"{published.protocol}: `watch` did not begin within {BEGIN_S:g} s")
    fired_s = {one: schedule.fires_s(one) for one in schedule.numbers}
    sent = {number: at(second, published.sent) for number, second in fired_s.items()}
    alerts = schedule.alerts(received, begins_s)
    return Outcomes(
        [alerts[number] - sent[number] for number in sorted(alerts)],
        [readable(second) - sent[number] for number, second in fired_s.items()],
        received.num_wrong,
    )


def at(second: float, times: Mapping[float, float]) -> float:
    """When the first picture from a second on came, or went."""
    return times[min(one for one in times if one >= second - 0.5 / FPS)]
