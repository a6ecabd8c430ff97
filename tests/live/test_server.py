"""What becomes of requests that are answered while a server is stopped."""

from __future__ import annotations

import asyncio
import logging
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest

from pipeline.live.server import Server


def test_a_request_that_takes_long_ends_with_the_server_and_without_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    begun, done = threading.Event(), threading.Event()

    def decode() -> None:
        begun.set()
        done.wait(60)

    async def answer(_: Any) -> Any:
        await asyncio.to_thread(decode)
        return PlainTextResponse("decoded")

    server = Server(Starlette(routes=[Route("/", answer)]), "127.0.0.1", 0, "review")
    said: list[tuple[int, str]] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(server.url, timeout=60)
        except urllib.error.HTTPError as error:
            said.append((error.code, error.read().decode()))
        # The server waits for the thread as well, once it has answered.
        done.set()

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(60)
    server.stop()
    asking.join(60)
    assert said == [(503, "the page has ended\n")]
    assert [one.message for one in caplog.records if one.levelno >= logging.WARNING] == []
