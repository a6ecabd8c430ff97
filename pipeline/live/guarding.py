"""Lets ask a page who may: this machine, or who has the token, and no page of others."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import secrets
import unicodedata
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipeline.errors import UserError

TOKEN = "DISCERN_SERVE_TOKEN"
"""The variable of the environment that holds the token."""
LEAST_TOKEN = 16
PAGE = Path(__file__).parent / "page"
"""Files of the pages."""
_COOKIE = "discern"
_OPEN = ("/login", "/watch.css")
_MAX_BODY, _MAX_WHO, _MAX_SESSIONS = 4096, 80, 100
# No letter, and no mark inside of one: control characters, halves of pairs, ends of lines.
_NO_NAME = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REFUSED_S = 0.5
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; media-src data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def check_installed(needed: Collection[str], asked: str) -> None:
    """Check that what serves a page is there.

    Args:
        needed: names of packages.
        asked: what somebody wrote to have it served.

    Raises:
        UserError: it is not.
    """
    for name in needed:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            raise UserError(
                f"{asked}: {name} is not installed; run pip install '.[serve]' in the clone "
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


class RefusedRequest(Exception):
    """Something was sent that is not taken; the text says why."""

    def __init__(self, said: str, status: int = 400) -> None:
        super().__init__(said)
        self.status = status


class Guard:
    """Lets in who may ask, and adds what keeps a browser from being used by others."""

    def __init__(self, token: str | None) -> None:
        """Guard a page.

        Args:
            token: that is wanted; None where nothing but this machine can ask.
        """
        self._token, self._sessions = token, list[str]()

    def routes(self) -> list[Any]:
        """The page that asks for the token, and its style."""
        from starlette.routing import Route

        return [
            Route("/watch.css", file(PAGE / "watch.css", "text/css")),
            Route("/login", file(PAGE / "login.html", "text/html"), methods=["GET"]),
            Route("/login", self._login, methods=["POST"]),
        ]

    def wrapped(self, inner: Any, opened: Collection[str] = ()) -> Any:
        """An application of ASGI behind the guard, but for paths that are open to all."""
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
            elif scope["path"] not in (*_OPEN, *opened) and not self._is_allowed(request):
                answer = PlainTextResponse("the token is missing or wrong\n", 401)
                if scope["path"] == "/":
                    answer = RedirectResponse("/login", 303)
            await answer(scope, receive, add)

        return guard

    def _is_own(self, request: Any) -> bool:
        """Return whether it comes from nobody else's page."""
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


def file(path: Path, media_type: str) -> Callable[[Any], Any]:
    """Return what answers with a file, which is read once."""
    from starlette.responses import Response

    content = path.read_bytes()

    async def answer(_: Any) -> Any:
        return Response(content, media_type=media_type)

    return answer


def person_name(given: str) -> str:
    """The name of a person, with single blanks.

    Raises:
        Refused: it is none that can be kept and shown.
    """
    who = " ".join(given.split())
    if not 0 < len(who) <= _MAX_WHO or any(unicodedata.category(one) in _NO_NAME for one in who):
        raise RefusedRequest(
            f"say who you are, in 1 to {_MAX_WHO} characters without control characters"
        )
    return who


async def json_body(request: Any, most_bytes: int = _MAX_BODY) -> tuple[Mapping[str, Any], str]:
    """The JSON object that a page sent, and who it says sent it.

    Raises:
        Refused: it is none, or too much, or nobody says so.
    """
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise RefusedRequest("send JSON", 415)
    try:
        given = json.loads(await _body(request, most_bytes) or b"")
        # Half of a surrogate pair is JSON, but no text that can be kept.
        given["who"].encode()
        return given, person_name(given["who"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedRequest("send decision and who") from error


async def _body(request: Any, most_bytes: int = _MAX_BODY) -> bytes | None:
    """Return what was sent; None where it is too much."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > most_bytes:
            return None
    return found
