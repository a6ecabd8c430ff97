"""The page of a watch, its metrics, and whether it is well.

It shows what a board and the file of decisions hold, to whom the guard lets in.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from pipeline.live.board import Board
from pipeline.live.decisions import DECISIONS, Decisions
from pipeline.live.guarding import PAGE, Guard, RefusedRequest, file, json_body
from pipeline.live.metrics import Metrics
from pipeline.system.visible_text import plain

IDLE_S = 30.0
"""A watcher that was not at work for so long is not well."""
NEEDED = ("prometheus_client", "starlette", "uvicorn")
"""Packages that the page is served with."""
_OPEN = ("/healthz", "/readyz")
_MAX_TEXT = 200
_NUM_ALERTS, _EVERY_S, _MOST_READERS = 30, 1.0, 32


class Page:
    """Answers what a browser, Prometheus, or who looks after the machine asks."""

    def __init__(
        self, board: Board, decisions: Decisions, metrics: Metrics, token: str | None
    ) -> None:
        self._board, self._decisions, self._metrics = board, decisions, metrics
        self._guard = Guard(token)
        self._num_readers, self._made = 0, (-_EVERY_S, "")
        self.over = asyncio.Event()
        """Set, by the server's own loop, when nothing more is shown."""

    def application(self) -> Any:
        """Return what a server of ASGI runs."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        routes = [
            Route("/", file(PAGE / "watch.html", "text/html")),
            Route("/watch.js", file(PAGE / "watch.js", "text/javascript")),
            *self._guard.routes(),
            Route("/state", self._state),
            Route("/events", self._events),
            Route("/alerts/{alert}/decision", self._decide, methods=["POST"]),
            Route("/metrics", self._told_metrics),
            Route("/healthz", self._healthy),
            Route("/readyz", self._healthy),
        ]
        return self._guard.wrapped(Starlette(routes=routes), _OPEN)

    async def _state(self, _: Any) -> Any:
        from starlette.responses import JSONResponse

        return JSONResponse(await asyncio.to_thread(self._shown))

    async def _events(self, request: Any) -> Any:
        from starlette.responses import PlainTextResponse, StreamingResponse

        if self._num_readers >= _MOST_READERS:
            return PlainTextResponse("too many read it already\n", 503)

        async def states() -> AsyncIterator[str]:
            while not (self.over.is_set() or await request.is_disconnected()):
                text = await asyncio.to_thread(self._of_late)
                yield f"event: state\ndata: {text}\n\n"
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.over.wait(), _EVERY_S)

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            # Counted before anything is waited for: many may ask at the same moment.
            self._num_readers += 1
            try:
                response = StreamingResponse(states(), media_type="text/event-stream")
                await response(scope, receive, send)
            finally:
                self._num_readers -= 1

        return answer

    async def _decide(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        try:
            given, who = await json_body(request)
            decision = given["decision"]
        except RefusedRequest as error:
            return JSONResponse({"error": str(error)}, error.status)
        except LookupError:
            return JSONResponse({"error": "send decision and who"}, 400)
        if decision not in DECISIONS:
            return JSONResponse({"error": f"decide {' or '.join(DECISIONS)}"}, 400)
        alert = request.path_params["alert"]
        if not await asyncio.to_thread(self._decisions.decide, alert, decision, who):
            return JSONResponse({"error": "there is no such alert"}, 404)
        return JSONResponse(await asyncio.to_thread(self._shown))

    async def _told_metrics(self, _: Any) -> Any:
        from starlette.responses import Response

        text = await asyncio.to_thread(self._metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4")

    async def _healthy(self, request: Any) -> Any:
        from starlette.responses import PlainTextResponse

        idle_s = time.monotonic() - self._board.beat
        is_ready = request.url.path == "/healthz" or self._board.is_watching
        if idle_s > IDLE_S:
            return PlainTextResponse(f"nothing was watched for {idle_s:.0f} s\n", 503)
        return PlainTextResponse("well\n" if is_ready else "not yet\n", 200 if is_ready else 503)

    def _of_late(self) -> str:
        """Return what all who look at it see, as JSON that is made once for them."""
        at, text = self._made
        if time.monotonic() - at >= _EVERY_S / 2:
            text = json.dumps(self._shown())
            self._made = time.monotonic(), text
        return text

    def _shown(self) -> dict[str, Any]:
        """Return what the page shows; texts of others hide nothing."""
        board = self._board
        answered, dropped = board.num_clips()
        return {
            "threshold": board.threshold,
            "num_answered": answered,
            "num_dropped": dropped,
            "load": dict(board.load),
            "streams": [
                {
                    **one.__dict__,
                    "name": plain(one.name, _MAX_TEXT),
                    "reason": plain(one.reason, _MAX_TEXT),
                    "faults": dict(one.faults),
                    "levels": [(round(at_s, 2), round(level, 3)) for at_s, level in one.levels],
                }
                for one in board.streams
            ],
            "alerts": [_outline(one) for one in self._decisions.latest(_NUM_ALERTS)],
            "matches": [
                {
                    "stream": plain(str(one["stream"]), _MAX_TEXT),
                    "item": plain(f"{one['label']}: {one['name']} ({one['bank']})", _MAX_TEXT),
                    "by": one["by"],
                    "time": one["time"],
                    "start_s": one["start_s"],
                }
                for one in reversed(board.matches)
            ],
        }


def _outline(alert: dict[str, Any]) -> dict[str, Any]:
    opened, latest = alert["opened"], alert["latest"]
    decided = alert["decided"]
    return {
        "alert": alert["alert"],
        "stream": plain(alert["stream"], _MAX_TEXT),
        "opened_at": alert["opened_at"],
        "closed_at": alert["closed_at"],
        "opened_s": opened["opened_s"],
        "highest_level": latest["highest_level"],
        "num_clips_above": latest["num_clips_above"],
        "last_clip": opened.get("last_clip"),
        "stills": opened.get("stills"),
        "decided": decided and {**decided, "who": plain(decided["who"], _MAX_TEXT)},
    }
