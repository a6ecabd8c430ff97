"""The page of a watch, its metrics, and whether it is well.

It shows what a board and the file of decisions hold. Beyond this machine it wants a token; pages of
others can neither read it nor decide anything through the browser of who may.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipeline.errors import UserError
from pipeline.live.board import Board
from pipeline.live.decisions import DECISIONS, Decisions
from pipeline.live.metrics import Metrics
from pipeline.system.untrusted import plain

TOKEN = "DISCERN_SERVE_TOKEN"
"""The variable of the environment that holds the token."""
LEAST_TOKEN = 16
IDLE_S = 30.0
"""A watcher that was not at work for so long is not well."""
_PAGE = Path(__file__).parent / "page"
_COOKIE = "discern"
_NEEDED = ("prometheus_client", "starlette", "uvicorn")
_OPEN = ("/healthz", "/readyz", "/login", "/watch.css")
_MAX_BODY, _MAX_WHO, _MAX_TEXT, _MAX_SESSIONS = 4096, 80, 200, 100
_NUM_ALERTS, _EVERY_S, _MOST_READERS = 30, 1.0, 32
_REFUSED_S = 0.5
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def check_installed() -> None:
    """Check that what serves a page is there.

    Raises:
        UserError: it is not.
    """
    for name in _NEEDED:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            raise UserError(
                f"serve=true: {name} is not installed; run pip install '.[serve]' in the clone "
                "(of a wheel, its path with [serve])"
            ) from error


def checked_token(host: str, token: str | None) -> str | None:
    """The token that is wanted; None where nothing but this machine can ask.

    Raises:
        UserError: others can ask, and there is none, or it is short.
    """
    if token is not None and len(token.strip()) < LEAST_TOKEN:
        raise UserError(
            f"{TOKEN}: fewer than {LEAST_TOKEN} characters without blanks around; give a longer one"
        )
    if token is None and not _is_loopback(host):
        raise UserError(
            f"serve_host={host}: others than this machine may look at it; make a token with "
            f"export {TOKEN}=$(head -c 24 /dev/urandom | base64)"
        )
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Page:
    """Answers what a browser, Prometheus, or who looks after the machine asks."""

    def __init__(
        self, board: Board, decisions: Decisions, metrics: Metrics, token: str | None
    ) -> None:
        self._board, self._decisions, self._metrics = board, decisions, metrics
        self._token, self._sessions = token, list[str]()
        self._num_readers, self._made = 0, (-_EVERY_S, "")
        self.over = asyncio.Event()
        """Set, by the server's own loop, when nothing more is shown."""

    def application(self) -> Any:
        """What a server of ASGI runs."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        routes = [
            Route("/", self._file("watch.html", "text/html")),
            Route("/watch.css", self._file("watch.css", "text/css")),
            Route("/watch.js", self._file("watch.js", "text/javascript")),
            Route("/login", self._file("login.html", "text/html"), methods=["GET"]),
            Route("/login", self._login, methods=["POST"]),
            Route("/state", self._state),
            Route("/events", self._events),
            Route("/alerts/{alert}/decision", self._decide, methods=["POST"]),
            Route("/metrics", self._told_metrics),
            Route("/healthz", self._healthy),
            Route("/readyz", self._healthy),
        ]
        return self._guarded(Starlette(routes=routes))

    def _guarded(self, inner: Any) -> Any:
        from starlette.datastructures import MutableHeaders
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse, RedirectResponse

        async def guard(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return

            async def add(message: Any) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message).update(_HEADERS)
                await send(message)

            request = Request(scope)
            answer: Any = inner
            if not self._is_own(request):
                answer = PlainTextResponse("not for pages of others\n", 403)
            elif scope["path"] not in _OPEN and not self._is_allowed(request):
                answer = PlainTextResponse("the token is missing or wrong\n", 401)
                if scope["path"] == "/":
                    answer = RedirectResponse("/login", 303)
            await answer(scope, receive, add)

        return guard

    def _is_own(self, request: Any) -> bool:
        """Whether it comes from nobody else's page."""
        host = request.headers.get("host", "")
        with suppress(ValueError):
            # A name of somebody else may lead to this machine.
            if self._token is None and not _is_loopback(urlsplit(f"//{host}").hostname or ""):
                return False
            if request.method == "GET":
                return True
            origin = request.headers.get("origin")
            return origin is None or urlsplit(origin).netloc == host
        return False

    def _is_allowed(self, request: Any) -> bool:
        if self._token is None:
            return True
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(given.encode(), self._token.encode()):
            return True
        cookie = request.cookies.get(_COOKIE, "").encode()
        return any(hmac.compare_digest(cookie, one.encode()) for one in self._sessions)

    def _file(self, name: str, media_type: str) -> Callable[[Any], Any]:
        from starlette.responses import Response

        content = (_PAGE / name).read_bytes()

        async def answer(_: Any) -> Any:
            return Response(content, media_type=media_type)

        return answer

    async def _login(self, request: Any) -> Any:
        from starlette.responses import RedirectResponse

        body = parse_qs((await _body(request) or b"").decode("utf-8", "replace"))
        given = body.get("token", [""])[0].strip().encode()
        if self._token is None or not hmac.compare_digest(given, self._token.encode()):
            # Nobody guesses many a second.
            await asyncio.sleep(_REFUSED_S)
            return RedirectResponse("/login?wrong", 303)
        session = secrets.token_urlsafe(32)
        self._sessions = [*self._sessions, session][-_MAX_SESSIONS:]
        answer = RedirectResponse("/", 303)
        answer.set_cookie(_COOKIE, session, httponly=True, samesite="strict")
        return answer

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

        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse({"error": "send JSON"}, 415)
        try:
            given = json.loads(await _body(request) or b"")
            decision, who = given["decision"], " ".join(given["who"].split())
            # Half of a surrogate pair is JSON, but no text that can be kept.
            who.encode()
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return JSONResponse({"error": "send decision and who"}, 400)
        if decision not in DECISIONS:
            return JSONResponse({"error": f"decide {' or '.join(DECISIONS)}"}, 400)
        if not who or len(who) > _MAX_WHO:
            return JSONResponse({"error": f"say who you are, in 1 to {_MAX_WHO} characters"}, 400)
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
        """What all who look at it see, as JSON that is made once for them."""
        at, text = self._made
        if time.monotonic() - at >= _EVERY_S / 2:
            text = json.dumps(self._shown())
            self._made = time.monotonic(), text
        return text

    def _shown(self) -> dict[str, Any]:
        """What the page shows; texts of others hide nothing."""
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


async def _body(request: Any) -> bytes | None:
    """What was sent; None where it is too much."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > _MAX_BODY:
            return None
    return found
